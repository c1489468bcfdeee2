"""Try what a mirror needs of its service, with small objects of our own that are removed again.

Services differ in what they say they do and what they do: so each thing is done, and its opposite too.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from catalog.storage.answers import AlreadyThereError, UploadGoneError, translated
from catalog.storage.base import StorageRefusedError, StorageUnavailableError
from catalog.storage.bodies import Body
from catalog.storage.multipart import Multipart, uploads
from catalog.storage.ranges import ranges
from mirrors.backends.s3_bucket import S3Bucket, checksums_of
from mirrors.backends.s3_put import SHA256, is_unconditional
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError

CONTENT, OTHER = b"Data for Canada asks what this service can do.\n", b"These bytes must never be there.\n"
FIRST, LAST = 5, 14


@dataclass(frozen=True)
class Symptom:
    """What one try gave: `good`, `weak` (it works, with less), or `bad` (the mirror cannot be used so)."""

    check: str
    result: str
    finding: str = ""


class S3Doctor:
    """Looks at one bucket; all that it makes is below `folder`, and `clean` removes it."""

    def __init__(self, objects: S3Bucket, folder: str) -> None:
        self.objects = objects
        self.folder = folder
        self.locator = f"{self.folder}/file.txt"
        self.damaged = f"{self.folder}/damaged.txt"

    def look(self) -> Iterator[Symptom]:
        """Try one thing after another; what makes the rest pointless ends it."""
        for name in ("enter", "write"):
            symptom = self.tried(name)
            yield symptom
            if symptom.result == "bad":
                return
        for name in ("immutable", "checksum", "range", "metadata", "etag", "parts"):
            yield self.tried(name)

    def tried(self, name: str) -> Symptom:
        try:
            with self.objects.failures(name):
                result, finding = getattr(self, name)()
        except (MirrorRefusedError, MirrorUnavailableError) as error:
            result, finding = "bad", str(error)
        return Symptom(name, result, finding)

    def enter(self) -> tuple[str, str]:
        self.objects.names_below(self.objects.place.prefix)
        return "good", "Its keys open the bucket."

    def write(self) -> tuple[str, str]:
        self.put(self.locator, CONTENT)
        return "good", "It takes an object."

    def put(self, locator: str, content: bytes, **words: Any) -> None:
        metadata = {SHA256: hashlib.sha256(content).hexdigest()}
        with translated(locator):
            self.objects.client.put_object(**self.objects.words(locator), Body=content, Metadata=metadata, **words)

    def immutable(self) -> tuple[str, str]:
        try:
            self.put(self.locator, OTHER, IfNoneMatch="*")
        except AlreadyThereError:
            return "good", "It never puts an object over another one, if asked not to."
        except StorageRefusedError as error:
            if not is_unconditional(error):
                raise
            return "weak", "It cannot be asked not to replace an object; we look before each put instead."
        self.objects.client.delete_object(**self.objects.words(self.locator))
        self.put(self.locator, CONTENT)
        return "weak", "It replaces an object though asked not to; we look before each put instead."

    def checksum(self) -> tuple[str, str]:
        kind = self.objects.place.checksum
        wrong = base64.b64encode(hashlib.new(kind, OTHER, usedforsecurity=False).digest()).decode()
        try:
            self.put(self.damaged, CONTENT, **{"ChecksumSHA256" if kind == "sha256" else "ContentMD5": wrong})
        except (StorageUnavailableError, StorageRefusedError) as error:
            return "good", f"It refuses bytes that do not have the {kind} they should ({error.facts['code']})."
        other = "md5" if kind == "sha256" else "sha256"
        return "weak", f"It takes bytes that do not have the {kind} they should. Try {other} as checksum of uploads."

    def range(self) -> tuple[str, str]:
        objects = self.objects
        came = b"".join(ranges(objects.client, objects.bucket, objects.name(self.locator), FIRST, LAST - FIRST + 1))
        if came == CONTENT[FIRST : LAST + 1]:
            return "good", "It gives a range of an object."
        return "bad", f"Asked for {LAST - FIRST + 1} bytes of an object, it gave {len(came)}, or others."

    def metadata(self) -> tuple[str, str]:
        found = self.objects.head(self.locator) or {"Metadata": {}}
        if SHA256 in {name.lower() for name in found["Metadata"]}:
            return "good", "It keeps what we say of an object."
        return "weak", "It loses our metadata, so a put that is repeated reads the whole object first."

    def etag(self) -> tuple[str, str]:
        told = checksums_of(self.objects.head(self.locator) or {})
        wrong = sorted(name for name, text in told.items() if text != hashlib.new(name, CONTENT).hexdigest())
        if wrong:
            return (
                "bad",
                f"What it tells as {wrong[0]} of an object is none: level 2 would call good copies damaged.",
            )
        if told:
            return "good", f"Of an object in one part it tells the {' and the '.join(sorted(told))}."
        return "weak", "It tells no checksum that can be compared, so that copies have to be read again: level 4."

    def parts(self) -> tuple[str, str]:
        with self.upload() as upload, Body(self.objects.made_scratch()) as body:
            body.add(CONTENT)
            upload.put(1, body)
            if upload.parts().keys() != {1}:
                return "bad", "It does not tell the parts of an upload, so that none can be continued after a kill."
            is_listed = any(one.upload_id == upload.upload_id for one, _ in self.unfinished())
        with suppress(UploadGoneError):
            if upload.parts():
                return "bad", "It keeps an upload that was dropped. Look at the rights of its keys."
        if is_listed:
            return "good", "Uploads in parts are continued, found and dropped."
        return "weak", "It does not list unfinished uploads. Give the bucket a rule that drops them after 8 days."

    @contextmanager
    def upload(self) -> Iterator[Multipart]:
        objects = self.objects
        begun = Multipart.begin(
            objects.client,
            objects.bucket,
            objects.name(f"{self.folder}/parts.bin"),
            checksum=objects.place.checksum,
            metadata={},
        )
        try:
            yield begun
        finally:
            begun.abort()

    def unfinished(self) -> Iterator[tuple[Multipart, Any]]:
        return uploads(self.objects.client, self.objects.bucket, self.objects.name(self.folder))

    def drop_uploads(self) -> None:
        """Drop the uploads that were begun, one whose beginning was never answered too; tidying has the rest."""
        with suppress(MirrorRefusedError, MirrorUnavailableError), self.objects.failures(self.folder):
            for upload, _begun_at in self.unfinished():
                upload.abort()

    def clean(self) -> Symptom:
        """Remove all that was made, and look whether it is gone."""
        self.drop_uploads()
        try:
            with self.objects.failures(self.folder):
                for locator in (self.locator, self.damaged):
                    with suppress(FileNotFoundError), translated(locator):
                        self.objects.client.delete_object(**self.objects.words(locator))
                left = self.objects.names_below(self.objects.name(self.folder))
        except (MirrorRefusedError, MirrorUnavailableError) as error:
            return Symptom("clean", "bad", f"{error} Remove {self.objects.name(self.folder)}/ by hand.")
        if left:
            return Symptom(
                "clean", "bad", f"It did not remove {left[0]}. Let its keys delete, then remove it by hand."
            )
        return Symptom("clean", "good", "Nothing was left behind.")
