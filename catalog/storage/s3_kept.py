"""A long file that comes into a bucket from elsewhere, of which nothing that came is asked for again.

A service keeps the parts of an unfinished upload but shows them to nobody, so that no other process could hash them.
Therefore each part is an object of its own until the file is whole; then the service joins them by copies of its own.
The parts outlive a broken line and a kill of this process; what nobody continues is dropped by its age.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

from catalog.storage.answers import AlreadyThereError, UploadGoneError, made, translated
from catalog.storage.bodies import Body, Sendable
from catalog.storage.files import FileBusyError
from catalog.storage.multipart import Multipart, Part
from catalog.storage.parts import AT_ONCE, PartWriter, SizeOf
from catalog.storage.ranges import ranges


class KeptParts:
    """The parts as objects in one folder of a bucket, named by their numbers; `folder` names the content too."""

    def __init__(
        self, client: Any, bucket: str, folder: str, *, checksum: str, begin: Callable[[], Multipart]
    ) -> None:
        self.client, self.bucket, self.folder = client, bucket, folder
        self.checksum, self.begin = checksum, begin

    def name(self, number: int) -> str:
        return f"{self.folder}{number:05d}"

    def parts(self) -> dict[int, Part]:
        """Give the parts that are there, by number."""
        with translated(self.folder):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.folder)
            listed = [one for page in pages for one in page.get("Contents", ())]
        numbered = {int(one["Key"].removeprefix(self.folder)): one for one in listed}
        return {number: Part(number, one["ETag"], one["Size"]) for number, one in sorted(numbered.items())}

    def put(self, number: int, body: Sendable) -> Part:
        """Store one part; the service compares its checksum. Closes `body`."""
        with body, translated(self.name(number)):
            answer = self.client.put_object(
                Bucket=self.bucket,
                Key=self.name(number),
                ContentLength=body.size_bytes,
                **body.checked(self.checksum),
                Body=body.rewound(),
            )
        return Part(number, answer["ETag"], body.size_bytes)

    def read(self, part: Part) -> Iterator[bytes]:
        """Give the bytes of a part; StorageUnavailableError if others are there than when it was listed."""
        return ranges(self.client, self.bucket, self.name(part.number), etag=part.etag)

    def complete(self, parts: Sequence[Part]) -> None:
        """Make the file of the parts, in their order.

        Raises FileBusyError or UploadGoneError where a part was replaced or removed by another process.
        """
        upload = self.begin()
        try:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                joined = list(pool.map(partial(self.copy, upload), parts))
            upload.complete(joined)
        except BaseException:
            upload.abort()
            raise

    def copy(self, upload: Multipart, part: Part) -> Part:
        try:
            return upload.copy(part, self.name(part.number))
        except AlreadyThereError as error:
            raise made(FileBusyError, self.name(part.number), "") from error

    def abort(self) -> None:
        """Remove the parts; nothing happens if there are none."""
        for number in self.parts():
            with suppress(FileNotFoundError), translated(self.name(number)):
                self.client.delete_object(Bucket=self.bucket, Key=self.name(number))


class KeptReceiver:
    """Keeps each part as soon as it is full; the last, unfinished one is all that a break costs."""

    def __init__(
        self,
        parts: KeptParts,
        size_of: SizeOf,
        new_body: Callable[[], Body],
        *,
        put: Callable[[Body], None],
        complete: Callable[[PartWriter], None],
    ) -> None:
        self.parts, self.size_of, self.new_body = parts, size_of, new_body
        self.put, self.complete = put, complete
        self.done_bytes = 0

    def __enter__(self) -> Self:
        self.earlier = list(in_a_row(self.parts.parts(), self.size_of))
        self.begin()
        return self

    def begin(self) -> None:
        present = {part.number: part for part in self.earlier}
        self.writer = PartWriter(self.parts, self.size_of, self.new_body, present=present, at_once=1)
        self.done_bytes = self.writer.done_bytes

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.writer.close()

    def kept(self) -> Iterator[bytes]:
        """Give what an earlier try kept, read again from the service."""
        for part in self.earlier:
            yield from self.parts.read(part)

    def append(self, block: bytes) -> None:
        """Take a block; it is kept once its part is full."""
        self.writer.append(block)

    def restart(self) -> None:
        """Forget all bytes so far: the source begins again."""
        self.writer.close()
        self.parts.abort()
        self.earlier = []
        self.begin()

    def commit(self) -> None:
        """Make the file of all that came; a file of before is replaced.

        Where parts were replaced or removed meanwhile, those that are left are removed too: the source begins again.
        """
        if self.writer.number == 1 and not self.writer.body.size_bytes:
            self.put(self.writer.body)
            return
        try:
            self.complete(self.writer)
        except (FileBusyError, UploadGoneError):
            self.parts.abort()
            raise
        self.parts.abort()


def in_a_row(parts: dict[int, Part], size_of: SizeOf) -> Iterator[Part]:
    """Give the full parts that come first without a gap; what lies behind one was never read by this process."""
    for number in range(1, len(parts) + 1):
        if number not in parts or parts[number].size_bytes != size_of(number):
            return
        yield parts[number]
