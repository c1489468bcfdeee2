"""A small server of upstream files that is as bad as real ones: what each path does wrong is written in its plan.

A plan is a list of faults, one a request, after which the file is served well; `ALWAYS` keeps the last one for ever.
Well served means: Range, If-Range, If-None-Match, If-Modified-Since, HEAD, ETag, Last-Modified, connections kept.
"""

import hashlib
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ALWAYS = "always"
MODIFIED = "Thu, 05 Mar 2026 06:00:00 GMT"
POOL = random.Random(20260305).randbytes(8 << 20)
BLOCK_BYTES = 1 << 18


def content_of(number: int, size_bytes: int) -> memoryview:
    """Give bytes that differ from file to file, at most 7 MiB of them."""
    start = number * 4099 % (1 << 20)
    return memoryview(POOL)[start : start + size_bytes]


@dataclass
class File:
    content: bytes | memoryview
    plan: list[str] = field(default_factory=list)
    media_type: str = "application/octet-stream"
    has_validators: bool = True

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:20]}"'

    def fault(self) -> str:
        """Take what this request does wrong; empty if nothing."""
        if len(self.plan) > 1 and self.plan[1] == ALWAYS:
            return self.plan[0]
        return self.plan.pop(0) if self.plan else ""


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    at_s: float


class Upstream(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, File] = {}
        self.asked: list[Asked] = []
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.at_once, self.most_at_once = 0, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, path: str, content: bytes | memoryview, *plan: str, **facts: Any) -> str:
        """Serve a file; gives its address."""
        self.files[path] = File(content, list(plan), **facts)
        return self.url + path

    def count(self, method: str, path: str) -> int:
        return sum(one.method == method and one.path == path for one in self.asked)

    def methods(self) -> Counter[str]:
        return Counter(one.method for one in self.asked)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def log_message(self, *words: Any) -> None:
        """Keep the run quiet; `asked` remembers."""

    def do_HEAD(self) -> None:
        self.answer(has_body=False)

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        try:
            self.answer(has_body=True)
        finally:
            with self.server.lock:
                self.server.at_once -= 1

    def answer(self, *, has_body: bool) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.lock:
            self.server.asked.append(Asked(self.command, self.path, headers, time.monotonic()))
            file = self.server.files.get(self.path)
            fault = file.fault() if file and has_body else ""
        if file is None:
            self.reply(404, {}, b"", has_body=has_body)
        elif file.plan[1:] == [ALWAYS] and file.plan[0].startswith(("4", "5", "redirect", "moved")):
            self.misbehave(file, file.plan[0], has_body=has_body)
        elif fault:
            self.misbehave(file, fault, has_body=has_body)
        else:
            self.serve(file, headers, has_body=has_body)

    def serve(self, file: File, headers: dict[str, str], *, has_body: bool) -> None:
        given = {"Content-Type": file.media_type}
        if file.has_validators:
            given |= {"ETag": file.etag, "Last-Modified": MODIFIED}
        is_same = file.has_validators and headers.get("if-none-match") == file.etag
        if is_same or ("if-none-match" not in headers and headers.get("if-modified-since") == MODIFIED):
            self.reply(304, given, b"", has_body=False)
            return
        start = self.start_of(file, headers)
        if start is None:
            self.reply(200, given, file.content, has_body=has_body)
        elif start >= len(file.content):
            self.reply(416, {"Content-Range": f"bytes */{len(file.content)}"}, b"", has_body=has_body)
        else:
            last = self.last_of(file, headers)
            given["Content-Range"] = f"bytes {start}-{last}/{len(file.content)}"
            self.reply(206, given, memoryview(file.content)[start : last + 1], has_body=has_body)

    def start_of(self, file: File, headers: dict[str, str]) -> int | None:
        wanted = headers.get("range", "")
        if not wanted.startswith("bytes=") or headers.get("if-range", file.etag) not in {file.etag, MODIFIED}:
            return None
        return int(wanted.removeprefix("bytes=").partition("-")[0])

    def last_of(self, file: File, headers: dict[str, str]) -> int:
        end = headers["range"].rpartition("-")[2]
        return min(int(end), len(file.content) - 1) if end else len(file.content) - 1

    def reply(self, status: int, headers: dict[str, str], content: bytes | memoryview, *, has_body: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if has_body:
            for start in range(0, len(content), BLOCK_BYTES):
                self.wfile.write(memoryview(content)[start : start + BLOCK_BYTES])

    def misbehave(self, file: File, fault: str, *, has_body: bool) -> None:
        name, _, detail = fault.partition(":")
        if name.isdecimal():
            self.reply(int(name), {"Retry-After": detail} if detail else {}, b"", has_body=has_body)
        elif name == "redirect":
            self.reply(302, {"Location": detail}, b"", has_body=has_body)
        elif name == "moved":
            self.reply(301, {"Location": detail}, b"", has_body=has_body)
        elif name == "slow":
            time.sleep(float(detail))
            self.serve(file, {}, has_body=has_body)
        else:
            self.close_connection = True
            getattr(self, name.replace("-", "_"))(file)

    def begin(self, file: File, length: int | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", file.media_type)
        if file.has_validators:
            self.send_header("ETag", file.etag)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def reset(self, file: File) -> None:
        """Give a third of the file, then tear the connection down."""
        self.begin(file, len(file.content))
        self.wfile.write(memoryview(file.content)[: len(file.content) // 3])
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()

    def truncate(self, file: File) -> None:
        """Give two thirds of the file and end as if that were all."""
        self.begin(file, len(file.content))
        self.wfile.write(memoryview(file.content)[: len(file.content) * 2 // 3])

    def short_range(self, file: File) -> None:
        """Answer any range with the whole file's first third, as a part of another place."""
        self.send_response(206)
        self.send_header("Content-Range", f"bytes 0-{len(file.content) // 3 - 1}/{len(file.content)}")
        self.send_header("Content-Length", str(len(file.content) // 3))
        self.end_headers()
        self.wfile.write(memoryview(file.content)[: len(file.content) // 3])

    def wrong_length(self, file: File) -> None:
        """Announce more than there is."""
        self.begin(file, len(file.content) + 1000)
        self.wfile.write(file.content)

    def short_length(self, file: File) -> None:
        """Announce less than there is."""
        self.begin(file, len(file.content) // 2)
        self.wfile.write(file.content)

    def endless(self, file: File) -> None:
        """Announce nothing and never end."""
        self.begin(file, None)
        while not self.server.closing.is_set():
            self.wfile.write(file.content)

    def stall(self, file: File) -> None:
        """Give half of the file, and then nothing while the other side waits."""
        self.begin(file, len(file.content))
        self.wfile.write(memoryview(file.content)[: len(file.content) // 2])
        self.server.closing.wait(30)

    def drip(self, file: File) -> None:
        """Give a byte now and then."""
        self.begin(file, len(file.content))
        for one in memoryview(file.content):
            if self.server.closing.wait(0.02):
                return
            self.wfile.write(bytes([one]))


@contextmanager
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
