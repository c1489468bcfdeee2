"""A file in storage is whole, absent, or a partial that the next write continues."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.storage.files import FileBusyError, SourceLengthError, StorageKeyError, locate
from catalog.storage.local import LocalStorage

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def of(content: bytes, *, fails_after: int | None = None) -> Callable[[int], Iterator[bytes]]:
    def open_at(start: int) -> Iterator[bytes]:
        for position in range(start, len(content), 1000):
            if fails_after is not None and position >= fails_after:
                raise OSError("the disk went away")
            yield content[position : position + 1000]

    return open_at


def test_what_is_written_is_read_back_from_anywhere(storage: LocalStorage) -> None:
    storage.write("a/b/file.bin", len(CONTENT), of(CONTENT))
    assert storage.size("a/b/file.bin") == len(CONTENT)
    assert b"".join(storage.read("a/b/file.bin")) == CONTENT
    assert b"".join(storage.read("a/b/file.bin", 70_001, 12)) == CONTENT[70_001:70_013]


def test_a_broken_write_shows_nothing_and_is_continued(storage: LocalStorage) -> None:
    with pytest.raises(OSError, match="went away"):
        storage.write("file.bin", len(CONTENT), of(CONTENT, fails_after=500_000), tag="t")
    assert storage.size("file.bin") is None
    starts: list[int] = []

    def noted(start: int) -> Iterator[bytes]:
        starts.append(start)
        return of(CONTENT)(start)

    storage.write("file.bin", len(CONTENT), noted, tag="t")
    assert starts == [500_000]
    assert b"".join(storage.read("file.bin")) == CONTENT


def test_a_partial_of_other_content_is_not_continued(storage: LocalStorage) -> None:
    with pytest.raises(OSError, match="went away"):
        storage.write("file.bin", len(CONTENT), of(b"x" * len(CONTENT), fails_after=500_000), tag="other")
    storage.write("file.bin", len(CONTENT), of(CONTENT), tag="this")
    assert b"".join(storage.read("file.bin")) == CONTENT


@pytest.mark.parametrize("announced", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_source_of_another_length_is_refused(storage: LocalStorage, announced: int) -> None:
    with pytest.raises(SourceLengthError, match=str(announced)):
        storage.write("file.bin", announced, of(CONTENT))
    assert storage.size("file.bin") is None


def test_two_writers_of_one_file_do_not_mix(storage: LocalStorage) -> None:
    def meanwhile(start: int) -> Iterator[bytes]:
        with pytest.raises(FileBusyError):
            storage.write("file.bin", 3, of(b"abc"))
        yield from of(CONTENT)(start)

    storage.write("file.bin", len(CONTENT), meanwhile)
    assert b"".join(storage.read("file.bin")) == CONTENT


@pytest.mark.parametrize(
    "key", ["/etc/passwd", "../x", "a/../x", "a//b", ".hidden", "a/.partial/x", "a\\b", "a\0b", ""]
)
def test_a_key_that_would_leave_the_root_is_refused(storage: LocalStorage, key: str) -> None:
    with pytest.raises(StorageKeyError, match="Use names"):
        storage.path(key)


def test_a_link_that_leaves_the_root_is_refused(storage: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/etc")
    with pytest.raises(StorageKeyError, match="leads outside"):
        storage.path("out/passwd")


@given(st.text(max_size=60))
def test_no_key_at_all_leads_outside(key: str) -> None:
    root = Path("/nowhere/root")
    with suppress(StorageKeyError):
        assert locate(root, key).is_relative_to(root)


def test_a_killed_writer_leaves_a_partial_that_is_continued(storage: LocalStorage, tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from catalog.storage.local import LocalStorage\n"
        "def slow(start):\n"
        "    for _ in range(1000): yield b'x' * 1000; time.sleep(0.005)\n"
        f"LocalStorage(Path({str(tmp_path)!r})).write('file.bin', 1_000_000, slow)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    partial = tmp_path / ".partial" / "file.bin"
    while not (partial.exists() and partial.stat().st_size > 20_000):
        time.sleep(0.01)
    writer.kill()
    writer.wait()
    assert storage.size("file.bin") is None
    storage.write("file.bin", 1_000_000, of(b"x" * 1_000_000))
    assert b"".join(storage.read("file.bin")) == b"x" * 1_000_000
