"""Our own storage in a bucket: what only a service can get wrong, seen at a real one."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.storage.address import S3Address
from catalog.storage.answers import AlreadyThereError
from catalog.storage.base import StorageRefusedError, StorageUnavailableError
from catalog.storage.bodies import Body
from catalog.storage.files import FileBusyError, SourceLengthError
from catalog.storage.multipart import (
    LARGEST_PART,
    MIB,
    MOST_PARTS,
    Multipart,
    grown_part,
    planned_part,
    uploads,
)
from catalog.storage.s3 import S3Storage
from catalog.storage.s3_receive import size_of_part
from tests.buckets import PART_BYTES, new_storage, opened
from tests.fakes.broken_line import broken_line
from tests.releases.processes import PEAK_KIB
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY, S3Server

pytestmark = pytest.mark.s3
CONTENT = bytes(range(256)) * 5000
WHOLE = 5 << 40  # the longest object of a service


@pytest.fixture
def storage(s3: S3Server, tmp_path: Path) -> S3Storage:
    return new_storage(s3, tmp_path)


def from_start(content: bytes) -> Callable[[int], Iterator[bytes]]:
    return lambda start: iter([content[start:]])


def under_way(storage: S3Storage) -> list[str]:
    return [upload.key for upload, _ in uploads(storage.client, storage.bucket, "")]


def counted(storage: S3Storage, operation: str) -> list[dict[str, Any]]:
    """Give a list to which each call of an operation is added from now on."""
    calls: list[dict[str, Any]] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        if params.get("Bucket") == storage.bucket:
            calls.append(dict(params))

    storage.client.meta.events.register(f"provide-client-params.s3.{operation}", note)
    return calls


@given(st.integers(0, 5 << 40), st.integers(5 * MIB, 1024 * MIB))
def test_a_file_of_known_length_fits_into_the_parts_that_a_service_takes(size_bytes: int, least: int) -> None:
    part = planned_part(size_bytes, least)
    assert least <= part <= LARGEST_PART
    assert -(-size_bytes // part) <= MOST_PARTS


@given(st.integers(5 * MIB, 1024 * MIB))
def test_the_parts_of_a_file_of_unknown_length_grow_until_any_fits(first: int) -> None:
    parts = [grown_part(number, first) for number in range(1, MOST_PARTS + 1)]
    assert parts == sorted(parts)
    assert parts[:1000] == [first] * 1000
    assert max(parts) <= LARGEST_PART
    assert sum(parts) >= min(WHOLE, first * (MOST_PARTS << 6))
    assert next(number for number, done in enumerate(accumulate(parts)) if done >= 10 << 30) < MOST_PARTS


def test_a_service_that_wants_equal_parts_gets_them() -> None:
    address = S3Address("bucket", parts="equal")
    assert {size_of_part(address)(number) for number in (1, 1001, MOST_PARTS)} == {64 * MIB}
    assert size_of_part(replace(address, part_bytes=128 * MIB))(1) == 128 * MIB
    assert size_of_part(replace(address, parts="growing"))(1001) == 16 * MIB


def test_only_missing_parts_are_sent(storage: S3Storage) -> None:
    begun, _ = storage.go_on("file.bin", len(CONTENT), "t")
    for number in (1, 3):
        with Body(storage.scratch) as body:
            body.add(CONTENT[(number - 1) * PART_BYTES : number * PART_BYTES])
            begun.upload.put(number, body)
    sent, starts = counted(storage, "UploadPart"), []

    def noted(start: int) -> Iterator[bytes]:
        starts.append(start)
        yield CONTENT[start:]

    storage.write("file.bin", len(CONTENT), noted, tag="t")
    assert starts == [PART_BYTES]
    assert sorted(call["PartNumber"] for call in sent) == [2, 4, 5, 6]
    assert b"".join(storage.read("file.bin")) == CONTENT


def test_nothing_but_the_file_is_left_when_it_is_written(storage: S3Storage) -> None:
    storage.write("a/file.bin", len(CONTENT), from_start(CONTENT), tag="t")
    assert storage.below("") == ["own/a/file.bin"]
    assert under_way(storage) == []


def test_a_source_that_gives_too_much_leaves_nothing(storage: S3Storage) -> None:
    with pytest.raises(SourceLengthError):
        storage.write("file.bin", len(CONTENT) - 1, from_start(CONTENT), tag="t")
    assert storage.below("") == []
    assert under_way(storage) == []


@pytest.mark.parametrize("checksum", ["sha256", "md5"])
@pytest.mark.parametrize("length", [1000, len(CONTENT)])
def test_bytes_that_are_damaged_on_the_way_are_not_taken(
    s3: S3Server, tmp_path: Path, checksum: str, length: int
) -> None:
    storage = new_storage(s3, tmp_path, checksum=checksum)
    content = CONTENT[:length]

    def damage(params: dict[str, Any], **_: Any) -> None:
        if params["Bucket"] == storage.bucket and params["Key"] == "own/file.bin":
            params["Body"] = b"x" * params["ContentLength"]

    sendings = [f"provide-client-params.s3.{operation}" for operation in ("PutObject", "UploadPart")]
    for sending in sendings:
        storage.client.meta.events.register(sending, damage)
    with pytest.raises(StorageUnavailableError, match=r"BadDigest.*tried again"):
        storage.write("file.bin", length, from_start(content), tag="t")
    for sending in sendings:
        storage.client.meta.events.unregister(sending, damage)
    assert storage.size("file.bin") is None
    storage.write("file.bin", length, from_start(content), tag="t")
    assert b"".join(storage.read("file.bin")) == content


def test_a_part_that_another_writer_replaced_stops_the_upload(storage: S3Storage) -> None:
    def meanwhile(start: int) -> Iterator[bytes]:
        yield CONTENT[start:]
        begun = storage.notes.find("file.bin", "t")
        assert begun is not None
        with Body(storage.scratch) as body:
            body.add(bytes(PART_BYTES))
            begun.upload.put(1, body)

    with pytest.raises(FileBusyError, match="another process"):
        storage.write("file.bin", len(CONTENT), meanwhile, tag="t")
    assert storage.below("") == []
    assert under_way(storage) == []
    storage.write("file.bin", len(CONTENT), from_start(CONTENT), tag="t")
    assert b"".join(storage.read("file.bin")) == CONTENT


def test_an_upload_that_was_dropped_begins_anew(storage: S3Storage) -> None:
    begun, _ = storage.go_on("file.bin", len(CONTENT), "t")
    begun.upload.abort()
    begun.upload.abort()
    storage.write("file.bin", len(CONTENT), from_start(CONTENT), tag="t")
    assert b"".join(storage.read("file.bin")) == CONTENT


@pytest.mark.parametrize("way", ["write", "receive"])
def test_a_lost_answer_to_the_last_call_does_not_matter(storage: S3Storage, way: str) -> None:
    completed = counted(storage, "CompleteMultipartUpload")

    def finish_before(params: dict[str, Any], **_: Any) -> None:
        if params["Bucket"] == storage.bucket and len(completed) == 1:
            storage.client.complete_multipart_upload(**params)
            params["UploadId"] = "unknown"

    storage.client.meta.events.register("provide-client-params.s3.CompleteMultipartUpload", finish_before)
    if way == "write":
        storage.write("file.bin", len(CONTENT), from_start(CONTENT), tag="t")
    else:
        with storage.receive("file.bin", tag="t") as receiver:
            receiver.append(CONTENT)
            receiver.commit()
    assert len(completed) == 2
    assert b"".join(storage.read("file.bin")) == CONTENT
    assert storage.below("") == ["own/file.bin"]


def test_what_must_stay_is_not_replaced(storage: S3Storage) -> None:
    storage.write_bytes("file.bin", b"first")
    upload = Multipart.begin(storage.client, storage.bucket, storage.name("file.bin"), metadata={})
    with Body(storage.scratch) as body:
        body.add(b"second")
        part = upload.put(1, body)
    with pytest.raises(AlreadyThereError, match="may not be replaced"):
        upload.complete([part], only_if_absent=True)
    assert b"".join(storage.read("file.bin")) == b"first"


def test_a_wrong_key_is_refused_with_what_to_look_at(s3: S3Server, tmp_path: Path, storage: S3Storage) -> None:
    wrong = S3Storage(storage.address, access_key=ACCESS_KEY, secret_key="other", scratch=tmp_path)
    for act in (lambda: wrong.size("a"), lambda: wrong.write_bytes("a", b"x"), lambda: list(wrong.read("a"))):
        with pytest.raises(StorageRefusedError, match=r"403.*DFC_STORAGE_URL"):
            act()


def test_a_bucket_that_is_not_there_is_named(storage: S3Storage, tmp_path: Path) -> None:
    absent = opened(replace(storage.address, bucket="nobodys-bucket"), tmp_path)
    with pytest.raises(StorageRefusedError, match="NoSuchBucket"):
        absent.write_bytes("a", b"x")


def test_a_service_that_does_not_answer_is_tried_later(storage: S3Storage, tmp_path: Path) -> None:
    silent = opened(replace(storage.address, endpoint="http://127.0.0.1:9"), tmp_path)
    with pytest.raises(StorageUnavailableError, match="tried again"):
        silent.size("a")


def test_reading_goes_on_where_the_line_broke(s3: S3Server, storage: S3Storage, tmp_path: Path) -> None:
    storage.write("file.bin", len(CONTENT), from_start(CONTENT))
    port = urlsplit(s3.endpoint).port or 0
    with broken_line(port, breaks_after=400_000, breaks=3) as line:
        far = opened(replace(storage.address, endpoint=line.endpoint), tmp_path)
        assert b"".join(far.read("file.bin")) == CONTENT
        assert line.breaks == 0


def test_reading_does_not_go_on_in_another_file(s3: S3Server, storage: S3Storage, tmp_path: Path) -> None:
    storage.write("file.bin", len(CONTENT), from_start(CONTENT))
    port = urlsplit(s3.endpoint).port or 0
    with broken_line(port, breaks_after=400_000, breaks=3) as line:
        far = opened(replace(storage.address, endpoint=line.endpoint), tmp_path).read("file.bin")
        next(far)
        storage.write("file.bin", len(CONTENT), from_start(CONTENT[::-1]), tag="other")
        with pytest.raises(StorageUnavailableError, match="was replaced"):
            list(far)


def test_uploads_outside_of_our_prefix_are_left_alone(storage: S3Storage) -> None:
    Multipart.begin(storage.client, storage.bucket, "theirs/file.bin", metadata={})
    assert storage.drop_unfinished(before=datetime.now(UTC) + timedelta(days=1)) == 0
    assert under_way(storage) == ["theirs/file.bin"]


def test_a_copy_for_a_program_does_not_outlive_its_use(storage: S3Storage) -> None:
    storage.write_bytes("a/file.bin", b"x")
    with storage.local_copy("a/file.bin") as first, storage.local_copy("a/file.bin") as second:
        assert (first.read_bytes(), second.read_bytes()) == (b"x", b"x")
        assert first != second
    assert not any(storage.scratch.iterdir())


COPY = """
import sys
from pathlib import Path
from catalog.storage.copies import copied

