"""A bucket of any S3-compatible service: Source Cooperative, R2, B2, Tigris, AWS, or one of our own.

A locator below the mirror's prefix is the object's name, so that the layout is the same on every mirror.
"""

from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from catalog.storage.answers import translated
from catalog.storage.client import Service
from catalog.storage.multipart import uploads
from catalog.storage.ranges import ranges
from mirrors.backends import traits
from mirrors.backends.base import Checkpoint, Draft, Progress, Receipt, Record, RemoteStat, Source, Upload
from mirrors.backends.s3_bucket import S3Bucket, checksums_of
from mirrors.backends.s3_put import Putting
from mirrors.backends.s3_words import S3Place
from mirrors.errors import MirrorRefusedError


class S3Mirror:
    """Objects below one prefix of one bucket, by locator."""

    traits = traits.S3

    def __init__(self, service: Service, place: S3Place, *, scratch: Path) -> None:
        self.place, self.objects = place, S3Bucket(service, place, scratch)

    def find(self, key: str, record: Record) -> Draft | None:  # noqa: ARG002  a bucket keeps no record
        with self.objects.failures(key):
            return Draft(key=key, record_id=key) if self.objects.names_below(f"{self.objects.name(key)}/") else None

    def prepare(self, key: str, record: Record) -> Draft:  # noqa: ARG002  a bucket keeps no record
        """Look whether the bucket lets us in; there is nothing to make."""
        with self.objects.failures(key):
            self.objects.names_below(f"{self.objects.name(key)}/")
        return Draft(key=key, record_id=key)

    def describe(self, draft: Draft, record: Record) -> None:
        """Do nothing: a bucket keeps no record."""

    def locator(self, draft: Draft, path: str) -> str:
        return f"{draft.key}/{path}"

    def put(self, draft: Draft, upload: Upload, *, checkpoint: Checkpoint, progress: Progress) -> str:
        """Store a file; of a broken put only the missing parts are sent."""
        locator, source = self.locator(draft, upload.path), Source(upload)
        with self.objects.failures(locator, source):
            Putting(self.objects, locator, source, checkpoint=checkpoint, progress=progress).put()
        progress(upload.size_bytes)
        return locator

    def publish(self, draft: Draft, record: Record) -> Receipt:  # noqa: ARG002  a bucket keeps no record
        return Receipt(record_id=draft.record_id)

    def discard(self, draft: Draft) -> None:
        """Do nothing: a bucket has no drafts."""

    def listing(self, draft: Draft) -> Mapping[str, RemoteStat]:
        """Give the sizes; the ETags of a listing are checksums of some objects only, and it does not say of which."""
        with self.objects.failures(draft.key):
            below = f"{self.objects.name(draft.key)}/"
            with translated(draft.key):
                pages = self.objects.client.get_paginator("list_objects_v2").paginate(
                    Bucket=self.objects.bucket, Prefix=below
                )
                found = [one for page in pages for one in page.get("Contents", ())]
                return {one["Key"].removeprefix(below): RemoteStat(one["Size"]) for one in found if one}

    def stat(self, locator: str) -> RemoteStat | None:
        """Give size and the service's own checksums; a bucket that is not there is no absent file."""
        with self.objects.failures(locator):
            found = self.objects.head(locator)
            if found is None:
                self.objects.names_below(self.objects.name(locator))
                return None
            return RemoteStat(int(found["ContentLength"]), checksums_of(found))

    def read(self, locator: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        with self.objects.failures(locator):
            try:
                yield from ranges(self.objects.client, self.objects.bucket, self.objects.name(locator), start, length)
            except FileNotFoundError as error:
                raise MirrorRefusedError(
                    f"{locator}: {self.place.slug} does not hold it. Put it there again."
                ) from error

    def url(self, locator: str) -> str:
        return f"{self.place.public_url.rstrip('/')}/{quote(locator)}"

    def retire(self, locator: str) -> None:
        with self.objects.failures(locator), suppress(FileNotFoundError), translated(locator):
            self.objects.client.delete_object(Bucket=self.objects.bucket, Key=self.objects.name(locator))

    def drop_unfinished(self, *, before: datetime, keep: Container[str]) -> int:
        """Drop uploads below our prefix that were begun before an instant and got no part since; gives how many.

        Those whose id is in `keep` stay.
        """
        dropped = 0
        with self.objects.failures(self.place.prefix):
            for upload, begun_at in uploads(self.objects.client, self.objects.bucket, self.place.prefix):
                if begun_at < before and upload.upload_id not in keep and not upload.has_part_since(before):
                    upload.abort()
                    dropped += 1
        return dropped
