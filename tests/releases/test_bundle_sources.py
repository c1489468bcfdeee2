"""Where a stranger's rebuild takes its sources from, and what it says of places that have other bytes or none."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.releases.bundles import (
    MEBI,
    archive_fixture,  # noqa: F401  a fixture
    change,
    rebuild,
    sources_fixture,  # noqa: F401  a fixture
    unpacked_fixture,  # noqa: F401  a fixture
)
from tests.releases.recipes import SOURCE, SOURCE_SHA256


class Upstream(BaseHTTPRequestHandler):
    """Serves the source rightly and in every wrong way, by path; `sent` counts the bytes of the endless one."""

    sent = 0

    def do_GET(self) -> None:
        answers = {"/right": SOURCE, "/wrong": SOURCE.upper(), "/short": SOURCE[:-1], "/long": SOURCE + b"x"}
        if self.path == "/endless":
            self.endless()
        elif self.path == "/broken":
            self.wfile.write(b"nonsense\r\n\r\n")
        elif self.path == "/cut":
            self.answer(SOURCE[:3], length=len(SOURCE))
        elif self.path in answers:
            self.answer(answers[self.path])
        else:
            self.send_error(404)

    def answer(self, content: bytes, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while Upstream.sent < 500 * MEBI:
                Upstream.sent += self.wfile.write(bytes(MEBI))
        except OSError:
            return

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def upstream() -> Iterator[str]:
    with serving() as address:
        yield address


def listed(unpacked: Path, *places: str) -> None:
    change(unpacked, "sources.json", lambda document: document[0].update(places=list(places)))


def test_sources_are_fetched_from_the_places_listed(unpacked: Path, upstream: str) -> None:
    listed(unpacked, f"{upstream}/right")
    done = rebuild(unpacked)
    assert done.returncode == 0, done.stderr
    assert f"Fetching {upstream}/right" in done.stderr


@pytest.mark.parametrize(
    ("path", "finding"),
    [
        ("wrong", "has other bytes"),
        ("short", "has more or fewer bytes"),
        ("long", "has more or fewer bytes"),
        ("absent", "cannot be reached (HTTP Error 404"),
        ("broken", "cannot be reached"),
        ("cut", "has more or fewer bytes"),
    ],
)
def test_a_place_with_wrong_bytes_is_named_and_the_next_one_asked(
    unpacked: Path, upstream: str, path: str, finding: str
) -> None:
    listed(unpacked, f"{upstream}/{path}")
    done = rebuild(unpacked)
    assert done.returncode == 2
    assert f"{upstream}/{path} {finding}" in done.stderr.splitlines()[-1]
    assert not any((unpacked.parent / "out").iterdir())
    listed(unpacked, f"{upstream}/{path}", f"{upstream}/right")
    assert rebuild(unpacked).returncode == 0


def test_an_endless_answer_fills_no_disk(unpacked: Path, upstream: str) -> None:
    Upstream.sent = 0
    listed(unpacked, f"{upstream}/endless")
    done = rebuild(unpacked)
    assert done.returncode == 2
    assert "/endless has more or fewer bytes" in done.stderr
    assert Upstream.sent < 100 * MEBI


def test_when_nothing_can_be_reached_it_says_so_and_what_to_do(unpacked: Path) -> None:
    listed(unpacked, "http://127.0.0.1:1/words.txt", "http://no-such-host.invalid/words.txt")
    done = rebuild(unpacked)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.count("cannot be reached") == 2
    assert f"no place gave source words.txt (sha256 {SOURCE_SHA256}, {len(SOURCE)} bytes)" in last
    assert last.endswith("Get that file yourself and name its folder with --sources.")


def test_a_missing_or_wrong_source_in_the_folder_is_named(unpacked: Path, sources: Path) -> None:
    listed(unpacked)
    (sources / "words.txt").write_bytes(SOURCE.upper())
    done = rebuild(unpacked, "--sources", sources)
    assert done.returncode == 2
    assert f"{sources}/words.txt has other bytes" in done.stderr
    (sources / "words.txt").unlink()
    done = rebuild(unpacked, "--sources", sources)
    assert done.returncode == 2
    assert f"{sources} does not have it" in done.stderr
