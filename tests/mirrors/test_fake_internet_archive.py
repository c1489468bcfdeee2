"""The stand-in for the Internet Archive is as strict as the real one where our code could go wrong."""

import hashlib
import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.fakes.internet_archive import ACCESS, S3_HOST, SECRET, SITE_HOST, UPLOADER, InternetArchive
from tests.mirrors.archives import archive

KEYS = {"Authorization": f"LOW {ACCESS}:{SECRET}"}
MAKES = {**KEYS, "x-archive-auto-make-bucket": "1", "x-archive-queue-derive": "0"}
BODY = b"roads"
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()


@pytest.fixture
def server() -> InternetArchive:
    return archive()


def ask(
    server: InternetArchive,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    host: str = SITE_HOST,
    **headers: str,
) -> tuple[int, str, Mapping[str, str]]:
    line = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    line.request(method, path, body, {"Host": host, **named})
    answer = line.getresponse()
    said = answer.status, answer.read().decode(), dict(answer.getheaders())
    line.close()
    return said


def put(server: InternetArchive, path: str = "/an-item/roads.csv", **headers: str) -> tuple[int, str]:
    status, text, _ = ask(server, "PUT", path, BODY, host=S3_HOST, **{**MAKES, **headers})
    return status, text


def told(server: InternetArchive, path: str, **headers: str) -> Any:
    return json.loads(ask(server, "GET", path, None, **headers)[1])


@pytest.mark.parametrize(
    ("headers", "path", "status", "code"),
    [
        ({"Authorization": ""}, "/an-item/a", 403, "AccessDenied"),
        ({"Authorization": "LOW nobody:x"}, "/an-item/a", 403, "InvalidAccessKeyId"),
        ({"Authorization": f"LOW {ACCESS}:x"}, "/an-item/a", 403, "SignatureDoesNotMatch"),
        ({"Content-MD5": MD5.upper()}, "/an-item/a", 400, "BadDigest"),
        ({"Content-MD5": "rL0Y20zC+Fzt72VPzMSk2A=="}, "/an-item/a", 400, "BadDigest"),
        ({"x-archive-auto-make-bucket": "0"}, "/an-item/a", 404, "NoSuchBucket"),
        ({"x-archive-meta-collection": "museum"}, "/an-item/a", 403, "AccessDenied"),
        ({"x-archive-meta-title": "Qu\u00e9bec"}, "/an-item/a", 400, "InvalidArgument"),
        ({}, "/-an-item/a", 400, "InvalidBucketName"),
        ({}, f"/{'x' * 101}/a", 400, "InvalidBucketName"),
        ({}, "/an-item", 405, "MethodNotAllowed"),
    ],
)
def test_what_the_real_one_refuses_is_refused(
    server: InternetArchive, headers: dict[str, str], path: str, status: int, code: str
) -> None:
    said, text = put(server, path, **headers)
    assert (said, f"<Code>{code}</Code>" in text) == (status, True)
    assert server.made == {}


def test_a_put_without_a_length_is_refused(server: InternetArchive) -> None:
    line = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    line.putrequest("PUT", "/an-item/a", skip_host=True)
    for name, value in {"Host": S3_HOST, **MAKES}.items():
        line.putheader(name, value)
    line.endheaders()
    assert line.getresponse().status == 411
    line.close()


