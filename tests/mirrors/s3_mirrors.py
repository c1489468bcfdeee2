"""Mirrors at the tests' S3 server: each in a part of one bucket that nothing else is in."""

from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from catalog.storage.client import Service
from mirrors.backends.s3 import S3Mirror
from mirrors.backends.s3_words import S3Place
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY, S3Server

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
