"""Mirrors at the tests' S3 server: each in a part of one bucket that nothing else is in."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from botocore.awsrequest import AWSResponse

from catalog.storage.client import Service
from catalog.storage.multipart import uploads
from mirrors.backends.s3 import S3Mirror
from mirrors.backends.s3_words import S3Place
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY, S3Server

BUSY = 429  # with which an answer of `Answered` asks for a pause of PAUSE_S
PAUSE_S = 7
PART_BYTES = 100_000  # the server takes shorter parts than others do
NAMES = "DFC_MIRROR_FAR_"


def service_at(endpoint: str, **changes: Any) -> Service:
    words = {"region": "us-east-1", "style": "path", "access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
    return Service(endpoint=endpoint, **words | changes)


def place_at(endpoint: str, **changes: Any) -> S3Place:
    words: dict[str, Any] = {
        "slug": "far",
        "bucket": "mirrors",
        "prefix": f"{uuid4().hex}/",
        "public_url": "https://far.example.org/data",
        "names": NAMES,
        "part_bytes": PART_BYTES,
    }
    return S3Place(endpoint=endpoint, **words | changes)


def new_mirror(server: S3Server, scratch: Path, **changes: Any) -> S3Mirror:
    make_bucket(server.endpoint)
    return S3Mirror(service_at(server.endpoint), place_at(server.endpoint, **changes), scratch=scratch)


@cache
def make_bucket(endpoint: str) -> None:
    mirror = S3Mirror(service_at(endpoint), place_at(endpoint), scratch=Path())
    mirror.objects.client.create_bucket(Bucket="mirrors")


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
        answer = AWSResponse(request.url, said[0], {"Retry-After": str(PAUSE_S)} if said[0] == BUSY else {}, None)
        answer._content = body
        return answer

    def __enter__(self) -> None:
        self.mirror.objects.client.meta.events.register(self.event, self.send)

    def __exit__(self, *_: object) -> None:
        self.mirror.objects.client.meta.events.unregister(self.event, self.send)