def test_accepted_is_not_seen_until_its_task_is_done_and_metadata_counts_only_at_creation(
    server: InternetArchive,
) -> None:
    server.is_held = True
    first = {"x-archive-meta00-subject": "uri(r%C3%A9seau)", "x-archive-meta01-subject": "b", "Content-MD5": MD5}
    assert put(server, **first)[0] == 200
    assert put(server, "/an-item/two.csv", **{"x-archive-meta-title": "Too late"})[0] == 200
    assert told(server, "/metadata/an-item") == {}
    assert told(server, "/services/check_identifier.php?identifier=an-item")["code"] == "not_available"
    tasks = told(server, "/services/tasks.php?identifier=an-item&summary=1", **KEYS)
    assert tasks["value"]["summary"] == {"queued": 3, "running": 0, "error": 0, "paused": 0}
    server.drain()
    said = told(server, "/metadata/an-item")
    assert said["metadata"]["subject"] == ["réseau", "b"]
    assert (said["metadata"]["uploader"], "title" in said["metadata"]) == (UPLOADER, False)
    (file,) = [one for one in said["files"] if one["name"] == "roads.csv"]
    assert (file["md5"], file["size"], file["source"]) == (MD5, "5", "original")


def patch(server: InternetArchive, *operations: Any, secret: str = SECRET) -> tuple[int, Any]:
    form = {"-target": "metadata", "-patch": json.dumps(operations), "access": ACCESS, "secret": secret}
    status, text, _ = ask(server, "POST", "/metadata/an-item", urlencode(form).encode())
    return status, json.loads(text)


def test_metadata_is_written_by_a_patch_that_is_tested_and_changes_something(server: InternetArchive) -> None:
    put(server, **{"x-archive-meta-title": "Roads"})
    wrong = {"op": "test", "path": "/title", "value": "Rail"}
    right = {"op": "test", "path": "/title", "value": "Roads"}
    write = {"op": "replace", "path": "/title", "value": "Streets"}
    assert patch(server, wrong, write)[0] == 400
    assert patch(server, right)[1] == {"success": False, "error": "no changes to an-item_meta.xml"}
    assert patch(server, right, write, secret="wrong")[0] == 403
    assert patch(server, right, write)[1]["success"] is True
    assert server.items["an-item"].metadata["title"] == "Streets"


def test_a_download_is_sent_to_a_host_that_answers_ranges(server: InternetArchive) -> None:
    put(server)
    status, _, headers = ask(server, "GET", "/download/an-item/roads.csv")
    assert (status, headers["Location"]) == (302, "https://ia800001.us.archive.org/1/items/an-item/roads.csv")
    status, text, headers = ask(server, "GET", "/1/items/an-item/roads.csv", Range="bytes=1-2")
    assert (status, text, headers["Content-Range"]) == (206, "oa", "bytes 1-2/5")
    assert ask(server, "GET", "/download/an-item/rail.csv")[0] == 404
    elsewhere = ask(server, "GET", "/download/an-item/roads.csv", host="127.0.0.1")[2]
    assert elsewhere["Location"] == f"{server.url}/1/items/an-item/roads.csv"


def test_once_taken_for_spam_always_taken_for_spam(server: InternetArchive) -> None:
    server.spam_after_items = 1
    assert put(server)[0] == 200
    for path in ("/another/a", "/an-item/b"):
        status, text = put(server, path)
        assert (status, "appears to be spam" in text) == (503, True)


def test_bytes_are_replaced_in_silence_and_kept_only_if_that_was_asked_for(server: InternetArchive) -> None:
    for body, is_kept in ((b"one", "0"), (b"two", "0"), (b"three", "1")):
        ask(server, "PUT", "/an-item/a", body, host=S3_HOST, **{**MAKES, "x-archive-keep-old-version": is_kept})
    assert sorted(file.content for file in server.items["an-item"].files.values()) == [b"three", b"two"]


def test_another_process_sets_what_goes_wrong_and_sees_what_there_is(server: InternetArchive) -> None:
    put(server)
    words = {"plans": {"GET /metadata/*": ["error-before:502"]}, "flip": ["an-item", "roads.csv", 0], "is_held": True}
    said = json.loads(ask(server, "POST", "/_control", json.dumps(words).encode())[1])
    assert said["items"] == {"an-item": ["roads.csv"]}
    assert ask(server, "GET", "/metadata/an-item")[0] == 502
    assert server.items["an-item"].files["roads.csv"].content != BODY
