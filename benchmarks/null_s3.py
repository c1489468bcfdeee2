"""An S3 server that takes what comes and keeps only its length: so fast that a client is measured, not the server.

    python benchmarks/null_s3.py [PORT]

It says "ready PORT" when it takes connections, and ends when its standard input does. Bodies are dropped inside the
kernel (MSG_TRUNC), so that hardly any time is taken from whoever is measured on the same machine. It knows what an
upload needs: PUT, HEAD, GET (of the bucket: an empty listing), DELETE, and uploads in parts with ListParts. Checksums
and signatures are not looked at. A GET of `/counts` tells the bytes and requests that came, as JSON.
"""

import json
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BLOCK_BYTES = 1 << 20
HEAD_BYTES = 1 << 16
ETAG = '"d41d8cd98f00b204e9800998ecf8427e-1"'  # of an object that came in parts: nobody takes it for an MD5


@dataclass
class Kept:
    """What the server remembers of objects and uploads: their lengths and, of an object, its metadata."""

    objects: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    uploads: dict[str, tuple[str, dict[str, str], dict[int, int]]] = field(default_factory=dict)
    came_bytes: int = 0
    requests: int = 0
    parts: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Question:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    length: int


@dataclass(frozen=True)
class Answer:
    status: str = "200 OK"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class NullS3:
    """Answers one question after another; each connection has a thread."""

    def __init__(self) -> None:
        self.kept = Kept()

    def serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer, rest = bytearray(BLOCK_BYTES), b""
        with connection, suppress(ConnectionError):
            while True:
                question, rest = read_head(connection, rest)
                if question is None:
                    return
                if question.headers.get("expect", "").lower() == "100-continue":
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                rest = self.drop(connection, question.length, rest, buffer)
                connection.sendall(packed(self.answer(question), is_head=question.method == "HEAD"))

    def drop(self, connection: socket.socket, length: int, rest: bytes, buffer: bytearray) -> bytes:
        """Let a body pass; gives what came behind it."""
        left = length - len(rest)
        while left > 0:
            came = connection.recv_into(buffer, min(left, BLOCK_BYTES), socket.MSG_TRUNC)
            if not came:
                raise ConnectionResetError
            left -= came
            self.kept.came_bytes += came
        return rest[length:]

    def answer(self, question: Question) -> Answer:
        with self.kept.lock:
            self.kept.requests += 1
            if question.path == "/counts":
                return self.counts()
            way = getattr(self, f"answer_{question.method.lower()}", None)
            return way(question) if way else Answer("405 Method Not Allowed")

    def counts(self) -> Answer:
        kept = self.kept
        told = {"bytes": kept.came_bytes, "requests": kept.requests, "parts": kept.parts, "open": len(kept.uploads)}
        return Answer(body=json.dumps(told).encode())

    def answer_put(self, question: Question) -> Answer:
        if "partNumber" in question.query:
            upload = self.kept.uploads.get(question.query.get("uploadId", ""))
            if upload is None:
                return error("404 Not Found", "NoSuchUpload")
            upload[2][int(question.query["partNumber"])] = question.length
            self.kept.parts += 1
            return Answer(headers={"ETag": ETAG})
        if question.headers.get("if-none-match") == "*" and question.path in self.kept.objects:
            return error("412 Precondition Failed", "PreconditionFailed")
        self.kept.objects[question.path] = (question.length, metadata_of(question))
        return Answer(headers={"ETag": ETAG})

    def answer_post(self, question: Question) -> Answer:
        if "uploads" in question.query:
            name = f"upload-{len(self.kept.uploads) + self.kept.requests}"
            self.kept.uploads[name] = (question.path, metadata_of(question), {})
            return xml("InitiateMultipartUploadResult", f"<UploadId>{name}</UploadId>")
        if "uploadId" in question.query:
            return self.complete(question)
        return error("501 Not Implemented", "NotImplemented")

    def complete(self, question: Question) -> Answer:
        upload = self.kept.uploads.get(question.query["uploadId"])
        if upload is None:
            return error("404 Not Found", "NoSuchUpload")
        if question.headers.get("if-none-match") == "*" and question.path in self.kept.objects:
            return error("412 Precondition Failed", "PreconditionFailed")
        del self.kept.uploads[question.query["uploadId"]]
        self.kept.objects[question.path] = (sum(upload[2].values()), upload[1])
        return xml("CompleteMultipartUploadResult", f"<Key>{escape(question.path)}</Key><ETag>{ETAG}</ETag>")

    def answer_get(self, question: Question) -> Answer:
        if "uploadId" in question.query:
            upload = self.kept.uploads.get(question.query["uploadId"])
            if upload is None:
                return error("404 Not Found", "NoSuchUpload")
            parts = "".join(
                f"<Part><PartNumber>{number}</PartNumber><ETag>{ETAG}</ETag><Size>{size}</Size>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Part>"
                for number, size in sorted(upload[2].items())
            )
            return xml("ListPartsResult", f"<IsTruncated>false</IsTruncated>{parts}")
        if question.path.count("/") == 1 or question.path.endswith("/"):
            return xml("ListBucketResult", "<IsTruncated>false</IsTruncated><KeyCount>0</KeyCount>")
        return error("404 Not Found", "NoSuchKey")

    def answer_head(self, question: Question) -> Answer:
        if question.path.rstrip("/").count("/") == 1:
            return Answer()
        found = self.kept.objects.get(question.path)
        if found is None:
            return Answer("404 Not Found")
        length, metadata = found
        dates = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        return Answer(headers={"Content-Length": str(length), "ETag": ETAG, **dates, **metadata})

    def answer_delete(self, question: Question) -> Answer:
        self.kept.uploads.pop(question.query.get("uploadId", ""), None)
        if "uploadId" not in question.query:
            self.kept.objects.pop(question.path, None)
        return Answer("204 No Content")


