"""A bucket as a mirror: what only a service can get wrong, seen at a real one or at one that errs as told."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from catalog.storage.multipart import MIB, MOST_PARTS, uploads
from mirrors.backends.base import Draft, Upload
from mirrors.backends.s3 import S3Mirror
from mirrors.backends.s3_bucket import checksums_of
from mirrors.backends.s3_put import part_of
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError
from tests.fakes.broken_line import broken_line
from tests.mirrors.s3_mirrors import NAMES, PART_BYTES, new_mirror, place_at, service_at
from tests.mirrors.test_contract import KEY, RAIL, RECORD, ROADS, Kept, Source, put, quiet, upload, whole
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.s3
SMALL = b"of one part"
DRAFT = Draft(KEY, KEY)


@pytest.fixture
def mirror(s3: S3Server, tmp_path: Path) -> S3Mirror:
    return new_mirror(s3, tmp_path)


def again(mirror: S3Mirror, **changes: Any) -> S3Mirror:
    """Open the same place as another process would, with a line of its own."""
    service = replace(mirror.objects.service, allowed=(), **changes)
    return S3Mirror(replace(service, allowed=None), mirror.place, scratch=mirror.objects.scratch)


def under_way(mirror: S3Mirror) -> list[str]:
    return [one.upload_id for one, _ in uploads(mirror.objects.client, mirror.place.bucket, mirror.place.prefix)]


class Told:
    """What the client is about to do is told to `look`, for this mirror's objects only, until the end."""

    def __init__(self, mirror: S3Mirror, operation: str, look: Callable[[dict[str, Any]], None]) -> None:
        self.mirror, self.event, self.look = mirror, f"provide-client-params.s3.{operation}", look
        self.calls: list[dict[str, Any]] = []

    def note(self, params: dict[str, Any], **_: Any) -> None:
        if params.get("Key", "").startswith(self.mirror.place.prefix):
            self.calls.append(dict(params))
            self.look(params)

    def __enter__(self) -> Self:
        self.mirror.objects.client.meta.events.register(self.event, self.note)
        return self

    def __exit__(self, *_: object) -> None:
        self.mirror.objects.client.meta.events.unregister(self.event, self.note)


class Answered:
    """The service's answers to an operation are replaced by those that `answer` gives."""

    def __init__(self, mirror: S3Mirror, operation: str, answer: Callable[[Any], tuple[int, str] | None]) -> None:
        self.mirror, self.event, self.answer = mirror, f"before-send.s3.{operation}", answer

    def send(self, request: Any, **_: Any) -> AWSResponse | None:
        said = self.answer(request) if self.mirror.place.prefix.rstrip("/") in request.url else None
        if said is None:
            return None
        body = f"<Error><Code>{said[1]}</Code><Message>as told</Message></Error>".encode() if said[1] else b""
        answer = AWSResponse(request.url, said[0], {}, None)
        answer._content = body
        return answer

    def __enter__(self) -> None:
        self.mirror.objects.client.meta.events.register(self.event, self.send)

    def __exit__(self, *_: object) -> None:
        self.mirror.objects.client.meta.events.unregister(self.event, self.send)


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

    with Told(mirror, "UploadPart", breaks), pytest.raises(MirrorUnavailableError, match="cannot answer now"):
        put(mirror, one, checkpoint)
    with Told(mirror, "UploadPart", lambda _params: None) as sent:
        put(again(mirror), one, checkpoint)
        put(mirror, one, checkpoint)
    assert [call["PartNumber"] for call in sent.calls] in ([], [4], [4, 5], [4, 5, 6], [4, 6])
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


PROCESS = """
import json, sys
from datetime import datetime, timedelta, UTC
from pathlib import Path
runs = Path(sys.argv[1])
runs.write_text((runs.read_text() if runs.exists() else "") + "x")
print(json.dumps({"Version": 1, "AccessKeyId": "test:tester", "SecretAccessKey": "testing",
    "Expiration": (datetime.now(UTC) + timedelta(seconds=int(sys.argv[2]))).isoformat()}))
"""


