"""A service without idempotency keys, as bad as a real one may be.

It makes a thing for every POST, also when the caller is dead before it is done, and shows it only a while later.
All that happens is a line in the ledger, which several processes append to and nobody changes.
"""

import http.client
import os
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

SLOWEST_S = 1.0
SEEN_AFTER_S = 1.5


class Ledger:
    """Lines of `<instant> <what> <words ...>`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, *words: object) -> None:
        """Append one line in one write(2), so that a kill leaves it whole or not at all."""
        line = " ".join(str(word) for word in (time.time(), *words)) + "\n"
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

    def lines(self, what: str) -> list[tuple[float, list[str]]]:
        """Give the instants and words of all lines about that, oldest first."""
        if not self.path.exists():
            return []
        parts = (line.split() for line in self.path.read_text(encoding="utf-8").splitlines())
        return [(float(instant), words) for instant, kind, *words in parts if kind == what]


class Service(ThreadingHTTPServer):
    """POST /<key> makes a thing and answers its id; GET /<key> gives the id of one made a while ago, or 404."""

    daemon_threads = True

    def __init__(self, ledger: Ledger, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.ledger = ledger
        self.random = random.Random(seed)
        self.thread = Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: callers are killed in the middle of their calls here."""


class Answer(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        time.sleep(self.server.random.uniform(0, SLOWEST_S))
        self.server.ledger.add("made", self.path[1:])
        self.answer(201, f"id-of-{self.path[1:]}")

    def do_GET(self) -> None:
        seen_before = time.time() - SEEN_AFTER_S
        made = [words for instant, words in self.server.ledger.lines("made") if instant <= seen_before]
        if [self.path[1:]] in made:
            self.answer(200, f"id-of-{self.path[1:]}")
        else:
            self.answer(404, "")

    def answer(self, status: int, words: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(words)))
        self.end_headers()
        self.wfile.write(words.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name in http.server
        """Write no log; the ledger is one."""


def ask(address: str, method: str, key: str, *, timeout_s: float) -> str | None:
    """Call the service; None for what it does not know."""
    line = http.client.HTTPConnection(address, timeout=timeout_s)
    try:
        line.request(method, f"/{key}")
        answer = line.getresponse()
        words = answer.read().decode()
        return words if answer.status < http.client.BAD_REQUEST else None
    finally:
        line.close()
