"""A strict stand-in for the Internet Archive: IAS3, the metadata and tasks APIs, downloads by way of a data node.

What was accepted waits in a queue: each task is done `queue_s` after it was given, in order, and not while `is_held`;
only then is it seen. Which of the Archive's hosts is meant stands in the Host header; without one of them the path
decides, so that its pages can be asked by their address here.
"""

import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote
from xml.sax.saxutils import escape

import jsonpatch

from tests.fakes.faults import Answer, FakeServer, Faults, Request, json_answer, ranged

S3_HOST, S3_NODE_HOST = "s3.us.archive.org", "s3-lb2.us.archive.org"
SITE_HOST, NODE_HOST = "archive.org", "ia800001.us.archive.org"
IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{2,99}")
META = re.compile(r"x-archive-(file)?meta(?:\d\d)?-(.+)")
URI = re.compile(r"uri\((.*)\)", re.DOTALL)
ACCESS, SECRET, UPLOADER = "stand-in-access", "stand-in-secret", "deposits@archive.example.org"
PLEASE = "Please reduce your request rate."
GLOBAL = "total_tasks_queued exceeds global_limit"
RATION = "bucket_tasks_queued exceeds bucket_ration"
SPAM = (
    "Your upload of {0} from username {1} appears to be spam. If you believe this is a mistake, contact "
    "info@archive.org and include this entire message in your email."
)
Values = str | list[str]


@dataclass
class File:
    content: bytes
    marks: dict[str, str] = field(default_factory=dict)
    mtime: int = 0
    told_md5: str = ""  # what the Archive goes on telling when bytes rot

    def entry(self, name: str) -> dict[str, str]:
        sums = {"md5": self.told_md5, "sha1": hashlib.sha1(self.content, usedforsecurity=False).hexdigest()}
        crc32 = f"{zlib.crc32(self.content):08x}"
        plain = {"name": name, "source": "original", "size": str(len(self.content)), "mtime": str(self.mtime)}
        return {**plain, **sums, "crc32": crc32, "format": "Data", **self.marks}


@dataclass
class Item:
    metadata: dict[str, Values]
    files: dict[str, File] = field(default_factory=dict)


@dataclass
class Task:
    number: int
    identifier: str
    command: str
    due_at: float
    act: Callable[[], None]
    state: str = "queued"


