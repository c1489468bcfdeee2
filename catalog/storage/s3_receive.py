"""A file of unknown length that comes into a bucket: its parts grow with it, and it exists from `commit` on."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from catalog.storage.address import MIB, S3Address
from catalog.storage.bodies import Body
from catalog.storage.multipart import Multipart, grown_part
from catalog.storage.parts import PartWriter

IN_MEMORY_BYTES = MIB  # of each part: many files are received at the same time
EQUAL_PART_BYTES = 64 * MIB  # 10,000 of them are 625 GiB


class S3Receiver:
    """Sends parts while blocks come; what is left without `commit` leaves nothing behind.

    A kill leaves an upload that is dropped by its age. Nothing is kept for another process, since without a length
    and a digest nobody could say that the source is still the same: the source is asked again from its first byte.
    """

    done_bytes = 0

    def __init__(
        self,
        *,
        begin: Callable[[], Multipart],
        put: Callable[[Body], None],
        complete: Callable[[PartWriter], None],
        address: S3Address,
        scratch: Path,
    ) -> None:
        self.begin, self.put, self.complete = begin, put, complete
        self.new_body = partial(Body, scratch, IN_MEMORY_BYTES)
        self.first_bytes = address.part_bytes
        self.size_of = size_of_part(address)
        self.body = self.new_body()
        self.writer: PartWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.drop()
        self.body.close()

    def kept(self) -> Iterator[bytes]:
        """Give nothing: there is never anything left of an earlier try."""
        return iter(())

    def append(self, block: bytes) -> None:
        """Take a block; it is sent once a part is full."""
        if self.writer is None and self.body.size_bytes + len(block) <= self.first_bytes:
            self.body.add(block)
        else:
            self.opened().append(block)

    def opened(self) -> PartWriter:
        """Give the upload's writer; begins the upload with what came so far."""
        if self.writer is None:
            self.writer = PartWriter(self.begin(), self.size_of, self.new_body, present={}, at_once=1)
            for block in iter(self.body.rewound().read, b""):
                self.writer.append(block)
            self.body.close()
        return self.writer

    def restart(self) -> None:
        """Forget all bytes so far: the source begins again."""
        self.drop()
        self.body.close()
        self.body = self.new_body()

    def drop(self) -> None:
        """Drop the upload if there is one; after a `commit` there is none."""
        writer, self.writer = self.writer, None
        if writer is not None:
            writer.close()
            writer.upload.abort()

    def commit(self) -> None:
        """Make the file of all that came; a file of before is replaced."""
        if self.writer is None:
            self.put(self.body)
            return
        self.complete(self.writer)
        self.writer.close()
        self.writer = None


def size_of_part(address: S3Address) -> Callable[[int], int]:
    """Give how long each part of a file of unknown length is: growing, or 64 MiB where all must be equal."""
    if address.parts == "equal":
        equal = max(EQUAL_PART_BYTES, address.part_bytes)
        return lambda _number: equal
    return partial(grown_part, first=address.part_bytes)
