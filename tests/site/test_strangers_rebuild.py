"""A stranger rebuilds from mirrors alone, with the portal away; what it signed is accepted, counted and shown."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.test.utils import override_settings
from django.utils import timezone

from catalog.models import Asset
from mirrors.models import Mirror, Policy
from releases.approve import approve_release
from releases.bundle import FILES
from releases.jobs import engine
from releases.models import Attestation, Release
from releases.statements.recognise import RebuilderEntry, recognise_rebuilder
from releases.submit import submit_release
from tests import factories
from tests.mirrors.serving import served
from tests.releases.bundles import FOLDERS, INTERPRETER
from tests.releases.keys import private_pem
from tests.releases.recipes import PREAMBLE, SOURCE, built, drafted, person, recipe, release_toml
from tests.releases.signing import WHY

pytestmark = pytest.mark.django_db

API = "/api/v1/attestations/"
OTHER = PREAMBLE + "target.write_text(words.lower())\n"


@dataclass
class Published:
    """A public version, of which one mirror answers; our own storage and the portal do not."""

    release: Release
    mirror: str

    @property
    def bundle(self) -> Asset:
        return Asset.objects.get(key="source-bundle")

    @property
    def bundle_url(self) -> str:
        return f"{self.mirror}/{self.bundle.storage_key}"

    def page(self, client: Client) -> str:
        version = self.release.version
        answer = client.get(f"/en/datasets/{version.dataset.identifier}/{version.shown}/")
        assert answer.status_code == 200
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def publish(folder: Path, mirror: str) -> Release:
    """Bring one small release to the public through the real pipeline, on our own storage and one mirror."""
    author, reviewer = person("author", "curator"), person("reviewer", "curator")
    for slug, url in (("origin", "http://127.0.0.1:1/origin"), ("second", mirror)):
        place = folder / ("storage" if slug == "origin" else slug)
        place.mkdir(exist_ok=True)
        Policy.objects.create(mirror=factories.mirror(slug, endpoint=str(place), public_url=url))
    text = release_toml(recipe(), url="http://127.0.0.1:1/words.txt")
    release = built(drafted(text, author, folder), author)
    submit_release(release, by=author, channel="command", now=timezone.now())
    seen = release.reviewed_digest
    approve_release(release, by=reviewer, channel="command", seen_digest=seen, now=timezone.now())
    engine.drain(100)
    release.refresh_from_db()
    assert release.state == Release.State.PUBLISHED
    return release


@pytest.fixture(scope="module")
def published(rows_of_file: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """Publish once for this file."""
    folder = tmp_path_factory.mktemp("published")
    places = {f"DFC_{name}_DIR": folder / name.lower() for name in FOLDERS}
    ours = override_settings(**places, DFC_SIGNING_KEY=private_pem())
    with served({"second": folder / "second"}) as server, ours:
        yield Published(publish(folder, f"{server.url}/second"), f"{server.url}/second")


@dataclass
class Machine:
    """A stranger's machine: an empty folder, Python, and a key."""

    folder: Path

    def run(self, *words: object, script: Path | None = None) -> "subprocess.CompletedProcess[str]":
        command = [INTERPRETER, "-I", str(script or self.folder / "rebuild.py"), *map(str, words)]
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TMPDIR": str(self.folder)}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=100, check=False
        )

    def keygen(self) -> str:
        """Make a key; gives its public half as printed."""
        done = self.run("keygen", "key.pem", script=FILES / "rebuild.py")
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("Key id")[0]

    def unpack(self, published: Published) -> Path:
        folder = self.folder / "bundle"
        folder.mkdir()
        archive = Path(str(self.folder / "bundle.tar.gz"))
        subprocess.run(["curl", "-fsS", "-o", archive, published.bundle_url], check=True)
        subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True)
        return folder

    @property
    def statement(self) -> bytes:
        return (self.folder / "attestation.json").read_bytes()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    shutil.copyfile(FILES / "rebuild.py", tmp_path / "rebuild.py")
    return Machine(tmp_path)


def recognise(published: Published, public_key: str, name: str = "University lab") -> None:
    entry = RebuilderEntry(name, "institution", "CA", public_key)
    by = published.release.author
    recognise_rebuilder(entry, by=by, reason=WHY, now=timezone.now(), channel="command")


def send(client: Client, statement: bytes) -> Any:
    return client.post(API, statement, content_type="application/json")


def test_a_stranger_rebuilds_from_mirrors_alone_and_is_counted(
    published: Published, machine: Machine, client: Client
) -> None:
    public_key = machine.keygen()
    dead = "http://127.0.0.1:1/source-bundle.tar.gz"
    where = ("--bundle", dead, "--bundle", published.bundle_url, "--sha256", published.bundle.sha256)
    done = machine.run(*where, "--attest", "key.pem", "--out", "rebuilt")
    assert done.returncode == 0, done.stderr
    assert (machine.folder / "rebuilt" / "words.csv").read_bytes() == SOURCE.upper()
    fetched = [line.partition(" ")[2] for line in done.stderr.splitlines() if line.startswith("Fetching")]
    source = f"{published.mirror}/{published.bundle.storage_key.replace('source-bundle.tar.gz', 'sources/words.txt')}"
    assert fetched == [dead, published.bundle_url, source]
    assert send(client, machine.statement).status_code == 403
    recognise(published, public_key)
    assert send(client, machine.statement).json()["verdict"] == "identical"
    words = published.page(client)
    assert "1 of 1 rebuilder got the same bytes." in words
    assert "Rebuilt byte for byte by 1 other." in words
    assert "Rebuilt by others: 1 of 1 identical" in words


