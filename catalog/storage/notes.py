"""Which upload of a file is under way: a note beside the files, so that any process on any machine goes on with it.

The service can list uploads, but tells neither which bytes one is for nor how long its parts are to be.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from catalog.storage.answers import translated
from catalog.storage.files import PARTIAL, names
from catalog.storage.multipart import Multipart
from catalog.storage.ranges import ranges

UNTAGGED = "untagged"
NOTE = ".json"


@dataclass(frozen=True)
class Begun:
    """An upload under way, and the length of its parts."""

    upload: Multipart
    part_bytes: int


class Notes:
    """What lies below `.partial/` in a prefix of a bucket, which no key of a file can be.

    `<key>/<tag>.json` notes an upload, `<key>/<tag>/<number>` is a part that waits to be joined.
    """

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self.client, self.bucket, self.prefix = client, bucket, prefix
        self.folder = f"{prefix}{PARTIAL}/"

    def name(self, key: str, tag: str) -> str:
        return f"{self.folder}{'/'.join(names(key))}/{quote(tag, safe='') or UNTAGGED}{NOTE}"

    def folder_of_parts(self, key: str, tag: str) -> str:
        """Give where the parts of a long file lie that are objects of their own."""
        return self.name(key, tag).removesuffix(NOTE) + "/"

    def find(self, key: str, tag: str) -> Begun | None:
        """Give the upload that is noted for a file and tag; it may be gone."""
        try:
            note = json.loads(b"".join(ranges(self.client, self.bucket, self.name(key, tag))))
        except FileNotFoundError:
            return None
        upload = Multipart(
            self.client, self.bucket, f"{self.prefix}{key}", note["upload_id"], checksum=note["checksum"]
        )
        return Begun(upload, note["part_bytes"])

    def keep(self, key: str, tag: str, begun: Begun) -> None:
        note = {
            "upload_id": begun.upload.upload_id,
            "checksum": begun.upload.checksum,
            "part_bytes": begun.part_bytes,
        }
        with translated(key):
            self.client.put_object(Bucket=self.bucket, Key=self.name(key, tag), Body=json.dumps(note).encode())

    def remove(self, key: str, tag: str) -> None:
        self.remove_named(self.name(key, tag))

    def remove_named(self, name: str) -> None:
        with suppress(FileNotFoundError), translated(name):
            self.client.delete_object(Bucket=self.bucket, Key=name)

    def remove_old(self, *, before: datetime, alive: set[str]) -> int:
        """Remove notes of before an instant, unless an upload of their file, named in full, is alive.

        Parts that are objects of their own go with the newest of them; gives of how many files they were.
        """
        found = dict(self.all())
        parts: dict[str, list[str]] = {}
        for name, since in found.items():
            if not name.endswith(NOTE):
                parts.setdefault(name.rpartition("/")[0], []).append(name)
            elif since < before and self.file_of(name) not in alive:
                self.remove_named(name)
        old = [some for some in parts.values() if all(found[name] < before for name in some)]
        for name in (name for some in old for name in some):
            self.remove_named(name)
        return len(old)

    def file_of(self, name: str) -> str:
        return self.prefix + name.removeprefix(self.folder).rpartition("/")[0]

    def all(self) -> Iterator[tuple[str, datetime]]:
        """Give the names of what lies here, and since when."""
        with translated(self.folder):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.folder)
            for page in pages:
                yield from ((one["Key"], one["LastModified"]) for one in page.get("Contents", ()))
