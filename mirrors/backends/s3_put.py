"""Put one file into a bucket: never over what is there, and of a broken put only what is missing.

1. The service is asked to refuse what is there (If-None-Match), and is looked at before, since some ignore the
   question and some refuse to be asked.
2. `dfc-sha256` is our own claim about an object: it says whether a put was done, and is no checksum of the mirror.
3. An upload in parts is found again by its id in the checkpoint, and its parts by asking the service for them.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from catalog.storage.answers import AlreadyThereError, UploadGoneError, translated
from catalog.storage.base import StorageRefusedError
from catalog.storage.bodies import Body, FileBody, Sendable
from catalog.storage.files import FileBusyError, SourceTooLongError, too_long, too_short
from catalog.storage.multipart import MIB, Multipart, Part, planned_part
from catalog.storage.parts import PartWriter, length_of_part, send_all, send_file
from catalog.storage.ranges import ranges
from mirrors.backends.base import Checkpoint, Progress, Source
from mirrors.backends.s3_bucket import S3Bucket
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError

SHA256 = "dfc-sha256"
SHARES, SHORT_PART = 128, 8 * MIB
UNCONDITIONAL = {"NotImplemented", "501"}


class Store(Protocol):
    """Stores an object, at the service's own condition that there is none, or without it."""

    def __call__(self, *, only_if_absent: bool) -> None: ...


