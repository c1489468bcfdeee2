"""What all tests share: which of them touch the database, no network but loopback, and no silent skips in CI."""

import os
from collections.abc import Iterator
from functools import cache as cache_of
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connections
from django.utils import translation
from hypothesis import HealthCheck
from hypothesis import settings as examples
from pytest_socket import disable_socket, enable_socket, socket_allow_hosts
from xdist.scheduler import LoadFileScheduling

from tests.servers.s3 import NotInstalledError, S3Server, s3_server

ROOT = Path(__file__).resolve().parents[1]
REAL_SERVERS = {"browser", "aria2", "bubblewrap", "chaos", "podman", "s3"}
TAKE_LONG = ("chaos", "browser")
DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "django_db_setup"}


def pytest_configure() -> None:
    # On a busy machine an example may take its time; all else is as hypothesis has it, in CI and elsewhere.
    examples.register_profile("no clock", examples(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    examples.load_profile("no clock")
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # tests make hundreds of people
    if "sqlite3" in str(settings.DATABASES["default"]["ENGINE"]):
        # A file, not memory: live servers and heartbeats come from other threads and processes.
        connections.databases["default"]["TEST"]["NAME"] = str(Path(os.environ["DFC_DATA_DIR"]) / "test.sqlite3")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what touches the database, so that it can be run again on the other one; what takes long comes first."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & DATABASE_FIXTURES or item.get_closest_marker("django_db"):
            item.add_marker("database")
    items.sort(key=lambda item: not any(item.get_closest_marker(name) for name in TAKE_LONG))


class WholeFiles(LoadFileScheduling):  # type: ignore[misc]
    """A file stays in one process, and so do all files that need the played demonstration: it is played once."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "played" if is_played(file) else file


@cache_of
def is_played(file: str) -> bool:
    return "played: Installation" in (ROOT / file).read_text(encoding="utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WholeFiles:
    return WholeFiles(config, log)


@pytest.fixture(autouse=True)
def only_loopback() -> Iterator[None]:
    """Refuse every connection that leaves this machine."""
    disable_socket(allow_unix_socket=True)
    enable_socket()
    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Run one S3-compatible server for all tests of a process that need it."""
    try:
        with s3_server(tmp_path_factory.mktemp("s3")) as server:
            yield server
    except NotInstalledError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """Forget what pages counted for the test before: its rows are gone."""
    cache.clear()


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Begin in English: a request for a French page leaves its language active in this thread."""
    with translation.override("en"):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Any:
    """In CI a skipped real-server test is a failure: there everything can be installed.

    Captured words are made fit for the wire between processes: some tests write what no encoding holds.
    """
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        named = REAL_SERVERS & {mark.name for mark in item.iter_markers()}
        if named:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: skipped in CI though it needs a real server ({', '.join(named)})"
    return report
