"""A file to send that is read as it goes: never whole in memory, never longer or shorter than announced."""

import io
from collections.abc import Iterator

from mirrors.backends.base import Progress, Upload
from mirrors.errors import MirrorUnavailableError


class Body(io.RawIOBase):
    """Reads an upload from any position, as an HTTP client wants it; the last bytes come when no more follow them.

    `error` is the failure of the source, since whoever reads it may hide it behind one of its own.
    """

    def __init__(self, upload: Upload, progress: Progress) -> None:
        self.upload, self.progress = upload, progress
        self.position = self.furthest = 0
        self.error: Exception | None = None
        self.blocks: Iterator[bytes] | None = None
        self.ahead = b""

    @property
    def is_spent(self) -> bool:
        """Whether every byte was handed over, so that the other side may have all of them."""
        return self.position == self.upload.size_bytes and self.blocks is not None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.upload.size_bytes}[whence]
        if start + offset != self.position:
            self.position, self.blocks, self.ahead = start + offset, None, b""
        return self.position

    def read(self, size: int = -1) -> bytes:
        """Give up to `size` bytes, at least one before the end. Raises what the source raises."""
        try:
            given = self.take(size)
        except Exception as error:
            self.error = error
            raise
        if self.position > self.furthest:  # a redirect begins again; what people see does not go back
            self.furthest = self.position
            self.progress(self.position)
        return given

    def take(self, size: int) -> bytes:
        if self.blocks is None:
            self.blocks = self.upload.open(self.position)
        self.ahead = self.ahead or self.next_block()
        owed_bytes = self.upload.size_bytes - self.position
        end = len(self.ahead) if size < 0 else min(size, len(self.ahead))
        if owed_bytes and not self.ahead:
            raise self.refusal("ended before")
        if len(self.ahead) > owed_bytes or (self.ahead and end == owed_bytes and self.next_block()):
            raise self.refusal("gives more than")
        given, self.ahead = self.ahead[:end], self.ahead[end:]
        self.position += len(given)
        return given

    def next_block(self) -> bytes:
        return next((block for block in self.blocks or () if block), b"")

    def refusal(self, finding: str) -> MirrorUnavailableError:
        return MirrorUnavailableError(
            f"{self.upload.path}: its source {finding} the {self.upload.size_bytes} bytes announced. Look at it; it "
            "is tried again."
        )