with copied(iter([b"x"]), Path({scratch!r}), "file.bin") as path:
    print(path, flush=True)
    sys.stdin.read()
"""


def test_the_copy_of_a_killed_process_is_removed_by_the_next(storage: S3Storage) -> None:
    storage.write_bytes("a/file.bin", b"x")
    words = [sys.executable, "-c", COPY.format(scratch=str(storage.scratch))]
    with subprocess.Popen(words, env=here(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        path = Path(other.stdout.readline().strip())
        with storage.local_copy("a/file.bin"):
            assert path.exists()
        other.kill()
        other.wait()
        assert path.exists()
    with storage.local_copy("a/file.bin"):
        assert not path.exists()


def here() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path.cwd())}


def test_a_stranger_can_check_a_small_file_by_its_metadata(storage: S3Storage) -> None:
    storage.write_bytes("file.bin", b"abc")
    found = {name.lower(): value for name, value in storage.head("file.bin")["Metadata"].items()}
    assert found["dfc-sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("length", [1000, len(CONTENT)])
def test_what_is_not_committed_was_never_there(storage: S3Storage, length: int) -> None:
    storage.write_bytes("file.bin", b"before")
    with storage.receive("file.bin", tag="t") as receiver:
        receiver.append(CONTENT[:length])
    assert b"".join(storage.read("file.bin")) == b"before"
    assert under_way(storage) == []


def test_what_a_killed_receiver_left_is_dropped_by_its_age(storage: S3Storage) -> None:
    with storage.receive("file.bin", tag="t") as receiver:
        receiver.append(CONTENT)
        assert under_way(storage) == ["own/file.bin"]
        assert storage.drop_unfinished(before=datetime.now(UTC) + timedelta(days=1)) == 1
        assert under_way(storage) == []


MEMORY = """
from contextlib import ExitStack
from pathlib import Path
from catalog.storage.address import S3Address
from catalog.storage.s3 import S3Storage