def with_process(mirror: S3Mirror, folder: Path, lasts_s: int) -> tuple[S3Mirror, Path]:
    program, runs = folder / "keys.py", folder / "runs.txt"
    program.write_text(PROCESS)
    command = f"{sys.executable} {program} {runs} {lasts_s}"
    return again(mirror, access_key="", secret_key="", key_process=command), runs


def test_keys_that_a_program_tells_are_renewed_before_they_expire(mirror: S3Mirror, tmp_path: Path) -> None:
    keyed, runs = with_process(mirror, tmp_path, 300)
    put(keyed, upload(ROADS))
    assert len(runs.read_text()) > 1, "five minutes are less than botocore waits for"
    lasting, runs = with_process(mirror, tmp_path, 7200)
    before = len(runs.read_text())
    put(lasting, upload(ROADS, path="rail.bin"))
    assert len(runs.read_text()) == before + 1


def test_an_upload_in_flight_goes_on_with_new_keys_once_the_old_ones_expired(
    mirror: S3Mirror, tmp_path: Path
) -> None:
    keyed, runs = with_process(mirror, tmp_path, 7200)
    expired = iter([(400, "ExpiredToken")])
    put(keyed, upload(SMALL, path="first.bin"))
    before = len(runs.read_text())
    with Answered(keyed, "UploadPart", lambda _request: next(expired, None)):
        locator = put(keyed, upload(ROADS))
    assert whole(keyed, locator) == ROADS
    assert len(runs.read_text()) == before + 1


def test_keys_that_stay_expired_are_said_to_be(mirror: S3Mirror, tmp_path: Path) -> None:
    keyed, _ = with_process(mirror, tmp_path, 7200)
    for one in (keyed, mirror):
        with (
            Answered(one, "*", lambda request: (400, "" if request.method == "HEAD" else "ExpiredToken")),
            pytest.raises(MirrorRefusedError, match=f"keys have expired .*{NAMES}CREDENTIAL_PROCESS"),
        ):
            put(one, upload(SMALL))


@pytest.mark.parametrize(
    "program",
    [
        "print('a secret')",
        "print('{}')",
        "print('[1]')",
        "import sys; sys.exit('a secret')",
        "print('{\"Version\": 2}')",
        'print(\'{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": "2020-01-01T00:00:00Z"}\')',
    ],
)
def test_a_program_that_tells_no_keys_is_named_and_its_words_are_not(
    mirror: S3Mirror, tmp_path: Path, program: str, caplog: Any
) -> None:
    (tmp_path / "keys.py").write_text(program)
    keyed = again(mirror, access_key="", secret_key="", key_process=f"{sys.executable} {tmp_path / 'keys.py'}")
    with pytest.raises(MirrorRefusedError, match=f"no keys came from {NAMES}CREDENTIAL_PROCESS") as caught:
        put(keyed, upload(SMALL))
    assert "a secret" not in f"{caught.value}{caplog.text}"


