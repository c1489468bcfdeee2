"""A whole installation for one test: people, packages, two mirrors and a repository in a folder of its own."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test.utils import override_settings
from playwright.sync_api import Browser, Page, sync_playwright

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
    settings.DFC_SCRATCH_DIR = tmp_path / "scratch"
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


@pytest.fixture(scope="module")
def rows_of_file(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let a fixture commit rows for all tests of a file; each test undoes its own, and the end of the file these.

    Committed, since steps renew their leases from threads of their own.
    """
    with django_db_blocker.unblock():
        yield
        call_command("flush", verbosity=0, interactive=False, reset_sequences=False)


@pytest.fixture(scope="module")
def published_once(
    rows_of_file: None, tmp_path_factory: pytest.TempPathFactory, snapshots: Snapshots
) -> Iterator[Release]:
    """The first example, public, brought once for a file."""
    folder = tmp_path_factory.mktemp("published")
    names = ("STORAGE", "REPOSITORIES", "BUILDS", "ENVIRONMENTS")
    places = {f"DFC_{name}_DIR": folder / name.lower() for name in names} | {"DFC_DATA_DIR": folder}
    with override_settings(**places):
        yield snapshots.bring("published", walk.to_public)


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed; ./test installs it as root on Debian")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(site: Installation, browser: Browser) -> Iterator[Any]:
    """Open a page as one person, with cookies of its own; `visit("")` is a stranger."""
    contexts = []

    def opened(name: str = "") -> Page:
        context = browser.new_context(base_url=site.url)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        if name:
            sign_in(page, name, site.passwords()[name])
        return page

    yield opened
    for context in contexts:
        context.close()


def sign_in(page: Page, name: str, password: str) -> None:
    page.goto("/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Log out").wait_for()
