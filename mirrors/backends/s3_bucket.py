"""One bucket of an S3-compatible service: its connection, its names, and its failures as those of a mirror."""

import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from catalog.storage.answers import (
    NOT_S3,
    AlreadyThereError,
    BehindTheEndError,
    UploadGoneError,
    made,
    translated,
)
from catalog.storage.base import StorageRefusedError, StorageUnavailableError
from catalog.storage.client import Service, client_of
from catalog.storage.files import FileBusyError, SourceLengthError, StorageKeyError, names
from mirrors.backends.base import Source
from mirrors.backends.s3_words import OTHER, UNAVAILABLE, S3Place, is_full, sentence
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError

MD5 = re.compile(r"[0-9a-f]{32}")
LISTING = {"Name", "MaxKeys", "KeyCount", "IsTruncated"}  # of which each service gives some
WHOLE = "FULL_OBJECT"
UNSAID = {"400", "403", "404"}  # a HEAD has no words; a listing says why
FAILURES = (
    *(StorageUnavailableError, StorageRefusedError, StorageKeyError, SourceLengthError, FileBusyError),
    *(AlreadyThereError, BehindTheEndError, UploadGoneError),
)


class S3Bucket:
    """Objects below one prefix; `scratch` is a folder of this machine for parts under way."""

    def __init__(self, service: Service, place: S3Place, scratch: Path) -> None:
        self.service, self.place, self.scratch = service, place, scratch
        self.bucket = place.bucket

    @property
    def client(self) -> Any:
        with translated(self.place.slug):
            return client_of(self.service, os.getpid())

    def name(self, locator: str) -> str:
        return self.place.prefix + "/".join(names(locator))

    def words(self, locator: str) -> dict[str, str]:
        """Say which object is meant."""
        return {"Bucket": self.bucket, "Key": self.name(locator)}

    def head(self, locator: str) -> Mapping[str, Any] | None:
        """Give what the service says of an object, None if it has none; a refusal is asked for its reason."""
        mode = {"ChecksumMode": "ENABLED"} if self.place.checksum == "sha256" else {}
        try:
            with translated(locator):
                found: Mapping[str, Any] = self.client.head_object(Bucket=self.bucket, Key=self.name(locator), **mode)
                return found
        except FileNotFoundError:
            return None
        except StorageRefusedError as error:
            if error.facts["code"] in UNSAID:
                self.names_below(self.name(locator))
            raise

    def names_below(self, prefix: str) -> list[str]:
        """Give one name that begins so, if there is any."""
        with translated(prefix):
            page = self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, MaxKeys=1)
            if not page.keys() & LISTING:
                raise made(StorageUnavailableError, prefix, "its answer is no listing", NOT_S3)
            return [one["Key"] for one in page.get("Contents", ())]

    def made_scratch(self) -> Path:
        self.scratch.mkdir(parents=True, exist_ok=True)
        return self.scratch

    @contextmanager
    def failures(self, name: str, source: Source | None = None) -> Iterator[None]:
        """Turn the failures of a service into the two that a mirror may have; those of a source stay its own."""
        try:
            yield
        except FAILURES as error:
            if source is not None and error is source.error:
                raise
            raise self.meaning(name, error) from error

    def meaning(self, name: str, error: Any) -> MirrorRefusedError | MirrorUnavailableError:
        code, finding = str(error.facts.get("code", "")), str(error.facts.get("finding", ""))
        if isinstance(error, StorageRefusedError) or is_full(code):
            return MirrorRefusedError(sentence(self.place, code, finding, usual=OTHER))
        if isinstance(error, StorageUnavailableError):
            return MirrorUnavailableError(sentence(self.place, code, finding, usual=UNAVAILABLE))
        if isinstance(error, UploadGoneError):
            return MirrorUnavailableError(f"{self.place.slug}: the upload of {name} is gone there. It begins again.")
        kind = MirrorRefusedError if isinstance(error, StorageKeyError) else MirrorUnavailableError
        return kind(f"{self.place.slug}: {error}")


def checksums_of(found: Mapping[str, Any]) -> dict[str, str]:
    """Give the checksums of a whole object that the service keeps itself.

    The ETag is the md5 of what came in one request and is not encrypted with a key of its own; a checksum of
    checksums, as of what came in parts, is none.
    """
    checksums = {}
    etag, sha256 = found.get("ETag", "").strip('"'), found.get("ChecksumSHA256", "")
    if MD5.fullmatch(etag) and found.get("ServerSideEncryption", "AES256") == "AES256" and not own_key(found):
        checksums["md5"] = etag
    if sha256 and "-" not in sha256 and found.get("ChecksumType", WHOLE) == WHOLE:
        with suppress(binascii.Error):
            checksums["sha256"] = base64.b64decode(sha256, validate=True).hex()
    return checksums


def own_key(found: Mapping[str, Any]) -> bool:
    return "SSECustomerAlgorithm" in found or "SSEKMSKeyId" in found
