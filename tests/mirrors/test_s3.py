"""A bucket as a mirror: what only a service can get wrong, seen at a real one or at one that errs as told."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from catalog.storage.multipart import MIB, MOST_PARTS, uploads
from mirrors.backends.base import Draft, Upload
from mirrors.backends.s3 import S3Mirror
from mirrors.backends.s3_bucket import checksums_of
from mirrors.backends.s3_put import part_of
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError
from tests.fakes.broken_line import broken_line
from tests.mirrors.s3_mirrors import PART_BYTES, Answered, Told, again, new_mirror, under_way
from tests.mirrors.uploads import KEY, RAIL, ROADS, Kept, Source, put, upload, whole
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.s3
SMALL = b"of one part"
DRAFT = Draft(KEY, KEY)


@pytest.fixture
def mirror(s3: S3Server, tmp_path: Path) -> S3Mirror:
    return new_mirror(s3, tmp_path)


def file_upload(folder: Path, content: bytes) -> Upload:
    path = folder / "roads.bin"
    path.write_bytes(content)
    return replace(upload(content), open=no_stream, file=path)


def no_stream(_start: int) -> Iterator[bytes]:
    raise AssertionError("a file of this machine is sent from where it lies")


@pytest.mark.parametrize("content", [b"", SMALL, ROADS], ids=["empty", "one part", "parts"])
def test_a_file_of_this_machine_is_sent_from_where_it_lies(mirror: S3Mirror, tmp_path: Path, content: bytes) -> None:
    seen: list[int] = []
    locator = put(mirror, file_upload(tmp_path, content), progress=seen.append)
    assert whole(mirror, locator) == content
    assert seen[-1] == len(content)


@pytest.mark.parametrize("content", [SMALL, ROADS], ids=["one part", "parts"])
@pytest.mark.parametrize("more", [-1, 1])
def test_a_file_of_another_length_is_not_stored(mirror: S3Mirror, tmp_path: Path, content: bytes, more: int) -> None:
    one = replace(file_upload(tmp_path, content), size_bytes=len(content) + more)
    with pytest.raises(MirrorUnavailableError, match="far: The source"):
        put(mirror, one)
    assert mirror.stat(mirror.locator(DRAFT, one.path)) is None
    assert len(under_way(mirror)) <= 1


def test_a_small_source_of_other_bytes_than_announced_is_not_stored(mirror: S3Mirror) -> None:
    with pytest.raises(MirrorUnavailableError, match="gave other bytes than were announced"):
        put(mirror, upload(SMALL[::-1], of=SMALL))
    assert mirror.stat(mirror.locator(DRAFT, "roads.bin")) is None


def test_after_a_break_only_missing_parts_are_sent(mirror: S3Mirror, tmp_path: Path) -> None:
    checkpoint, one = Kept(), file_upload(tmp_path, ROADS)

    def breaks(params: dict[str, Any]) -> None:
        if params["PartNumber"] == 4:
            raise ClientError({"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "put")

    with (
        Told(mirror, "UploadPart", breaks) as first,
        pytest.raises(MirrorUnavailableError, match="cannot answer now"),
    ):
        put(mirror, one, checkpoint)
    with Told(mirror, "UploadPart", lambda _params: None) as second:
        put(again(mirror), one, checkpoint)
        put(mirror, one, checkpoint)
    arrived = {call["PartNumber"] for call in first.calls} - {4}
    assert {1, 2, 3} <= arrived
    assert sorted(call["PartNumber"] for call in second.calls) == sorted(
        {4, 5, 6} - arrived
    )  # by several threads, in any order
    assert whole(mirror, mirror.locator(DRAFT, "roads.bin")) == ROADS
    assert under_way(mirror) == []
    assert checkpoint.saved == {}


def test_an_upload_that_the_service_dropped_begins_anew(mirror: S3Mirror) -> None:
    checkpoint = Kept()
    with pytest.raises(MirrorUnavailableError):
        put(mirror, upload(Source(ROADS, ends_at=3 * PART_BYTES)), checkpoint)
    for one, _ in uploads(mirror.objects.client, mirror.place.bucket, mirror.place.prefix):
        one.abort()
    assert whole(mirror, put(mirror, upload(ROADS), checkpoint)) == ROADS


@pytest.mark.parametrize("content", [SMALL, ROADS], ids=["one part", "parts"])
def test_two_writers_of_the_same_bytes_make_one_object(mirror: S3Mirror, content: bytes) -> None:
    together = threading.Barrier(2)

    def write(one: S3Mirror) -> str:
        def source(start: int) -> Iterator[bytes]:
            together.wait(20)
            yield content[start:]

        return put(one, replace(upload(content), open=source))

    with ThreadPoolExecutor(2) as pool:
        locators = set(pool.map(write, [mirror, again(mirror)]))
    assert len(locators) == 1
    assert whole(mirror, locators.pop()) == content
    assert under_way(mirror) == []


ENDS = {"one part": ("PutObject", SMALL), "parts": ("CompleteMultipartUpload", ROADS)}


def meanwhile(mirror: S3Mirror, content: bytes) -> Callable[[dict[str, Any]], None]:
    """Let another writer be quicker, after our last look and before our call."""
    other, done = again(mirror), threading.Event()

    def look(_params: dict[str, Any]) -> None:
        if not done.is_set():
            done.set()
            put(other, upload(content))

    return look


@pytest.mark.parametrize("end", ENDS)
def test_who_comes_second_with_the_same_bytes_has_nothing_to_do(mirror: S3Mirror, end: str) -> None:
    operation, content = ENDS[end]
    checkpoint = Kept()
    with Told(mirror, operation, meanwhile(mirror, content)) as told:
        locator = put(mirror, upload(content), checkpoint)
    assert [call["IfNoneMatch"] for call in told.calls][:1] == ["*"]
    assert whole(mirror, locator) == content
    assert under_way(mirror) == []
    assert checkpoint.saved == {}


@pytest.mark.parametrize("end", ENDS)
def test_who_comes_second_with_other_bytes_is_refused(mirror: S3Mirror, end: str) -> None:
    operation, content = ENDS[end]
    with (
        Told(mirror, operation, meanwhile(mirror, content[::-1])),
        pytest.raises(MirrorRefusedError, match="holds other bytes under that name"),
    ):
        put(mirror, upload(content))
    assert whole(mirror, mirror.locator(DRAFT, "roads.bin")) == content[::-1]
    assert under_way(mirror) == []


def refuses_conditions(request: Any) -> tuple[int, str] | None:
    return (501, "NotImplemented") if "If-None-Match" in request.headers else None


@pytest.mark.parametrize("end", ENDS)
def test_a_service_that_cannot_be_asked_for_a_condition_is_looked_at(mirror: S3Mirror, end: str) -> None:
    operation, content = ENDS[end]
    with Answered(mirror, operation, refuses_conditions):
        locator = put(mirror, upload(content))
        with pytest.raises(MirrorRefusedError, match="holds other bytes"):
            put(mirror, upload(content[::-1]))
    assert whole(mirror, locator) == content


@pytest.mark.parametrize("end", ENDS)
def test_a_service_that_ignores_the_condition_is_looked_at_before(mirror: S3Mirror, end: str) -> None:
    operation, content = ENDS[end]
    with Told(mirror, operation, lambda params: params.pop("IfNoneMatch", None)) as told:
        locator = put(mirror, upload(content))
        with pytest.raises(MirrorRefusedError, match="holds other bytes"):
            put(mirror, upload(content[::-1]))
    assert len(told.calls) == 1
    assert whole(mirror, locator) == content


def test_a_lost_answer_to_the_last_call_does_not_matter(mirror: S3Mirror) -> None:
    def finish_before(params: dict[str, Any]) -> None:
        if len(told.calls) == 1:
            again(mirror).objects.client.complete_multipart_upload(**params)

    with Told(mirror, "CompleteMultipartUpload", finish_before) as told:
        locator = put(mirror, upload(ROADS))
    assert whole(mirror, locator) == ROADS
    assert under_way(mirror) == []


@pytest.mark.parametrize("same", [True, False])
def test_what_others_put_there_is_read_before_it_counts(mirror: S3Mirror, same: bool) -> None:  # noqa: FBT001
    locator = mirror.locator(DRAFT, "roads.bin")
    content = SMALL if same else SMALL[::-1]
    mirror.objects.client.put_object(**mirror.objects.words(locator), Body=content)
    if same:
        assert put(mirror, upload(SMALL)) == locator
    else:
        with pytest.raises(MirrorRefusedError, match="holds other bytes"):
            put(mirror, upload(SMALL))
    assert whole(mirror, locator) == content


def test_a_short_file_has_the_checksum_of_the_service_and_a_long_one_none(mirror: S3Mirror) -> None:
    short, long = put(mirror, upload(SMALL)), put(mirror, upload(ROADS, path="long.bin"))
    for locator, checksums in ((short, {"md5": upload(SMALL).md5}), (long, {})):
        stat = mirror.stat(locator)
        assert stat is not None
        assert stat.checksums == checksums
    listed = mirror.listing(DRAFT)
    assert {path: one.size_bytes for path, one in listed.items()} == {"roads.bin": 11, "long.bin": len(ROADS)}


MD5 = '"d41d8cd98f00b204e9800998ecf8427e"'
SHA = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@pytest.mark.parametrize(
    ("found", "names"),
    [
        ({"ETag": MD5}, {"md5"}),
        ({"ETag": MD5, "ServerSideEncryption": "AES256"}, {"md5"}),
        ({"ETag": MD5, "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"}, set()),
        ({"ETag": MD5, "SSECustomerAlgorithm": "AES256"}, set()),
        ({"ETag": '"d41d8cd98f00b204e9800998ecf8427e-3"'}, set()),
        ({"ETag": '"an opaque word"'}, set()),
        ({"ETag": MD5, "Metadata": {"dfc-sha256": "00"}}, {"md5"}),
        ({"ChecksumSHA256": SHA, "ChecksumType": "FULL_OBJECT"}, {"sha256"}),
        ({"ChecksumSHA256": SHA}, {"sha256"}),
        ({"ChecksumSHA256": f"{SHA}-3", "ChecksumType": "COMPOSITE"}, set()),
        ({"ChecksumSHA256": SHA, "ChecksumType": "COMPOSITE"}, set()),
        ({"ChecksumSHA256": "no base64!"}, set()),
    ],
)
def test_only_what_the_service_reckons_of_the_whole_is_its_checksum(found: dict[str, Any], names: set[str]) -> None:
    assert checksums_of(found).keys() == names


def test_parts_are_short_for_short_files_and_never_too_many() -> None:
    assert part_of(200 * MIB, 64 * MIB) == 8 * MIB
    assert part_of(4096 * MIB, 64 * MIB) == 32 * MIB
    assert part_of(100 << 30, 64 * MIB) == 64 * MIB
    assert -(-(5 << 40) // part_of(5 << 40, 64 * MIB)) <= MOST_PARTS
    assert part_of(len(ROADS), PART_BYTES) == PART_BYTES


def test_an_upload_outlives_a_line_that_breaks(s3: S3Server, mirror: S3Mirror) -> None:
    checkpoint, port = Kept(), urlsplit(s3.endpoint).port or 0
    with broken_line(port, breaks_after=0, breaks=12) as line:
        far = again(mirror, endpoint=line.endpoint)
        for _ in range(12):
            try:
                put(far, upload(ROADS), checkpoint)
                break
            except MirrorUnavailableError:
                assert line.breaks < 12
    assert whole(mirror, mirror.locator(DRAFT, "roads.bin")) == ROADS
    assert under_way(mirror) == []


def test_only_our_old_uploads_that_nobody_goes_on_with_are_dropped(s3: S3Server, mirror: S3Mirror) -> None:
    other, checkpoint = new_mirror(s3, mirror.objects.scratch), Kept()
    for one, kept in ((mirror, Kept()), (mirror, checkpoint), (other, Kept())):
        with pytest.raises(MirrorUnavailableError):
            put(one, upload(Source(ROADS, ends_at=PART_BYTES)), kept)
    drop = partial(mirror.drop_unfinished, keep={checkpoint.saved["upload_id"]})
    assert drop(before=datetime.now(UTC) - timedelta(days=7)) == 0
    assert drop(before=datetime.now(UTC) + timedelta(days=1)) == 1
    assert drop(before=datetime.now(UTC) + timedelta(days=1)) == 0
    assert under_way(mirror) == [checkpoint.saved["upload_id"]]
    assert len(under_way(other)) == 1
    assert whole(mirror, put(mirror, upload(ROADS), checkpoint)) == ROADS


def test_each_try_that_got_on_counts_as_headway_and_no_other(mirror: S3Mirror) -> None:
    checkpoint = Kept()
    for parts, headways in ((2, 0), (2, 1), (2, 1), (4, 1), (5, 2)):
        with pytest.raises(MirrorUnavailableError):
            put(mirror, upload(Source(ROADS, ends_at=parts * PART_BYTES)), checkpoint)
        assert checkpoint.headways == headways
    assert whole(mirror, put(mirror, upload(ROADS), checkpoint)) == ROADS


def test_a_checkpoint_holds_no_key(mirror: S3Mirror) -> None:
    checkpoint = Kept()
    with pytest.raises(MirrorUnavailableError):
        put(mirror, upload(Source(ROADS, ends_at=PART_BYTES)), checkpoint)
    assert "testing" not in json.dumps(checkpoint.saved)
    assert "testing" not in repr(mirror.objects.service)


def test_rail_put_after_a_broken_put_of_roads_leaves_no_upload_of_ours_behind_but_the_old_one(
    mirror: S3Mirror,
) -> None:
    checkpoint = Kept()
    with pytest.raises(MirrorUnavailableError):
        put(mirror, upload(Source(ROADS, ends_at=PART_BYTES)), checkpoint)
    put(mirror, upload(RAIL), checkpoint)
    assert len(under_way(mirror)) == 1
