"""One multipart upload to an S3-compatible service: begun, found again, continued, and finished or dropped.

Knows a client of boto3, a bucket and a key, and nothing of ours. Rules of the service: at most 10,000 parts, each but
the last at least 5 MiB and at most 5 GiB; parts of one number replace one another; `complete` names each part with
the ETag that it had, and fails where another writer has replaced one since. So two writers never mix.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Any, Self

from catalog.storage.answers import UploadGoneError, made, translated

MIB = 1 << 20
MOST_PARTS = 10_000
PLANNED_PARTS = 9_000  # of an announced length; the rest is for a source that was wrong by a little
LARGEST_PART = 5 << 30
PARTS_A_STEP = 1_000
IN_MEMORY_BYTES = 8 * MIB
BLOCK_BYTES = MIB


def planned_part(size_bytes: int, least: int) -> int:
    """Give the length of all parts but the last for a file of known size: `least`, or whole MiB above it."""
    if size_bytes <= least * PLANNED_PARTS:
        return least
    return -(-size_bytes // (PLANNED_PARTS * MIB)) * MIB


def grown_part(number: int, first: int) -> int:
    """Give the length of part `number` (from 1) of a file of unknown size: it doubles after each 1,000 parts."""
    return min(LARGEST_PART, first << ((number - 1) // PARTS_A_STEP))


class Body:
    """The bytes of one part; what is above `in_memory_bytes` lies in a file without a name in `scratch`."""

    def __init__(self, scratch: Path, in_memory_bytes: int = IN_MEMORY_BYTES) -> None:
        self.size_bytes = 0
        self.file = SpooledTemporaryFile(max_size=in_memory_bytes, dir=str(scratch))  # noqa: SIM115  see `close`

    def add(self, block: bytes | memoryview) -> None:
        self.file.write(block)
        self.size_bytes += len(block)

    def checked(self, checksum: str) -> dict[str, str]:
        """Give the words with which the service checks these bytes on arrival: by `sha256` or `md5`."""
        value = base64.b64encode(self.digest(checksum)).decode()
        return {"ChecksumSHA256" if checksum == "sha256" else "ContentMD5": value}

    def rewound(self) -> "SpooledTemporaryFile[bytes]":
        self.file.seek(0)
        return self.file

    def digest(self, algorithm: str) -> bytes:
        return hashlib.file_digest(self.rewound(), partial(hashlib.new, algorithm, usedforsecurity=False)).digest()

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Part:
    """One part that the service has; `sha256` in base64, empty where the service does not tell it."""

    number: int
    etag: str
    size_bytes: int
    sha256: str = ""

    def named(self) -> dict[str, object]:
        """Say which part is meant when the upload is completed."""
        named: dict[str, object] = {"PartNumber": self.number, "ETag": self.etag}
        return named | ({"ChecksumSHA256": self.sha256} if self.sha256 else {})


class Multipart:
    """An upload that is under way; `begin` makes one, and its `upload_id` is all that has to be kept to go on."""

    def __init__(self, client: Any, bucket: str, key: str, upload_id: str, *, checksum: str = "sha256") -> None:
        self.client, self.checksum = client, checksum
        self.key, self.upload_id = key, upload_id
        self.words = {"Bucket": bucket, "Key": key, "UploadId": upload_id}

    @classmethod
    def begin(
        cls, client: Any, bucket: str, key: str, *, checksum: str = "sha256", metadata: Mapping[str, str]
    ) -> Self:
        """Begin an upload. `checksum` is `sha256`, or `md5` for services that do not take SHA-256."""
        algorithm = {"ChecksumAlgorithm": "SHA256"} if checksum == "sha256" else {}
        with translated(key):
            answer = client.create_multipart_upload(Bucket=bucket, Key=key, Metadata=dict(metadata), **algorithm)
        return cls(client, bucket, key, answer["UploadId"], checksum=checksum)

    @contextmanager
    def known(self) -> Iterator[None]:
        """Call an upload gone also where a service says that the key is not there."""
        try:
            with translated(self.key):
                yield
        except FileNotFoundError as error:
            raise made(UploadGoneError, self.key, "") from error

    def parts(self) -> dict[int, Part]:
        """Give the parts that the service has, by number; raises UploadGoneError."""
        with self.known():
            pages = self.client.get_paginator("list_parts").paginate(**self.words)
            return {one["PartNumber"]: listed(one) for page in pages for one in page.get("Parts", ())}

    def has_part_since(self, instant: datetime) -> bool:
        """Tell whether a part came since an instant; False for an upload that is gone."""
        with suppress(UploadGoneError), self.known():
            pages = self.client.get_paginator("list_parts").paginate(**self.words)
            return any(one["LastModified"] >= instant for page in pages for one in page.get("Parts", ()))
        return False

    def put(self, number: int, body: Body) -> Part:
        """Send one part; the service compares its checksum. It may be sent again. Closes `body`."""
        checked = body.checked(self.checksum)
        with body, self.known():
            answer = self.client.upload_part(
                **self.words, **checked, PartNumber=number, Body=body.rewound(), ContentLength=body.size_bytes
            )
        return Part(number, answer["ETag"], body.size_bytes, checked.get("ChecksumSHA256", ""))

    def complete(self, parts: Iterable[Part], *, only_if_absent: bool = False) -> None:
        """Make the file of the parts, which come in order.

        Raises UploadGoneError; FileBusyError where a part was replaced by another writer's; AlreadyThereError if
        `only_if_absent` and there is a file of that key.
        """
        condition = {"IfNoneMatch": "*"} if only_if_absent else {}
        named = {"Parts": [part.named() for part in parts]}
        with self.known():
            self.client.complete_multipart_upload(**self.words, **condition, MultipartUpload=named)

    def abort(self) -> None:
        """Drop the upload and its parts; nothing happens if it is gone."""
        with suppress(UploadGoneError), self.known():
            self.client.abort_multipart_upload(**self.words)


def listed(one: Mapping[str, Any]) -> Part:
    return Part(one["PartNumber"], one["ETag"], one["Size"], one.get("ChecksumSHA256", ""))


def uploads(client: Any, bucket: str, prefix: str) -> Iterator[tuple[Multipart, datetime]]:
    """Give the uploads below a prefix that were neither finished nor dropped, and when each was begun."""
    with translated(prefix):
        for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
            for one in page.get("Uploads", ()):
                yield Multipart(client, bucket, one["Key"], one["UploadId"]), one["Initiated"]
