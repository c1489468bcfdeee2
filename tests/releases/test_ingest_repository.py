"""A git repository comes in whole, from a server that the guard has looked at, and is brought up to date."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from releases.builds import repositories
from releases.errors import UpstreamRefusedError
from releases.ingest.repository import mirror_repository, pin, repository_name
from releases.models import Ingest
from tests.releases.ingests import begin, job_of, run
from tests.releases.recipes import git

pytestmark = pytest.mark.django_db(transaction=True)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: Any) -> None:
        """Keep the run quiet."""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


@pytest.fixture
def address(settings: Any, tmp_path: Path, work: Path) -> Iterator[str]:
    """Serve a bare copy of the work as any web server of files would."""
    settings.DFC_REPOSITORIES_DIR = tmp_path / "kept"
    settings.DFC_STORAGE_DIR = tmp_path / "storage"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    commit(work, "first")
    yield f"http://127.0.0.1:{server.server_port}/Words.Recipes.git"
    server.shutdown()
    server.server_close()
    thread.join()


def commit(work: Path, text: str) -> str:
    """Commit a file, and bring the bare copy that is served up to date."""
    (work / "build.py").write_text(text, encoding="utf-8")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message=Example")
    bare = work.parent / "Words.Recipes.git"
    git(work, "push", "--quiet", "--mirror", str(bare)) if bare.exists() else git(
        work, "clone", "--quiet", "--bare", str(work), str(bare)
    )
    git(bare, "repack", "-a", "-d", "--quiet")
    git(bare, "update-server-info")
    return git(work, "rev-parse", "HEAD")


def test_a_repository_is_kept_whole_and_a_release_can_name_it(address: str, work: Path) -> None:
    head = git(work, "rev-parse", "HEAD")
    ingest = run(begin("", origin=Ingest.Origin.REPOSITORY, address=address))
    assert job_of(ingest).state == "done", [step.error for step in job_of(ingest).steps.all()]
    assert (ingest.state, ingest.listed_at is not None) == ("done", True)
    assert repositories.read_text("words.recipes", head, "build.py") == "first"
    second = commit(work, "second")
    run(begin("", origin=Ingest.Origin.REPOSITORY, address=address))
    assert repositories.read_text("words.recipes", second, "build.py") == "second"
    assert repositories.read_text("words.recipes", head, "build.py") == "first"


def test_a_half_made_copy_is_made_anew(address: str, settings: Any) -> None:
    half = settings.DFC_REPOSITORIES_DIR / ".words.recipes.partial"
    half.mkdir(parents=True)
    (half / "HEAD").write_text("nothing", encoding="ascii")
    mirror_repository(address, settings.DFC_REPOSITORIES_DIR / "words.recipes")
    assert [path.name for path in settings.DFC_REPOSITORIES_DIR.iterdir()] == ["words.recipes"]


def test_a_repository_of_another_origin_is_left_alone(address: str, settings: Any) -> None:
    folder = settings.DFC_REPOSITORIES_DIR / "words.recipes"
    folder.mkdir(parents=True)
    with pytest.raises(UpstreamRefusedError, match="kept here already"):
        mirror_repository(address, folder)


@pytest.mark.parametrize(
    "address", ["https://10.0.0.1/x.git", "ssh://example.org/x", "/etc", "ext::sh -c x", "--upload-pack=x"]
)
def test_git_is_sent_to_no_private_place_and_speaks_no_other_protocol(address: str) -> None:
    with pytest.raises(UpstreamRefusedError, match=r"no public address|no web address"):
        pin(address)


def test_the_name_is_the_last_part_of_the_address() -> None:
    assert repository_name("https://git.example.org/Team/Process_Roads.git/") == "process_roads"
    assert repository_name("https://git.example.org/été ?x") == "t-"
    assert repository_name("https://git.example.org/") == "repository"
