"""What goes wrong at a stand-in of a service, by plan or by chance, and the small HTTP server that all of them are.

A fault is `kind` or `kind:detail`. Those that come before the commit leave nothing done; those after it leave all
done and the asker in the dark:

    error-before:503, error-after:503   an answer of a proxy, in HTML
    drop-before, drop-after             the connection is torn down, half of what was sent being read
    limit, limit:2                      429, without and with Retry-After in seconds; nothing done
    slow:0.2, late:0.2                  the right answer, so many seconds after or before it is done
    truncate, short                     GET: the body is cut, or ends early as if that were all; else nothing wrong
    say:<words>                         200 and those words, as from something that is not the service; nothing done

A plan names faults for requests that match, one a request and then none; `ALWAYS` at its end repeats the one before.
Chance is deterministic: whether the n-th `POST /a` fails depends on seed, method, path and n, not on who else asks.
Faults are set in Python, or from another process by `POST /_control` with the same words in JSON.
"""

import fnmatch
import json
import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

ALWAYS = "always"
CHANCE_KINDS = ("error-before:503", "error-after:500", "drop-before", "drop-after", "limit:0", "limit", "truncate")
HTML = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"
BLOCK_BYTES = 1 << 16
RESET = b"\1\0\0\0\0\0\0\0"  # SO_LINGER: on, no time; what closes is torn down
CONTROL = "/_control"


@dataclass
class Faults:
    """What goes wrong. Safe for many threads."""

    probability: float = 0.0
    seed: int = 0
    kinds: Sequence[str] = CHANCE_KINDS
    plans: dict[str, list[str]] = field(default_factory=dict)
    given: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, request: str, *faults: str) -> None:
        """Say what goes wrong with requests that match, as `POST /api/deposit/*/publish`."""
        with self.lock:
            self.plans[request] = list(faults)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        with self.lock:
            self.plans, self.probability = {}, 0.0

    def take(self, method: str, path: str) -> str:
        """Give what goes wrong with this request; empty if nothing."""
        name = f"{method} {path}"
        with self.lock:
            self.asked[name] += 1
            fault = self.planned(name) or self.by_chance(name)
            self.given.update([fault] if fault else [])
        return fault

    def planned(self, name: str) -> str:
        for pattern, plan in self.plans.items():
            if plan and fnmatch.fnmatchcase(name, pattern):
                return plan[0] if plan[1:] == [ALWAYS] else plan.pop(0)
        return ""

    def by_chance(self, name: str) -> str:
        dice = random.Random(f"{self.seed} {name} {self.asked[name]}")
        return dice.choice(self.kinds) if dice.random() < self.probability else ""