def test_a_program_gets_none_of_our_secrets(mirror: S3Mirror, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv(f"{NAMES}SECRET_ACCESS_KEY", "ours")
    (tmp_path / "keys.py").write_text(f"import os, sys; sys.exit('{NAMES}SECRET_ACCESS_KEY' in os.environ)")
    command = f"{sys.executable} {tmp_path / 'keys.py'}"
    with pytest.raises(MirrorRefusedError, match="no keys came from"):
        put(again(mirror, access_key="", secret_key="", key_process=command), upload(SMALL))


ACTS: dict[str, Callable[[S3Mirror], Any]] = {
    "find": lambda mirror: mirror.find(KEY, RECORD),
    "prepare": lambda mirror: mirror.prepare(KEY, RECORD),
    "put": lambda mirror: mirror.put(DRAFT, upload(SMALL), checkpoint=Kept(), progress=quiet),
    "stat": lambda mirror: mirror.stat(f"{KEY}/roads.bin"),
    "listing": lambda mirror: mirror.listing(DRAFT),
    "read": lambda mirror: whole(mirror, f"{KEY}/roads.bin"),
    "retire": lambda mirror: mirror.retire(f"{KEY}/roads.bin"),
}


@pytest.mark.parametrize("act", ACTS)
def test_wrong_keys_are_said_to_be(mirror: S3Mirror, act: str) -> None:
    for wrong in (again(mirror, secret_key="other"), again(mirror, access_key="nobody")):
        with pytest.raises(MirrorRefusedError, match=f"^far: .*{NAMES}ACCESS_KEY_ID|{NAMES}…"):
            ACTS[act](wrong)


@pytest.mark.parametrize("act", set(ACTS) - {"retire"})
def test_a_bucket_that_is_not_there_is_named_and_its_files_are_not_called_missing(
    s3: S3Server, tmp_path: Path, act: str
) -> None:
    absent = S3Mirror(
        service_at(s3.endpoint), place_at(s3.endpoint, bucket="nobodys-bucket"), scratch=tmp_path / "scratch"
    )
    with pytest.raises(MirrorRefusedError, match="there is no bucket 'nobodys-bucket' at http"):
        ACTS[act](absent)


@pytest.mark.parametrize("act", ACTS)
def test_a_service_that_is_silent_is_tried_later(mirror: S3Mirror, act: str) -> None:
    with pytest.raises(MirrorUnavailableError, match=r"cannot answer now .*look at its endpoint"):
        ACTS[act](again(mirror, endpoint="http://127.0.0.1:9"))


@pytest.mark.parametrize("act", ACTS)
def test_a_private_address_that_is_not_allowed_is_never_asked(mirror: S3Mirror, act: str) -> None:
    service = replace(mirror.objects.service, allowed=())
    with pytest.raises(MirrorRefusedError, match=r"127\.0\.0\.1 is no public address"):
        ACTS[act](S3Mirror(service, mirror.place, scratch=mirror.objects.scratch))


ANSWERS = [
    (413, "EntityTooLarge", MirrorRefusedError, "takes no more"),
    (403, "QuotaExceeded", MirrorRefusedError, "quota"),
    (507, "InsufficientStorage", MirrorRefusedError, "takes no more"),
    (403, "AccessDenied", MirrorRefusedError, "may not do that"),
    (403, "RequestTimeTooSkewed", MirrorRefusedError, "clock"),
    (400, "InvalidStorageClass", MirrorRefusedError, "storage class"),
    (400, "AuthorizationHeaderMalformed", MirrorRefusedError, "region"),
    (400, "SomethingNew", MirrorRefusedError, "the service refused .*doctor far"),
    (503, "SlowDown", MirrorUnavailableError, "503 SlowDown"),
    (500, "InternalError", MirrorUnavailableError, "500 InternalError"),
    (502, "", MirrorUnavailableError, "502"),
    (429, "TooManyRequests", MirrorUnavailableError, "429"),
]


@pytest.mark.parametrize(("status", "code", "kind", "words"), ANSWERS)
def test_each_refusal_is_a_sentence_with_what_to_look_at(
    mirror: S3Mirror, monkeypatch: Any, *, status: int, code: str, kind: type[Exception], words: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with Answered(mirror, "PutObject", lambda _request: (status, code)), pytest.raises(kind, match=words) as caught:
        put(mirror, upload(SMALL))
    assert "our storage" not in str(caught.value)
    assert whole(mirror, put(mirror, upload(SMALL))) == SMALL


def test_what_is_no_s3_service_is_called_so(mirror: S3Mirror) -> None:
    def page(request: Any, **_: Any) -> AWSResponse:
        answer = AWSResponse(request.url, 200, {"content-type": "text/html"}, None)
        answer._content = b"<html><body>Welcome!</body></html>"
        return answer

    other = again(mirror, region="eu-west-1")
    other.objects.client.meta.events.register("before-send.s3", page)
    for act in ("prepare", "find"):
        with pytest.raises(MirrorUnavailableError, match="is no S3 service"):
            ACTS[act](other)


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