def source(start):
    block = bytes(1 << 20)
    for done in range(start, SIZE, 1 << 20):
        yield block

SIZE = {size_bytes}
storage = S3Storage({address!r}, access_key={access_key!r}, secret_key={secret_key!r}, scratch=Path({scratch!r}))
storage.write("long.bin", SIZE, source)
with storage.receive("unknown.bin", tag="t") as receiver:
    for block in source(SIZE // 2):
        receiver.append(block)
    receiver.commit()
with ExitStack() as stack:
    for number in range(16):
        receiver = stack.enter_context(storage.receive(f"many/{{number}}.bin", tag="t"))
        for block in source(SIZE - (8 << 20)):
            receiver.append(block)
assert sum(map(len, storage.read("long.bin"))) == SIZE
print({peak})
"""


@pytest.mark.parametrize(("size_mib", "part_mib"), [(112, 64), pytest.param(512, 8, marks=pytest.mark.long)])
@pytest.mark.timeout(300)
def test_memory_stays_flat_however_long_and_many_files_are(
    s3: S3Server, tmp_path: Path, size_mib: int, part_mib: int
) -> None:
    storage = new_storage(s3, tmp_path, part_bytes=part_mib * MIB)
    program = MEMORY.format(
        size_bytes=size_mib * MIB,
        peak=PEAK_KIB,
        address=storage.address,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        scratch=str(tmp_path),
    )
    done = subprocess.run([sys.executable, "-c", program], env=here(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 150 * 1024