def metadata_of(question: Question) -> dict[str, str]:
    return {name: text for name, text in question.headers.items() if name.startswith("x-amz-meta-")}


def read_head(connection: socket.socket, rest: bytes) -> tuple[Question | None, bytes]:
    """Read the next question up to its body; gives it and what came behind, or None where the line ended."""
    while b"\r\n\r\n" not in rest:
        block = connection.recv(HEAD_BYTES)
        if not block:
            return None, b""
        rest += block
    head, _, rest = rest.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
    url = urlsplit(target)
    query = {name: texts[0] for name, texts in parse_qs(url.query, keep_blank_values=True).items()}
    return Question(method, unquote(url.path), query, headers, int(headers.get("content-length", 0))), rest


def packed(answer: Answer, *, is_head: bool) -> bytes:
    headers = {"Content-Length": str(len(answer.body)), **answer.headers}
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    return f"HTTP/1.1 {answer.status}\r\n{lines}\r\n".encode() + (b"" if is_head else answer.body)


def xml(name: str, inside: str) -> Answer:
    return Answer(body=f'<?xml version="1.0" encoding="UTF-8"?><{name}>{inside}</{name}>'.encode())


def error(status: str, code: str) -> Answer:
    return Answer(status, body=xml("Error", f"<Code>{code}</Code><Message>{code}</Message>").body)


@contextmanager
def listening(port: int = 0) -> Iterator[int]:
    """Take connections on a port of this machine, in threads of this process."""
    server = NullS3()
    with socket.create_server(("127.0.0.1", port)) as door:
        thread = threading.Thread(target=accept, args=(door, server), daemon=True)
        thread.start()
        yield door.getsockname()[1]


def accept(door: socket.socket, server: NullS3) -> None:
    with suppress(OSError):
        while True:
            connection, _ = door.accept()
            threading.Thread(target=server.serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    with listening(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as bound:
        sys.stdout.write(f"ready {bound}\n")
        sys.stdout.flush()
        sys.stdin.buffer.read()
