"""A long file that comes into a bucket and breaks off: its full parts are kept, read again, and joined in the end."""

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from catalog.storage.answers import UploadGoneError
from catalog.storage.base import Receiver
from catalog.storage.files import FileBusyError
from catalog.storage.s3 import KEPT_FROM_BYTES, S3Storage
from tests.buckets import PART_BYTES, new_storage, opened
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY, S3Server

pytestmark = pytest.mark.s3
CONTENT = bytes(range(256)) * 5000
KEY = "roads/file.bin"
LATER = timedelta(days=1)


@pytest.fixture
def storage(s3: S3Server, tmp_path: Path) -> S3Storage:
    return new_storage(s3, tmp_path)


def receive(storage: S3Storage, tag: str = "t") -> Receiver:
    return storage.receive(KEY, tag=tag, size_bytes=KEPT_FROM_BYTES)


def break_off(storage: S3Storage) -> None:
    """Take in three parts and a little of a file, as if the line had broken then."""
    with receive(storage) as receiver:
        receiver.append(CONTENT[: 3 * PART_BYTES + 10])


def finish(storage: S3Storage, receiver: Receiver) -> None:
    """Take in what is missing, and hold the file against what it must be."""
    for start in range(receiver.done_bytes, len(CONTENT), 70_001):
        receiver.append(CONTENT[start : start + 70_001])
    assert storage.size(KEY) is None
    receiver.commit()
    assert b"".join(storage.read(KEY)) == CONTENT
    assert storage.below("") == [f"own/{KEY}"]


def waiting(storage: S3Storage) -> list[str]:
    return [name.rpartition("/")[2] for name in storage.below("own/.partial/")]


def test_another_process_goes_on_behind_the_parts_that_are_kept(storage: S3Storage, tmp_path: Path) -> None:
    break_off(storage)
    far = opened(storage.address, tmp_path)
    with receive(far) as receiver:
        assert receiver.done_bytes == 3 * PART_BYTES
        assert b"".join(receiver.kept()) == CONTENT[: 3 * PART_BYTES]
        finish(far, receiver)


KILLED = """
import sys
from pathlib import Path
from catalog.storage.address import S3Address
from catalog.storage.s3 import KEPT_FROM_BYTES, S3Storage

storage = S3Storage({address!r}, access_key={access!r}, secret_key={secret!r}, scratch=Path({scratch!r}))
with storage.receive({key!r}, tag="t", size_bytes=KEPT_FROM_BYTES) as receiver:
    receiver.append(bytes(range(256)) * 4000)
    print("waiting", flush=True)
    sys.stdin.read()
"""


def test_a_kill_costs_the_part_under_way_alone(storage: S3Storage, tmp_path: Path) -> None:
    words = {"address": storage.address, "access": ACCESS_KEY, "secret": SECRET_KEY, "scratch": str(tmp_path)}
    program = [sys.executable, "-c", KILLED.format(**words, key=KEY)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "waiting\n"
        other.send_signal(signal.SIGKILL)
    with receive(storage) as receiver:
        assert receiver.done_bytes == 4 * PART_BYTES
        assert b"".join(receiver.kept()) == CONTENT[: 4 * PART_BYTES]
        finish(storage, receiver)


def test_other_content_and_what_begins_anew_take_nothing_of_it(storage: S3Storage) -> None:
    break_off(storage)
    with receive(storage, tag="other") as receiver:
        assert (receiver.done_bytes, list(receiver.kept())) == (0, [])
    with receive(storage) as receiver:
        receiver.restart()
        assert (receiver.done_bytes, list(receiver.kept()), waiting(storage)) == (0, [], [])
        finish(storage, receiver)


def test_nothing_behind_a_gap_is_taken(storage: S3Storage) -> None:
    break_off(storage)
    storage.remove(f"own/.partial/{KEY}/t/00002")
    with receive(storage) as receiver:
        assert receiver.done_bytes == PART_BYTES
        finish(storage, receiver)


@pytest.mark.parametrize(("replaced", "error"), [(b"y" * PART_BYTES, FileBusyError), (None, UploadGoneError)])
def test_a_part_that_another_process_replaced_or_removed_never_gets_in(
    storage: S3Storage, replaced: bytes | None, error: type[Exception]
) -> None:
    break_off(storage)
    with receive(storage) as receiver:
        receiver.append(CONTENT[receiver.done_bytes :])
        name = f"own/.partial/{KEY}/t/00002"
        storage.remove(name)
        if replaced:
            storage.client.put_object(Bucket=storage.bucket, Key=name, Body=replaced)
        with pytest.raises(error):
            receiver.commit()
    assert storage.below("") == []
    with receive(storage) as receiver:
        finish(storage, receiver)


def test_an_answer_to_the_last_call_that_is_lost_does_not_matter(storage: S3Storage) -> None:
    def finish_before(params: dict[str, Any], **_: Any) -> None:
        if params["Bucket"] == storage.bucket and params["UploadId"] != "unknown" and not waits:
            waits.append(params["UploadId"])
            storage.client.complete_multipart_upload(**params)
            params["UploadId"] = "unknown"

    waits: list[str] = []
    storage.client.meta.events.register("provide-client-params.s3.CompleteMultipartUpload", finish_before)
    with receive(storage) as receiver:
        finish(storage, receiver)
    assert len(waits) == 1


def test_an_empty_file_is_a_file(storage: S3Storage) -> None:
    with receive(storage) as receiver:
        receiver.commit()
    assert storage.size(KEY) == 0


def test_parts_that_nobody_goes_on_with_are_dropped_by_the_age_of_the_newest(storage: S3Storage) -> None:
    break_off(storage)
    assert storage.drop_unfinished(before=datetime.now(UTC) - LATER) == 0
    assert waiting(storage) == ["00001", "00002", "00003"]
    assert storage.drop_unfinished(before=datetime.now(UTC) + LATER) == 1
    assert waiting(storage) == []


def test_where_the_service_cannot_join_objects_nothing_is_kept(s3: S3Server, tmp_path: Path) -> None:
    storage = new_storage(s3, tmp_path, resume="no")
    break_off(storage)
    with receive(storage) as receiver:
        assert (receiver.done_bytes, waiting(storage)) == (0, [])
        finish(storage, receiver)
