"""A whole installation for one test: people, packages, two mirrors and a repository in a folder of its own."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dfc_site import demo
from releases.models import Release
from tests.site import walk
from tests.site.running import Installation
from tests.site.snapshots import Snapshots


@pytest.fixture
def own_folders(settings: Any, tmp_path: Path) -> Path:
    """Point every folder of the settings into the test's own."""
    settings.DFC_DATA_DIR = tmp_path
    settings.DFC_STORAGE_DIR = tmp_path / "storage"
    settings.DFC_REPOSITORIES_DIR = tmp_path / "repositories"
    settings.DFC_BUILDS_DIR = tmp_path / "builds"
    settings.DFC_ENVIRONMENTS_DIR = tmp_path / "environments"
    return tmp_path


@pytest.fixture
def installation(db: None, own_folders: Path) -> Iterator[dict[str, str]]:
    """Prepare the demonstration; gives the passwords by user name."""
    before = os.umask(0o022)
    yield demo.prepare()
    os.umask(before)


@pytest.fixture(scope="session")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Snapshots:
    return Snapshots(tmp_path_factory.mktemp("snapshots"))


@pytest.fixture
def in_review(transactional_db: None, own_folders: Path, snapshots: Snapshots) -> Release:
    """The first example, built twice and waiting for a reviewer."""
    return snapshots.bring("in_review", walk.to_review)


@pytest.fixture
def published(transactional_db: None, own_folders: Path, snapshots: Snapshots) -> Release:
    """The first example, public on two mirrors and in the catalogue."""
    return snapshots.bring("published", walk.to_public)


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The demonstration, played to its end and stopped; copy it to let it run again."""
    installation = Installation(tmp_path_factory.mktemp("played"))
    installation.prepare()
    installation.start()
    try:
        installation.await_demo()
    finally:
        installation.stop()
    return installation
