"""What keys and refusals of a bucket come to: new keys in flight, or a sentence that names field or variable."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from catalog.errors import StewardshipError
from mirrors.backends.s3 import S3Mirror
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError
from tests.mirrors.s3_mirrors import BUSY, NAMES, PAUSE_S, Answered, again, new_mirror, place_at, service_at
from tests.mirrors.test_s3 import DRAFT, SMALL
from tests.mirrors.uploads import KEY, RECORD, ROADS, Kept, put, quiet, upload, whole
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.s3


@pytest.fixture
def mirror(s3: S3Server, tmp_path: Path) -> S3Mirror:
    return new_mirror(s3, tmp_path)


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


@pytest.mark.parametrize("act", sorted(set(ACTS) - {"retire"}))
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
    mirror: S3Mirror, monkeypatch: Any, *, status: int, code: str, kind: type[StewardshipError], words: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with Answered(mirror, "PutObject", lambda _request: (status, code)), pytest.raises(kind, match=words) as caught:
        put(mirror, upload(SMALL))
    assert "our storage" not in str(caught.value)
    assert caught.value.facts.get("after_s") == (PAUSE_S if status == BUSY else None)
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
