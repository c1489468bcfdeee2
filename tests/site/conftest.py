"""A whole installation for one test: people, packages, two mirrors and a repository in a folder of its own."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dfc_site import demo
from tests.site.running import Installation


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


@pytest.fixture
def author(installation: dict[str, str]) -> Any:
    return demo.person("author")


@pytest.fixture
def reviewer(installation: dict[str, str]) -> Any:
    return demo.person("reviewer")


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