class InternetArchive(FakeServer):
    """Keeps items in this process; `items` is what is seen, `made` the names that are taken, seen or not."""

    routes = (
        ("GET", "/metadata/([^/]+)", "read_metadata"),
        ("POST", "/metadata/([^/]+)", "write_metadata"),
        ("GET", "/services/tasks.php", "count_tasks"),
        ("GET", "/services/check_identifier.php", "check_identifier"),
        ("GET", "/download/([^/]+)/(.+)", "download"),
        ("GET", "/1/items/([^/]+)/(.+)", "serve"),
        ("HEAD", "/download/([^/]+)/(.+)", "download"),
        ("HEAD", "/1/items/([^/]+)/(.+)", "serve"),
        ("GET", "/details/([^/]+)", "page"),
    )
    s3_routes = (
        ("GET", "/", "look_at_service"),
        ("PUT", "/([^/]+)/(.+)", "put_file"),
        ("DELETE", "/([^/]+)/(.+)", "delete_file"),
    )

    items: dict[str, Item]
    made: dict[str, str]
    tasks: list[Task]
    queue_s: float
    is_held: bool
    slow_down: str  # GLOBAL, RATION or nothing
    is_spam: bool  # once it is, it stays so until a person mends it here
    spam_after_items: int | None
    has_ranges: bool
    node: str  # where downloads are sent
    s3_node: str  # where uploads are sent on to, if anywhere

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.collections = {"test_collection", "opensource"}
        self.forget()

    def forget(self) -> None:
        """Be as new; what was asked is forgotten too."""
        with self.lock:
            self.items, self.made, self.tasks = {}, {}, []
            self.queue_s, self.is_held, self.slow_down = 0.0, False, ""
            self.is_spam, self.spam_after_items = False, None
            self.has_ranges, self.node, self.s3_node = True, f"https://{NODE_HOST}", ""
            self.asked.clear()
            self.faults = Faults()

    def answer(self, request: Request) -> Answer:
        self.work()
        host = request.headers.get("host", "")
        if host.endswith(SITE_HOST) and host not in {S3_HOST, S3_NODE_HOST, SITE_HOST, NODE_HOST}:
            return json_answer(404, {"error": f"{host}: no such host"})
        return self.answer_s3(request) if host in {S3_HOST, S3_NODE_HOST} else super().answer(request)

    def answer_s3(self, request: Request) -> Answer:
        if self.s3_node and request.method == "PUT" and request.headers["host"] == S3_HOST:
            return Answer(307, b"", {"Location": f"{self.s3_node}{request.path}"})
        for method, pattern, name in self.s3_routes:
            if method == request.method and (found := re.fullmatch(pattern, request.path)):
                return self.denied(request) or getattr(self, name)(request, *map(unquote, found.groups()))
        return xml(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")

    # the queue

    def work(self) -> None:
        """Do the tasks whose time has come; one that failed keeps those of its item behind it."""
        blocked: set[str] = {one.identifier for one in self.tasks if one.state == "error"}
        for task in list(self.tasks):
            if task.identifier not in blocked and not self.is_held and task.due_at <= self.now():
                task.act()
                self.tasks.remove(task)

    def queue(self, identifier: str, command: str, act: Callable[[], None]) -> int:
        number = 4_000_000_000 + len(self.asked)
        self.tasks.append(Task(number, identifier, command, self.now() + self.queue_s, act))
        self.work()
        return number

    def drain(self) -> None:
        """Let the whole queue be done now."""
        with self.lock:
            self.is_held = False
            for task in self.tasks:
                task.due_at = 0.0
            self.work()

    def pending(self, identifier: str) -> list[Task]:
        return [task for task in self.tasks if task.identifier == identifier]

    # IAS3

    def denied(self, request: Request) -> Answer | None:
        given = request.headers.get("authorization", "")
        if given == f"LOW {ACCESS}:{SECRET}":
            return None
        if not given.startswith("LOW "):
            return xml(403, "AccessDenied", "Access Denied")
        if given.startswith(f"LOW {ACCESS}:"):
            return xml(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")
        return xml(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")

    def look_at_service(self, request: Request) -> Answer:
        if "check_auth" in request.query:
            return json_answer(200, {"authorized": True, "username": UPLOADER, "screenname": "deposits"})
        if request.query.get("check_limit") != "1" or not request.query.get("accesskey"):
            return xml(400, "InvalidRequest", "check_limit needs accesskey.")
        detail = {"limit_reason": self.slow_down, "total_tasks_queued": len(self.tasks), "rationing_engaged": 0}
        is_over = int(bool(self.slow_down))
        return json_answer(200, {"bucket": request.query.get("bucket"), "over_limit": is_over, "detail": detail})

    def put_file(self, request: Request, identifier: str, path: str) -> Answer:
        refused = self.refuses_put(request, identifier)
        if refused:
            return refused
        metadata, marks = said_in(request.headers)
        if identifier not in self.made:
            self.made[identifier] = UPLOADER
            self.queue(identifier, "archive.php", lambda: self.make(identifier, metadata))
        is_kept = request.headers.get("x-archive-keep-old-version") == "1"
        file = File(
            request.body, marks, int(self.now()), hashlib.md5(request.body, usedforsecurity=False).hexdigest()
        )
        self.queue(identifier, "archive.php", lambda: self.store(identifier, path, file, is_kept=is_kept))
        if request.headers.get("x-archive-queue-derive") != "0":
            self.queue(identifier, "derive.php", lambda: None)
        return Answer(200)

    def refuses_put(self, request: Request, identifier: str) -> Answer | None:
        is_new = identifier not in self.made
        return (
            self.refuses_bucket(request, identifier, is_new=is_new)
            or self.refuses_haste(identifier, is_new=is_new)
            or self.refuses_words(request, identifier, is_new=is_new)
            or wrong_digest(request)
        )

    def refuses_bucket(self, request: Request, identifier: str, *, is_new: bool) -> Answer | None:
        said = request.headers
        if "content-length" not in said:
            return xml(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        if not IDENTIFIER.fullmatch(identifier):
            return xml(400, "InvalidBucketName", "The specified bucket is not valid.", identifier)
        if is_new and said.get("x-archive-auto-make-bucket") != "1":
            return xml(404, "NoSuchBucket", "The specified bucket does not exist.", identifier)
        if not is_new and self.made[identifier] != UPLOADER:
            return xml(403, "AccessDenied", "Access Denied", f"Your account may not write to {identifier}")
        return None

    def refuses_haste(self, identifier: str, *, is_new: bool) -> Answer | None:
        self.is_spam = self.is_spam or (is_new and len(self.made) == self.spam_after_items)
        if self.is_spam:
            return xml(503, "SlowDown", PLEASE, SPAM.format(identifier, UPLOADER))
        if self.slow_down:
            return xml(503, "SlowDown", PLEASE, f"Your {self.slow_down}")
        return None

    def refuses_words(self, request: Request, identifier: str, *, is_new: bool) -> Answer | None:
        """Refuse headers that the real one would not understand, and a collection that is not ours to write to."""
        if any(not value.isascii() for value in request.headers.values()):
            return xml(400, "InvalidArgument", "Metadata headers have to be ASCII; write uri(...).")
        told = said_in(request.headers)[0].get("collection", [])
        wanted = {told} if isinstance(told, str) else set(told)
        if is_new and not wanted <= self.collections:
            return xml(
                403, "AccessDenied", "Access Denied", f"{identifier}: you may not write to {', '.join(wanted)}"
            )
        return None

    def make(self, identifier: str, metadata: Mapping[str, Values]) -> None:
        own = {"identifier": identifier, "uploader": UPLOADER, "publicdate": "2026-01-15 12:00:00"}
        self.items[identifier] = Item({"mediatype": "texts", "collection": "opensource", **metadata, **own})

    def store(self, identifier: str, path: str, file: File, *, is_kept: bool) -> None:
        self.put_aside(identifier, path, is_kept=is_kept)
        self.items[identifier].files[path] = file

    def put_aside(self, identifier: str, path: str, *, is_kept: bool) -> None:
        """Take a file away; into the item's history if that was asked for."""
        files = self.items[identifier].files
        old = files.pop(path, None)
        if old and is_kept:
            files[f"history/files/{path}.~{len(files)}~"] = old

    def delete_file(self, request: Request, identifier: str, path: str) -> Answer:
        item = self.items.get(identifier)
        if item is None or path not in item.files:
            return xml(404, "NoSuchKey", "The specified key does not exist.", path)
        is_kept = request.headers.get("x-archive-keep-old-version") == "1"
        self.queue(identifier, "delete.php", lambda: self.put_aside(identifier, path, is_kept=is_kept))
        return Answer(204)

    # the site

    def read_metadata(self, _request: Request, identifier: str) -> Answer:
        item = self.items.get(identifier)
        if item is None:
            return json_answer(200, {})
        own = [{"name": f"{identifier}_{end}", "source": "original"} for end in ("meta.xml", "files.xml")]
        files = [file.entry(name) for name, file in item.files.items()]
        said = {"created": 1, "server": NODE_HOST, "dir": f"/1/items/{identifier}", "metadata": item.metadata}
        if self.pending(identifier):
            said["pending_tasks"] = True
        return json_answer(200, {**said, "files": files + own, "files_count": len(files) + len(own)})

    def write_metadata(self, request: Request, identifier: str) -> Answer:
        form = {name: values[0] for name, values in parse_qs(request.body.decode(), strict_parsing=True).items()}
        if (form.get("access"), form.get("secret")) != (ACCESS, SECRET):
            return json_answer(403, {"success": False, "error": "You do not have permission to write to this item"})
        item = self.items.get(identifier)
        if item is None or form.get("-target") != "metadata":
            return json_answer(400, {"success": False, "error": "unable to locate item or target"})
        if self.made.get(identifier) != UPLOADER:
            return json_answer(403, {"success": False, "error": "You do not have permission to write to this item"})
        return self.patched(item, identifier, form.get("-patch", ""))

    def patched(self, item: Item, identifier: str, patch: str) -> Answer:
        try:
            after = jsonpatch.apply_patch(item.metadata, json.loads(patch))
        except (ValueError, jsonpatch.JsonPatchException) as error:
            return json_answer(400, {"success": False, "error": f"patch refused: {type(error).__name__}: {error}"})
        if after == item.metadata:
            return json_answer(400, {"success": False, "error": f"no changes to {identifier}_meta.xml"})
        number = self.queue(identifier, "modify_xml.php", lambda: setattr(item, "metadata", after))
        return json_answer(200, {"success": True, "task_id": number})

    def count_tasks(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"LOW {ACCESS}:{SECRET}":
            return json_answer(401, {"success": False, "error": "You must be logged in to do that."})
        states = [task.state for task in self.pending(request.query.get("identifier", ""))]
        summary = {state: states.count(state) for state in ("queued", "running", "error", "paused")}
        return json_answer(200, {"success": True, "value": {"summary": summary}})

    def check_identifier(self, request: Request) -> Answer:
        code = "not_available" if request.query.get("identifier") in self.made else "available"
        return json_answer(200, {"type": "success", "code": code})

    def download(self, request: Request, identifier: str, path: str) -> Answer:
        """Send the asker to the host that keeps the file."""
        if self.file(identifier, path) is None:
            return Answer(404, b"<html>Item not available</html>", {"Content-Type": "text/html"})
        base = self.node if request.headers.get("host") == SITE_HOST else self.url
        return Answer(302, b"", {"Location": f"{base}/1/items/{identifier}/{quote(path)}"})

    def serve(self, request: Request, identifier: str, path: str) -> Answer:
        file = self.file(identifier, path)
        if file is None:
            return Answer(404)
        if not self.has_ranges:
            return Answer(200, file.content)
        return ranged(request, file.content, {"Access-Control-Allow-Origin": "*"})

    def page(self, _request: Request, identifier: str) -> Answer:
        return Answer(200 if identifier in self.items else 404, b"<html></html>", {"Content-Type": "text/html"})

    def file(self, identifier: str, path: str) -> File | None:
        item = self.items.get(identifier)
        return item.files.get(path) if item else None

    # what tests and other processes do to it

    def flip(self, identifier: str, path: str, position: int = 0) -> None:
        """Let one byte rot; the Archive goes on telling the md5 that it had."""
        file = self.items[identifier].files[path]
        content = bytearray(file.content)
        content[position] ^= 0xFF
        file.content = bytes(content)

    def control(self, words: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in ("queue_s", "is_held", "slow_down", "is_spam"):
            if name in words:
                setattr(self, name, words[name])
        if words.get("drain"):
            self.drain()
        if "flip" in words:
            self.flip(*words["flip"])
        files = {name: sorted(item.files) for name, item in self.items.items()}
        return {**super().control(words), "items": files, "made": sorted(self.made), "tasks": len(self.tasks)}


def xml(status: int, code: str, message: str, resource: str = "") -> Answer:
    words = f"<Code>{code}</Code><Message>{escape(message)}</Message><Resource>{escape(resource)}</Resource>"
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{words}<RequestId>stand-in</RequestId></Error>'
    return Answer(status, text.encode(), {"Content-Type": "application/xml"})


def wrong_digest(request: Request) -> Answer | None:
    """Compare Content-MD5, which the Archive wants as hex."""
    told = request.headers.get("content-md5")
    if told and told != hashlib.md5(request.body, usedforsecurity=False).hexdigest():
        return xml(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
    return None


def said_in(headers: Mapping[str, str]) -> tuple[dict[str, Values], dict[str, str]]:
    """Give an item's metadata and a file's marks from the headers of a request; repeated names become lists."""
    metadata: dict[str, list[str]] = {}
    marks: dict[str, str] = {}
    for is_file, name, value in meta_headers(headers):
        if is_file:
            marks[name] = value
        else:
            metadata.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in metadata.items()}, marks


def meta_headers(headers: Mapping[str, str]) -> Iterator[tuple[bool, str, str]]:
    """Give what `x-archive-meta..` says, in the order of the numbers in the names."""
    for header in sorted(headers):
        if found := META.fullmatch(header):
            quoted = URI.fullmatch(headers[header])
            value = unquote(quoted[1]) if quoted else headers[header]
            yield bool(found[1]), found[2].replace("--", "_"), value
