"""Our own storage in a fresh bucket of the tests' server."""

from pathlib import Path
from typing import Any
from uuid import uuid4

from catalog.storage.address import S3Address
from catalog.storage.s3 import S3Storage
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY, S3Server

PART_BYTES = 250_000  # the server takes shorter parts than others do


def address_at(server: S3Server, **changes: Any) -> S3Address:
    words: dict[str, Any] = {"region": "us-east-1", "style": "path", "prefix": "own/", "part_bytes": PART_BYTES}
    return S3Address(bucket=f"own-{uuid4().hex}", endpoint=server.endpoint, **words | changes)


def opened(address: S3Address, scratch: Path) -> S3Storage:
    """Open it as another process would: with a connection of its own."""
    return S3Storage(address, access_key=ACCESS_KEY, secret_key=SECRET_KEY, scratch=scratch)


def new_storage(server: S3Server, scratch: Path, **changes: Any) -> S3Storage:
    storage = opened(address_at(server, **changes), scratch)
    storage.client.create_bucket(Bucket=storage.bucket)
    return storage


def own_is(storage: S3Storage, settings: Any) -> None:
    """Put our own storage into a bucket, as DFC_STORAGE_URL would."""
    options = {
        "address": storage.address,
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "scratch": storage.scratch,
    }
    own = {"BACKEND": "catalog.storage.s3.S3Storage", "OPTIONS": options}
    settings.STORAGES = settings.STORAGES | {"own": own}
