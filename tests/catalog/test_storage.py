"""A file in storage is whole, absent, or a partial that the next write continues."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from catalog.storage.base import Storage
from catalog.storage.files import FileBusyError, SourceLengthError, StorageKeyError, locate
from catalog.storage.local import LocalStorage
from catalog.storage.s3 import S3Storage
from tests.buckets import PART_BYTES, new_storage
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY

CONTENT = bytes(range(256)) * 5000


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return LocalStorage(tmp_path)
    return new_storage(request.getfixturevalue("s3"), tmp_path)


@pytest.fixture
def local(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def of(content: bytes, *, fails_after: int | None = None) -> Callable[[int], Iterator[bytes]]:
    def open_at(start: int) -> Iterator[bytes]:
        for position in range(start, len(content), 1000):
            if fails_after is not None and position >= fails_after:
                raise OSError("the disk went away")
            yield content[position : position + 1000]

    return open_at


def test_what_is_written_is_read_back_from_anywhere(storage: Storage) -> None:
    storage.write("a/b/file.bin", len(CONTENT), of(CONTENT))
    assert storage.size("a/b/file.bin") == len(CONTENT)
    assert b"".join(storage.read("a/b/file.bin")) == CONTENT
    assert b"".join(storage.read("a/b/file.bin", 70_001, 12)) == CONTENT[70_001:70_013]


def test_a_small_file_is_never_that_of_a_write_that_was_killed_before(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the catalogue's pointer: each content has the same name and often the same length."""
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)  # all is written, and has not its name yet
        with suppress(KeyboardInterrupt):
            storage.write_bytes("catalogue.json", b'{"edition": 7}')
    storage.write_bytes("catalogue.json", b'{"edition": 8}')
    assert b"".join(storage.read("catalogue.json")) == b'{"edition": 8}'


def killed(*_given: object) -> None:
    raise KeyboardInterrupt


def test_a_broken_write_shows_nothing_and_is_continued(storage: Storage) -> None:
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


def test_a_partial_of_other_content_is_not_continued(storage: Storage) -> None:
    with pytest.raises(OSError, match="went away"):
        storage.write("file.bin", len(CONTENT), of(b"x" * len(CONTENT), fails_after=500_000), tag="other")
    storage.write("file.bin", len(CONTENT), of(CONTENT), tag="this")
    assert b"".join(storage.read("file.bin")) == CONTENT


