"""One multipart upload to an S3-compatible service: begun, found again, continued, and finished or dropped.

Knows a client of boto3, a bucket and a key, and nothing of ours. Rules of the service: at most 10,000 parts, each but
the last at least 5 MiB and at most 5 GiB; parts of one number replace one another; `complete` names each part with
the ETag that it had, and fails where another writer has replaced one since. So two writers never mix.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from catalog.storage.answers import UploadGoneError, made, translated
from catalog.storage.bodies import Sendable

MIB = 1 << 20
MOST_PARTS = 10_000
PLANNED_PARTS = 9_000  # of an announced length; the rest is for a source that was wrong by a little
LARGEST_PART = 5 << 30
PARTS_A_STEP = 1_000


def planned_part(size_bytes: int, least: int) -> int:
    """Give the length of all parts but the last for a file of known size: `least`, or whole MiB above it."""
    if size_bytes <= least * PLANNED_PARTS:
        return least
    return -(-size_bytes // (PLANNED_PARTS * MIB)) * MIB


def grown_part(number: int, first: int) -> int:
    """Give the length of part `number` (from 1) of a file of unknown size: it doubles after each 1,000 parts."""
    return min(LARGEST_PART, first << ((number - 1) // PARTS_A_STEP))


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
        cls,
        client: Any,
        bucket: str,
        key: str,
        *,
        checksum: str = "sha256",
        metadata: Mapping[str, str],
        words: Mapping[str, str] | None = None,
    ) -> Self:
        """Begin an upload. `checksum` is `sha256`, or `md5` for services that do not take SHA-256.

        `words` are further ones of the service about the object, as its media type.
        """
        algorithm = {"ChecksumAlgorithm": "SHA256"} if checksum == "sha256" else {}
        said = algorithm | dict(words or {})
        with translated(key):
            answer = client.create_multipart_upload(Bucket=bucket, Key=key, Metadata=dict(metadata), **said)
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

    def put(self, number: int, body: Sendable) -> Part:
        """Send one part; the service compares its checksum. It may be sent again. Closes `body`."""
        with body, self.known():
            checked = body.checked(self.checksum)
            answer = self.client.upload_part(
                **self.words, **checked, PartNumber=number, Body=body.rewound(), ContentLength=body.size_bytes
            )
        return Part(number, answer["ETag"], body.size_bytes, checked.get("ChecksumSHA256", ""))

    def copy(self, part: Part, source: str) -> Part:
        """Make a part of an object of this bucket, within the service; AlreadyThereError if it has another ETag."""
        with self.known():
            answer = self.client.upload_part_copy(
                **self.words,
                PartNumber=part.number,
                CopySource={"Bucket": self.words["Bucket"], "Key": source},
                CopySourceIfMatch=part.etag,
            )["CopyPartResult"]
        return Part(part.number, answer["ETag"], part.size_bytes, answer.get("ChecksumSHA256", ""))

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