def test_a_tampered_recipe_gives_a_public_difference_that_names_the_file(
    published: Published, machine: Machine, client: Client
) -> None:
    recognise(published, machine.keygen())
    bundle = machine.unpack(published)
    (bundle / "code" / "build.py").write_text(OTHER)
    done = machine.run("--attest", "key.pem", "--out", "rebuilt", script=bundle / "rebuild.py")
    assert done.returncode == 1
    answer = send(client, machine.statement).json()
    assert (answer["verdict"], answer["differing_files"][0]["path"]) == ("different", "words.csv")
    assert answer["other_code_tree"]
    words = published.page(client)
    assert "0 of 1 rebuilder got the same bytes." in words
    assert "Only 0 of 1 rebuilders got these bytes." in words
    assert re.search(r"Different University lab , CA .* words\.csv · other bytes", words)
    assert "Its code was not the published one." in words


def test_a_recipe_that_fails_there_is_stated_and_shown(
    published: Published, machine: Machine, client: Client
) -> None:
    recognise(published, machine.keygen())
    bundle = machine.unpack(published)
    (bundle / "code" / "build.py").write_text("raise SystemExit(7)")
    done = machine.run("--attest", "key.pem", "--out", "rebuilt", script=bundle / "rebuild.py")
    assert done.returncode == 2
    assert send(client, machine.statement).json()["verdict"] == "failed"
    assert "What failed there: the recipe ended with exit code 7" in published.page(client)


def test_a_recipe_that_gives_no_file_has_failed(published: Published, machine: Machine, client: Client) -> None:
    recognise(published, machine.keygen())
    bundle = machine.unpack(published)
    (bundle / "code" / "build.py").write_text(PREAMBLE)
    assert machine.run("--attest", "key.pem", "--out", "a", script=bundle / "rebuild.py").returncode == 1
    assert send(client, machine.statement).json()["finding"] == "no file came out"


def test_a_tampered_source_is_never_built_and_nothing_is_signed(published: Published, machine: Machine) -> None:
    machine.keygen()
    bundle = machine.unpack(published)
    listed = json.loads((bundle / "sources.json").read_text())
    listed[0]["sha256"] = "0" * 64
    (bundle / "sources.json").write_text(json.dumps(listed))
    done = machine.run("--attest", "key.pem", "--out", "rebuilt", script=bundle / "rebuild.py")
    assert done.returncode == 2
    assert "sources.json is not what manifest.json locks" in done.stderr
    assert not (machine.folder / "attestation.json").exists()


def test_a_manifest_that_was_changed_is_refused_by_the_portal(
    published: Published, machine: Machine, client: Client
) -> None:
    recognise(published, machine.keygen())
    bundle = machine.unpack(published)
    path = bundle / "manifest.json"
    path.write_text(path.read_text().replace('"share":0.5', '"share":0.6'))
    parameters = bundle / "parameters.json"
    parameters.write_text(parameters.read_text().replace('"share":0.5', '"share":0.6'))
    assert machine.run("--attest", "key.pem", "--out", "a", script=bundle / "rebuild.py").returncode == 0
    answer = send(client, machine.statement)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "manifest_differs")


def test_a_bundle_with_other_bytes_is_not_used(published: Published, machine: Machine) -> None:
    where = ("--bundle", published.bundle_url, "--sha256", "0" * 64)
    done = machine.run(*where, "--out", "rebuilt")
    assert done.returncode == 2
    assert f"{published.bundle_url} has other bytes. Try another mirror." in done.stderr
    done = machine.run("--bundle", published.bundle_url, "--out", "rebuilt")
    assert "--bundle needs --sha256" in done.stderr
    assert not (machine.folder / "rebuilt").exists()


def test_a_key_that_cannot_be_used_is_named_before_anything_is_built(published: Published, machine: Machine) -> None:
    bundle = machine.unpack(published)
    done = machine.run("--attest", "absent.pem", "--out", "rebuilt", script=bundle / "rebuild.py")
    assert done.returncode == 2
    assert "the key absent.pem cannot be read" in done.stderr
    assert not (machine.folder / "rebuilt").exists()


def test_the_pipeline_signed_our_own_provenance(published: Published, client: Client) -> None:
    ours = Attestation.objects.ours().get()
    assert (ours.version, ours.channel) == (published.release.version, "engine")
    assert "Our signed provenance" in published.page(client)


def test_the_page_gives_the_command_that_a_stranger_can_paste(
    published: Published, machine: Machine, client: Client
) -> None:
    Mirror.objects.filter(slug="origin").update(state=Mirror.State.SILENT)
    words = published.page(client)
    command = re.search(r"curl -fLO \S+ && .*? --out rebuilt", words)
    assert command is not None
    assert published.mirror in command[0]
    done = subprocess.run(["sh", "-c", command[0]], cwd=machine.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
