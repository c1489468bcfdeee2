"""Our own storage in a bucket of an S3-compatible service.

A file that fits into one part is one request; a larger one is a multipart upload that any process can go on with.
Writing and reading are ours, not those of django-storages: they begin again after an
interruption, and hold a whole object in memory.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from catalog.storage.address import S3Address
from catalog.storage.answers import UploadGoneError, translated
from catalog.storage.base import Receiver
from catalog.storage.bodies import Body
from catalog.storage.client import Service, client_of
from catalog.storage.copies import copied
from catalog.storage.files import (
    FileBusyError,
    OpenAt,
    Progress,
    SourceTooLongError,
    ignore,
    names,
    rest_of,
    tag_of,
    too_long,
    too_short,
)
from catalog.storage.multipart import Multipart, Part, planned_part, uploads
from catalog.storage.notes import Begun, Notes
from catalog.storage.parts import PartWriter, length_of_part, send_all
from catalog.storage.ranges import READ_AHEAD_BYTES, RangeReader, ranges
from catalog.storage.s3_kept import KeptParts, KeptReceiver
from catalog.storage.s3_receive import IN_MEMORY_BYTES, S3Receiver, size_of_part

TAG = "dfc-tag"
SHA256 = "dfc-sha256"
KEPT_FROM_BYTES = 256 << 20  # a file as long as this is dearer to fetch again than to copy once within the service


class S3Storage:
    """Files by key under one prefix of one bucket. Keys are POSIX paths without a leading slash."""

    directory = None

    def __init__(self, address: S3Address, *, access_key: str, secret_key: str, scratch: Path) -> None:
        self.address, self.bucket, self.scratch = address, address.bucket, scratch
        self.service = Service(address.endpoint, address.region, address.style, access_key, secret_key)

    @property
    def client(self) -> Any:
        return client_of(self.service, os.getpid())

    @property
    def notes(self) -> Notes:
        return Notes(self.client, self.bucket, self.address.prefix)

    def name(self, key: str) -> str:
        """Give an object's name; raises StorageKeyError for what is no key."""
        return self.address.prefix + "/".join(names(key))

    def size(self, key: str) -> int | None:
        """Give the bytes of a whole file, None if there is none."""
        try:
            return int(self.head(key)["ContentLength"])
        except FileNotFoundError:
            return None

    def head(self, key: str) -> Mapping[str, Any]:
        with translated(key):
            found: Mapping[str, Any] = self.client.head_object(Bucket=self.bucket, Key=self.name(key))
            return found

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Give a file's bytes from `start`, at most `length`; FileNotFoundError if absent."""
        return ranges(self.client, self.bucket, self.name(key), start, length)

    def open(self, key: str) -> IO[bytes]:
        """Open a file for reading by ranges; FileNotFoundError if absent."""
        size_bytes = int(self.head(key)["ContentLength"])
        return BufferedReader(RangeReader(partial(self.read, key), size_bytes), READ_AHEAD_BYTES)

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """Give a copy in the scratch folder, under the file's own name; it is removed at the end."""
        return copied(self.read(key), self.made_scratch(), names(key)[-1])

    def made_scratch(self) -> Path:
        self.scratch.mkdir(parents=True, exist_ok=True)
        return self.scratch

    def write(
        self, key: str, size_bytes: int, open_at: OpenAt, *, tag: str = "", progress: Progress | None = None
    ) -> None:
        """Write a file whole or not at all, going on behind the parts that a write of the same `tag` has sent.

        `tag` names the content: processes that write the same bytes at the same time help one another, those that
        write others have another tag, and the last to end stays. Raises SourceLengthError when the source gives other
        than `size_bytes`, FileBusyError where a tag was used for two contents. `progress` is told after each part.
        """
        write = self.write_at_once if size_bytes <= self.address.part_bytes else self.write_parts
        write(key, size_bytes, open_at, tag, progress or ignore)

    def write_at_once(self, key: str, size_bytes: int, open_at: OpenAt, tag: str, progress: Progress) -> None:
        with Body(self.made_scratch()) as body:
            for block in open_at(0):
                body.add(block)
                if body.size_bytes > size_bytes:
                    raise too_long(size_bytes)
            if body.size_bytes != size_bytes:
                raise too_short(body.size_bytes, size_bytes)
            self.put(key, body, tag=tag)
        progress(size_bytes)

    def put(self, key: str, body: Body, *, tag: str) -> None:
        """Store a file in one request."""
        with translated(key):
            self.client.put_object(
                Bucket=self.bucket,
                Key=self.name(key),
                ContentLength=body.size_bytes,
                Metadata={TAG: quote(tag), SHA256: body.digest("sha256").hex()},
                **body.checked(self.address.checksum),
                Body=body.rewound(),
            )

    def write_parts(self, key: str, size_bytes: int, open_at: OpenAt, tag: str, progress: Progress) -> None:
        """Send what is missing of an upload and finish it; an upload that does not lead to the file is forgotten."""
        begun, present = self.go_on(key, size_bytes, tag)
        size_of = partial(length_of_part, size_bytes, begun.part_bytes)
        new_body = partial(Body, self.made_scratch())
        writer = PartWriter(begun.upload, size_of, new_body, present=present, progress=progress)
        try:
            with writer:
                send_all(writer, size_bytes, open_at)
                self.complete(writer, key, tag)
        except (SourceTooLongError, FileBusyError, UploadGoneError):
            self.notes.remove(key, tag)
            begun.upload.abort()
            raise
        self.notes.remove(key, tag)

    def go_on(self, key: str, size_bytes: int, tag: str) -> tuple[Begun, dict[int, Part]]:
        """Give the upload that was begun for these bytes and its parts, or a new one."""
        begun = self.notes.find(key, tag)
        if begun is not None:
            with suppress(UploadGoneError):
                return begun, begun.upload.parts()
        begun = Begun(self.new_upload(key, tag), planned_part(size_bytes, self.address.part_bytes))
        self.notes.keep(key, tag, begun)
        return begun, {}

    def new_upload(self, key: str, tag: str) -> Multipart:
        """Begin an upload; one that nobody notes or finishes is dropped by its age."""
        return Multipart.begin(
            self.client, self.bucket, self.name(key), checksum=self.address.checksum, metadata={TAG: quote(tag)}
        )

    def complete(self, writer: PartWriter, key: str, tag: str) -> None:
        """Make the file; nothing is wrong if another process did so, or we did and the answer was lost."""
        parts = writer.finish()
        try:
            writer.upload.complete(parts)
        except UploadGoneError:
            if not self.has(key, writer.done_bytes, tag):
                raise

    def has(self, key: str, size_bytes: int, tag: str) -> bool:
        """Tell whether a file of that size was written with that tag; an untagged one might be another."""
        with suppress(FileNotFoundError):
            found = self.head(key)
            tags = {name.lower(): value for name, value in found["Metadata"].items()}
            return bool(tag and found["ContentLength"] == size_bytes and tags.get(TAG) == quote(tag))
        return False

    def write_bytes(self, key: str, content: bytes) -> None:
        """Write a small file whole; what a write of other bytes left unfinished is not continued."""
        self.write(key, len(content), partial(rest_of, content), tag=tag_of(content))

    def receive(self, key: str, *, tag: str, size_bytes: int = 0) -> Receiver:
        """Take in a file; of a long one, full parts are kept for a later try, of a shorter one nothing."""
        put, complete = partial(self.put, key, tag=tag), partial(self.complete, key=key, tag=tag)
        begin = partial(self.new_upload, key, tag)
        if size_bytes < KEPT_FROM_BYTES or self.address.resume == "no":
            return S3Receiver(
                begin=begin, put=put, complete=complete, address=self.address, scratch=self.made_scratch()
            )
        folder = self.notes.folder_of_parts(key, tag)
        parts = KeptParts(self.client, self.bucket, folder, checksum=self.address.checksum, begin=begin)
        new_body = partial(Body, self.made_scratch(), IN_MEMORY_BYTES)
        return KeptReceiver(parts, size_of_part(self.address), new_body, put=put, complete=complete)

    def delete(self, key: str) -> None:
        """Remove a file; nothing happens if there is none."""
        self.remove(self.name(key))

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError), translated(name):
            self.client.delete_object(Bucket=self.bucket, Key=name)

    def delete_folder(self, key: str) -> None:
        """Remove all files below a key; nothing happens if there are none."""
        for name in self.below(f"{self.name(key)}/"):
            self.remove(name)

    def below(self, prefix: str) -> list[str]:
        with translated(prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            return [one["Key"] for page in pages for one in page.get("Contents", ())]

    def drop_unfinished(self, *, before: datetime) -> int:
        """Drop the uploads that were begun before an instant and got no part since; gives how many.

        Their notes go too, and the parts of long files that got no other since.
        """
        dropped, alive = 0, set()
        for upload, begun_at in uploads(self.client, self.bucket, self.address.prefix):
            if begun_at < before and not upload.has_part_since(before):
                upload.abort()
                dropped += 1
            else:
                alive.add(upload.key)
        return dropped + self.notes.remove_old(before=before, alive=alive)
