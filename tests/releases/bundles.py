"""A sealed source bundle, unpacked as a stranger has it, and its rebuild.py called as a stranger calls it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test.utils import override_settings
from django.utils import timezone

from catalog.models import Asset
from mirrors.models import Policy
from releases.approve import approve_release
from releases.builds.environments import PYTHON
from releases.jobs import engine
from releases.models import Release
from releases.submit import submit_release
from tests import factories
from tests.releases.recipes import (
    GOOD,
    LOCK,
    PREAMBLE,
    SOURCE,
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    built,
    commit,
    drafted,
    person,
    release_toml,
    reviewer_fixture,  # noqa: F401  a fixture
)

MEBI = 1 << 20
INTERPRETER = str(Path(sys.base_prefix) / "bin" / f"python{PYTHON}")
FOLDERS = ("STORAGE", "REPOSITORIES", "BUILDS", "ENVIRONMENTS")


def bundled(author: Any, reviewer: Any, folder: Path) -> Release:
    """Take a release with links and programs in its code as far as its sealed source bundle."""
    found = commit(
        {
            "build.py": PREAMBLE + GOOD,
            "requirements.lock": LOCK,
            "bin/tool": "#!/bin/sh\n",
            "__pycache__/a": "kept\n",
        },
        links={"bin/latest.py": "../build.py"},
        executable=("bin/tool",),
    )
    release = built(drafted(release_toml(found), author, folder), author)
    for slug, is_required in (("origin", True), ("far", False), ("away", False)):
        mirror = factories.mirror(slug, endpoint=str(folder / slug))
        Policy.objects.create(mirror=mirror, is_required=is_required)
        (folder / slug).mkdir() if slug != "away" else None  # its disk is not mounted
    submit_release(release, by=author, channel="command", now=timezone.now())
    seen = release.reviewed_digest
    approve_release(release, by=reviewer, channel="command", seen_digest=seen, now=timezone.now())
    while not Asset.objects.filter(key="source-bundle").exists():
        assert any(engine.run_step(pk, has_heartbeat=False) for pk in engine.due_steps())
    return release


@pytest.fixture(scope="module", name="archive")
def archive_fixture(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any) -> Path:
    """Give the sealed source bundle of one release; its rows are undone, its bytes stay."""
    folder = tmp_path_factory.mktemp("release")
    places = {f"DFC_{name}_DIR": folder / name.lower() for name in FOLDERS}
    with django_db_blocker.unblock(), override_settings(**places), transaction.atomic():
        bundled(person("author", "curator"), person("reviewer", "curator"), folder)
        path = factories.own_path(Asset.objects.get(key="source-bundle").storage_key)
        transaction.set_rollback(True)
    return path


@pytest.fixture(name="unpacked")
def unpacked_fixture(archive: Path, tmp_path: Path) -> Path:
    """Unpack the bundle into an empty folder, as tar(1) does."""
    folder = tmp_path / "unpacked"
    folder.mkdir()
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(folder)], check=True)
    return folder


@pytest.fixture(name="sources")
def sources_fixture(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "words.txt").write_bytes(SOURCE)
    return folder


def rebuild(unpacked: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    """Call rebuild.py as a stranger does: our code is not there, nor anything of our environment."""
    out = unpacked.parent / "out"
    command = [INTERPRETER, "-I", "rebuild.py", *map(str, words), *([] if "--out" in words else ["--out", str(out)])]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TMPDIR": str(unpacked.parent)}
    return subprocess.run(
        command, cwd=unpacked, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


def change(unpacked: Path, name: str, change_it: Callable[[Any], None]) -> None:
    document = json.loads((unpacked / name).read_text())
    change_it(document)
    (unpacked / name).write_text(json.dumps(document))