class Putting:
    """One try to put one file; `source.error` is what its source failed of."""

    def __init__(
        self, into: S3Bucket, locator: str, source: Source, *, checkpoint: Checkpoint, progress: Progress
    ) -> None:
        self.into, self.place, self.locator, self.source = into, into.place, locator, source
        self.upload, self.checkpoint, self.progress = source.upload, checkpoint, progress

    def put(self) -> None:
        """Store the file; nothing is sent if it is there. Raises MirrorRefusedError if other bytes are."""
        if not self.is_there():
            if self.upload.size_bytes <= self.place.part_bytes:
                self.put_at_once()
            else:
                self.put_parts()

    def is_there(self) -> bool:
        """Tell whether the object is there with these bytes; raises MirrorRefusedError if with others."""
        found = self.into.head(self.locator)
        if found is None:
            return False
        seen, size_bytes = self.seen(found), int(found["ContentLength"])
        if size_bytes != self.upload.size_bytes or seen != self.upload.sha256:
            raise MirrorRefusedError(
                f"{self.upload.path}: {self.place.slug} holds other bytes under that name ({size_bytes} bytes, "
                f"sha256 {seen[:16]}…). Published bytes are never overwritten: retire that copy first."
            )
        return True

    def seen(self, found: Mapping[str, Any]) -> str:
        """Give the sha256 that an object was put with; one that others put is read, if its size is right."""
        claims = {name.lower(): value for name, value in found["Metadata"].items()}
        if SHA256 in claims or int(found["ContentLength"]) != self.upload.size_bytes:
            return str(claims.get(SHA256, "unknown"))
        digest = hashlib.sha256()
        for block in ranges(self.into.client, self.into.bucket, self.into.name(self.locator)):
            digest.update(block)
        return digest.hexdigest()

    def put_at_once(self) -> None:
        """Store a file in one request; the service sees damage on the way, and we see a source of other bytes."""
        with self.body() as body:
            if body.digest("sha256").hex() != self.upload.sha256:
                raise MirrorUnavailableError(
                    f"{self.upload.path}: its source gave other bytes than were announced. Look at the source; it is "
                    "tried again."
                )
            words = self.into.words(self.locator) | body.checked(self.place.checksum) | self.said()
            self.if_absent(partial(self.put_object, body, words))

    def put_object(self, body: Sendable, words: dict[str, Any], *, only_if_absent: bool) -> None:
        condition = {"IfNoneMatch": "*"} if only_if_absent else {}
        with translated(self.locator):
            self.into.client.put_object(
                **words, **condition, Body=body.rewound(), ContentLength=self.upload.size_bytes
            )

    @contextmanager
    def body(self) -> Iterator[Sendable]:
        """Give all bytes of a short source as what one request sends; raises SourceLengthError."""
        size_bytes, file = self.upload.size_bytes, self.upload.file
        if file is not None:
            refuse_other_length(file, size_bytes)
            with FileBody(file, 0, size_bytes) as stretch:
                yield stretch
            return
        with Body(self.into.made_scratch()) as body:
            for block in self.source.open(0):
                body.add(block)
                if body.size_bytes > size_bytes:
                    raise too_long(size_bytes)
            if body.size_bytes != size_bytes:
                raise too_short(body.size_bytes, size_bytes)
            yield body

    def put_parts(self) -> None:
        """Send what is missing of an upload and finish it; one that does not lead to the file is forgotten."""
        begun, part_bytes, present = self.go_on()
        try:
            parts = self.send(begun, part_bytes, present)
            if self.is_there() or not self.if_absent(partial(begun.complete, parts)):
                begun.abort()  # another writer was quicker, with the same bytes
        except (SourceTooLongError, UploadGoneError, FileBusyError, MirrorRefusedError):
            self.checkpoint.save({})
            begun.abort()
            raise
        self.checkpoint.save({})

    def if_absent(self, store: Store) -> bool:
        """Store an object where there is none; False if the same bytes are there, whoever stored them.

        A service that refuses the condition is looked at instead. An upload that is gone may have been finished by
        a call whose answer was lost.
        """
        try:
            store(only_if_absent=True)
        except AlreadyThereError as error:
            if self.is_there():
                return False
            raise MirrorUnavailableError(
                f"{self.place.slug}: {self.upload.path} was there, and is not there now. It is tried again."
            ) from error
        except UploadGoneError:
            if not self.is_there():
                raise
        except StorageRefusedError as error:
            if not is_unconditional(error):
                raise
            if self.is_there():
                return False
            store(only_if_absent=False)
        return True

    def send(self, begun: Multipart, part_bytes: int, present: dict[int, Part]) -> list[Part]:
        """Give all parts of the upload, those that were missing sent."""
        size_bytes, file = self.upload.size_bytes, self.upload.file
        if file is not None:
            refuse_other_length(file, size_bytes)
            return send_file(begun, file, size_bytes, part_bytes, present=present, progress=self.progress)
        size_of = partial(length_of_part, size_bytes, part_bytes)
        new_body = partial(Body, self.into.made_scratch())
        with PartWriter(begun, size_of, new_body, present=present, progress=self.progress) as writer:
            send_all(writer, size_bytes, self.source.open)
            return writer.finish()

    def go_on(self) -> tuple[Multipart, int, dict[int, Part]]:
        """Give the upload that was begun for these bytes, the length of its parts and those there, or a new one."""
        saved, meant = self.checkpoint.load(), self.into.words(self.locator) | {"sha256": self.upload.sha256}
        if saved.get("meant") == meant:
            begun = Multipart(
                self.into.client, *self.place_of_upload(), saved["upload_id"], checksum=saved["checksum"]
            )
            with suppress(UploadGoneError):
                return begun, saved["part_bytes"], begun.parts()
        begun, part_bytes = self.begin(), part_of(self.upload.size_bytes, self.place.part_bytes)
        self.checkpoint.save(
            {
                "meant": meant,
                "upload_id": begun.upload_id,
                "checksum": self.place.checksum,
                "part_bytes": part_bytes,
            }
        )
        return begun, part_bytes, {}

    def begin(self) -> Multipart:
        words = self.said()
        metadata, checksum = words.pop("Metadata"), self.place.checksum
        return Multipart.begin(
            self.into.client, *self.place_of_upload(), checksum=checksum, metadata=metadata, words=words
        )

    def place_of_upload(self) -> tuple[str, str]:
        return self.into.bucket, self.into.name(self.locator)

    def said(self) -> dict[str, Any]:
        """Give what the service is told of an object."""
        words: dict[str, Any] = {"Metadata": {SHA256: self.upload.sha256}, "ContentType": self.upload.media_type}
        return words | ({"StorageClass": self.place.storage_class} if self.place.storage_class else {})


def part_of(size_bytes: int, usual: int) -> int:
    """Give how long all parts but the last are: short ones for a shorter file, so that a kill costs little of it."""
    share = -(-size_bytes // (SHARES * MIB)) * MIB
    return planned_part(size_bytes, min(usual, max(SHORT_PART, share)))


def is_unconditional(error: StorageRefusedError) -> bool:
    """Tell whether a service refuses to be asked for a condition."""
    return error.facts["code"] in UNCONDITIONAL or "if-none-match" in str(error.facts["finding"]).lower()


def refuse_other_length(path: Path, size_bytes: int) -> None:
    found = path.stat().st_size
    if found != size_bytes:
        raise too_long(size_bytes) if found > size_bytes else too_short(found, size_bytes)