@dataclass(frozen=True)
class Request:
    """One request as it came, its body read whole."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)
    at_s: float = 0.0

    def json(self) -> Any:
        """Give the body as JSON; raises ValueError if it is none."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(status: int, content: Any, **headers: str) -> Answer:
    """Answer in JSON; `_` in the name of a header stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps(content).encode(), {"Content-Type": "application/json", **named})


def html_answer(status: int, words: str = "") -> Answer:
    """Answer as a proxy does that knows nothing of the service."""
    return Answer(status, HTML.format(words or f"{status} Bad Gateway").encode(), {"Content-Type": "text/html"})


def ranged(request: Request, content: bytes, headers: Mapping[str, str]) -> Answer:
    """Answer with a file or with the one range that was asked for (RFC 9110, section 14)."""
    given = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", **headers}
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if not wanted:
        return Answer(200, content, given)
    start, end = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
    if start >= len(content):
        return Answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
    return Answer(206, content[start : end + 1], {**given, "Content-Range": f"bytes {start}-{end}/{len(content)}"})


Act = Callable[..., Answer]


class FakeServer(ThreadingHTTPServer):
    """A service on loopback. A stand-in names its routes and writes one method for each.

    A route is method, pattern of the whole path as it was sent, and the name of the method that answers, which gets
    the request and the pattern's groups, decoded. One request is answered at a time: what it does is done at once.
    """

    daemon_threads = True
    request_queue_size = 128
    routes: Sequence[tuple[str, str, str]] = ()

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.faults = Faults()
        self.asked: list[Request] = []
        self.closing = threading.Event()
        self.lock = threading.RLock()
        self.now: Callable[[], float] = time.time

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def count(self, request: str) -> int:
        """Count requests that match, as `PUT /api/files/*`."""
        return sum(fnmatch.fnmatchcase(f"{one.method} {one.path}", request) for one in self.asked)

    def answer(self, request: Request) -> Answer:
        """Do what the service does when nothing goes wrong."""
        is_path = False
        for method, pattern, name in self.routes:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                act: Act = getattr(self, name)
                return act(request, *(unquote(group) for group in found.groups()))
            is_path = is_path or found is not None
        return self.no_route(request, is_path=is_path)

    def no_route(self, request: Request, *, is_path: bool) -> Answer:
        """Answer what the service has no room for; `is_path` if another method would be right."""
        status = 405 if is_path else 404
        return json_answer(status, {"status": status, "message": f"{request.method} {request.path}: no such call."})

    def control(self, words: Mapping[str, Any]) -> Mapping[str, Any]:
        """Set faults as `POST /_control` says, and give the state; a stand-in adds its own words."""
        for name in ("probability", "seed", "kinds"):
            if name in words:
                setattr(self.faults, name, words[name])
        for request, faults in words.get("plans", {}).items():
            self.faults.plan(request, *faults)
        if words.get("clear"):
            self.faults.clear()
        return {"asked": len(self.asked), "given": dict(self.faults.given)}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that are killed are what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    server: FakeServer

    def log_message(self, *words: Any) -> None:
        """Keep the run quiet; `asked` remembers."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, parts.path, dict(parse_qsl(parts.query, True)), headers, b"", time.time())
        if parts.path == CONTROL:
            self.send(self.controlled())
        elif "chunked" in headers.get("transfer-encoding", ""):
            self.close_connection = True
            self.send(json_answer(411, {"status": 411, "message": "Length Required"}))
        else:
            self.handle_faulty(request, self.server.faults.take(self.command, parts.path))

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815  names of http.server

    def controlled(self) -> Answer:
        words = json.loads(self.whole_body() or b"{}")
        with self.server.lock:
            return json_answer(200, self.server.control(words))

    def handle_faulty(self, request: Request, fault: str) -> None:
        kind, _, detail = fault.partition(":")
        if kind == "drop-before":
            self.rfile.read(self.length() // 2)
            self.note(request)
            self.tear_down()
            return
        request = Request(**{**vars(request), "body": self.whole_body()})
        self.note(request)
        if kind == "late":
            self.server.closing.wait(float(detail))
        answer = self.refusal(kind, detail) or self.done(request)
        if kind == "slow":
            self.server.closing.wait(float(detail))
        self.send_faulty(answer, kind, detail)

    def note(self, request: Request) -> None:
        with self.server.lock:
            self.server.asked.append(request)

    def done(self, request: Request) -> Answer:
        with self.server.lock:
            return self.server.answer(request)

    def refusal(self, kind: str, detail: str) -> Answer | None:
        if kind == "error-before":
            return html_answer(int(detail))
        if kind == "limit":
            wait = {"Retry-After": detail} if detail else {"X-RateLimit-Reset": str(int(time.time()))}
            return json_answer(429, {"status": 429, "message": "30 per 1 minute"}, **wait)
        if kind == "say":
            return Answer(200, detail.encode(), {"Content-Type": "application/json"})
        return None

    def send_faulty(self, answer: Answer, kind: str, detail: str) -> None:
        is_cut = self.command == "GET" and answer.status in {200, 206}
        if kind == "drop-after":
            self.tear_down()
        elif kind == "error-after":
            self.send(html_answer(int(detail)))
        elif kind == "truncate" and is_cut and answer.body:
            self.send(answer, ends_at=len(answer.body) * 2 // 3)
        elif kind == "short" and is_cut:
            self.send(Answer(answer.status, answer.body[: len(answer.body) * 2 // 3], answer.headers))
        else:
            self.send(answer)

    def length(self) -> int:
        return int(self.headers.get("Content-Length") or 0)

    def whole_body(self) -> bytes:
        """Give what was announced; raises ConnectionError if the other side went away before the end."""
        body = self.rfile.read(self.length())
        if len(body) < self.length():
            raise ConnectionError(f"{self.path}: {len(body)} of {self.length()} bytes came")
        return body

    def send(self, answer: Answer, ends_at: int | None = None) -> None:
        self.send_response(answer.status)
        given = {"Content-Length": str(len(answer.body)), **answer.headers}
        for name, value in given.items():
            if answer.status != 204 or name != "Content-Length":
                self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")  # or the client asks again on a line that is being closed
        self.end_headers()
        if self.command != "HEAD" and answer.status != 204:
            for start in range(0, len(answer.body[:ends_at]), BLOCK_BYTES):
                self.wfile.write(answer.body[:ends_at][start : start + BLOCK_BYTES])
        self.close_connection = self.close_connection or ends_at is not None

    def tear_down(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.connection.close()


Server = TypeVar("Server", bound=FakeServer)


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Let a stand-in answer until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