@pytest.mark.parametrize("announced", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_source_of_another_length_is_refused(storage: Storage, announced: int) -> None:
    with pytest.raises(SourceLengthError, match=str(announced)):
        storage.write("file.bin", announced, of(CONTENT))
    assert storage.size("file.bin") is None


@pytest.mark.parametrize("tag", ["same bytes", "other bytes"])
def test_two_writers_of_one_file_do_not_mix(storage: Storage, tag: str) -> None:
    theirs = CONTENT if tag == "same bytes" else bytes(len(CONTENT))

    def meanwhile(start: int) -> Iterator[bytes]:
        yield from of(CONTENT[:500_000])(start)
        with suppress(FileBusyError):
            storage.write("file.bin", len(theirs), of(theirs), tag=tag)
        yield CONTENT[500_000:]

    storage.write("file.bin", len(CONTENT), meanwhile, tag="same bytes")
    assert b"".join(storage.read("file.bin")) == CONTENT


def test_a_second_writer_on_this_machine_is_told_to_come_back(local: LocalStorage) -> None:
    def meanwhile(start: int) -> Iterator[bytes]:
        with pytest.raises(FileBusyError):
            local.write("file.bin", 3, of(b"abc"))
        yield from of(CONTENT)(start)

    local.write("file.bin", len(CONTENT), meanwhile)
    assert b"".join(local.read("file.bin")) == CONTENT


@pytest.mark.parametrize(
    "key", ["/etc/passwd", "../x", "a/../x", "a//b", ".hidden", "a/.partial/x", "a\\b", "a\0b", ""]
)
def test_a_key_that_would_leave_the_root_is_refused(storage: Storage, key: str) -> None:
    with pytest.raises(StorageKeyError, match="Use names"):
        storage.size(key)
    with pytest.raises(StorageKeyError, match="Use names"):
        storage.write_bytes(key, b"x")


def test_a_link_that_leaves_the_root_is_refused(local: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/etc")
    with pytest.raises(StorageKeyError, match="leads outside"):
        local.path("out/passwd")


@given(st.text(max_size=60))
def test_no_key_at_all_leads_outside(key: str) -> None:
    root = Path("/nowhere/root")
    with suppress(StorageKeyError):
        assert locate(root, key).is_relative_to(root)


WRITER = """
import sys
from pathlib import Path
from catalog.storage.address import S3Address
from catalog.storage.local import LocalStorage
from catalog.storage.s3 import S3Storage

def slow(start):
    for done in range(start, 1_000_000, 1000):
        yield b"x" * 1000

def say(done):
    if done >= 300_000:
        print(done, flush=True)
        sys.stdin.read()

{storage}.write("file.bin", 1_000_000, slow, tag="t", progress=say)
"""


def spelled(storage: Storage) -> str:
    """Give the Python words that open the same storage in another process."""
    if isinstance(storage, S3Storage):
        keys = f"access_key={ACCESS_KEY!r}, secret_key={SECRET_KEY!r}, scratch=Path({str(storage.scratch)!r})"
        return f"S3Storage({storage.address!r}, {keys})"
    return f"LocalStorage(Path({str(storage.directory)!r}))"


def test_a_killed_writer_is_continued_by_another_process(storage: Storage) -> None:
    program = WRITER.format(storage=spelled(storage))
    words, environment = [sys.executable, "-c", program], {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert int(writer.stdout.readline()) >= 300_000
        writer.kill()
    assert storage.size("file.bin") is None
    starts: list[int] = []

    def noted(start: int) -> Iterator[bytes]:
        starts.append(start)
        return of(b"x" * 1_000_000)(start)

    storage.write("file.bin", 1_000_000, noted, tag="t")
    assert starts[0] >= 300_000
    assert b"".join(storage.read("file.bin")) == b"x" * 1_000_000


def test_an_empty_file_is_a_file(storage: Storage) -> None:
    storage.write_bytes("empty", b"")
    assert storage.size("empty") == 0
    assert b"".join(storage.read("empty")) == b""
    with storage.open("empty") as file:
        assert file.read() == b""


def test_a_range_ends_where_the_file_ends(storage: Storage) -> None:
    storage.write_bytes("file.bin", b"0123456789")
    assert b"".join(storage.read("file.bin", 7)) == b"789"
    assert b"".join(storage.read("file.bin", 7, 100)) == b"789"
    assert b"".join(storage.read("file.bin", 10)) == b""
    assert b"".join(storage.read("file.bin", 20, 5)) == b""
    assert b"".join(storage.read("file.bin", 3, 0)) == b""


def test_an_absent_file_is_absent_whichever_way_it_is_asked_for(storage: Storage) -> None:
    assert storage.size("a/none") is None
    with pytest.raises(FileNotFoundError):
        b"".join(storage.read("a/none"))
    with pytest.raises(FileNotFoundError):
        storage.open("a/none")
    storage.delete("a/none")
    storage.delete_folder("a")


def test_a_file_is_read_here_and_there(storage: Storage) -> None:
    storage.write("file.bin", len(CONTENT), of(CONTENT))
    with storage.open("file.bin") as file:
        file.seek(-8, os.SEEK_END)
        assert file.read() == CONTENT[-8:]
        file.seek(600_001)
        assert file.read(3) == CONTENT[600_001:600_004]
        file.seek(1, os.SEEK_CUR)
        assert file.read(2) == CONTENT[600_005:600_007]


def test_a_table_is_read_without_the_rest_of_its_file(storage: Storage) -> None:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table({"number": range(1000)}).replace_schema_metadata({"geo": "{}"}), sink)
    storage.write_bytes("table.parquet", sink.getvalue().to_pybytes())
    with storage.open("table.parquet") as file:
        metadata = parquet.read_metadata(file)
    assert metadata.num_rows == 1000
    assert metadata.metadata[b"geo"] == b"{}"


def test_a_program_gets_a_path_to_the_bytes(storage: Storage) -> None:
    storage.write("a/file.bin", len(CONTENT), of(CONTENT))
    with storage.local_copy("a/file.bin") as path:
        assert path.name == "file.bin"
        assert path.read_bytes() == CONTENT
    assert storage.size("a/file.bin") == len(CONTENT)


def test_what_is_deleted_is_gone_and_its_neighbours_are_not(storage: Storage) -> None:
    for key in ("a/one", "a/b/two", "ab/three", "a.txt"):
        storage.write_bytes(key, b"x")
    storage.delete("a.txt")
    storage.delete_folder("a")
    assert [storage.size(key) for key in ("a/one", "a/b/two", "ab/three", "a.txt")] == [None, None, 1, None]


def test_a_file_is_replaced_whole(storage: Storage) -> None:
    storage.write("file.bin", len(CONTENT), of(CONTENT))
    storage.write_bytes("file.bin", b"short")
    assert b"".join(storage.read("file.bin")) == b"short"


def test_unfinished_files_of_long_ago_are_dropped_and_young_ones_stay(storage: Storage) -> None:
    with pytest.raises(OSError, match="went away"):
        storage.write("a/file.bin", len(CONTENT), of(CONTENT, fails_after=500_000), tag="t")
    assert storage.drop_unfinished(before=datetime.now(UTC) - timedelta(hours=1)) == 0
    starts: list[int] = []

    def breaks_again(start: int) -> Iterator[bytes]:
        starts.append(start)
        raise OSError("the disk went away")

    for _ in range(2):
        with pytest.raises(OSError, match="went away"):
            storage.write("a/file.bin", len(CONTENT), breaks_again, tag="t")
        dropped = storage.drop_unfinished(before=datetime.now(UTC) + timedelta(hours=1))
        assert dropped == 1
    assert starts == [500_000, 0]


def test_progress_ends_with_the_whole_file(storage: Storage) -> None:
    told: list[int] = []
    storage.write("file.bin", len(CONTENT), of(CONTENT), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)


@pytest.mark.parametrize("length", [0, 1, PART_BYTES, PART_BYTES + 1, len(CONTENT)])
def test_a_file_of_unknown_length_is_received(storage: Storage, length: int) -> None:
    with storage.receive("a/file.bin", tag="t") as receiver:
        assert receiver.done_bytes == 0
        assert list(receiver.kept()) == []
        for start in range(0, length, 7001):
            receiver.append(CONTENT[start : min(length, start + 7001)])
        assert storage.size("a/file.bin") is None
        receiver.commit()
    assert b"".join(storage.read("a/file.bin")) == CONTENT[:length]


@pytest.mark.parametrize("length", [1000, len(CONTENT)])
def test_a_source_that_begins_again_is_received_from_its_begin(storage: Storage, length: int) -> None:
    with storage.receive("file.bin", tag="t") as receiver:
        receiver.append(b"x" * length)
        receiver.restart()
        receiver.append(CONTENT)
        receiver.commit()
    assert b"".join(storage.read("file.bin")) == CONTENT
