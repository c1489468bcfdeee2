"""What our own storage promises, wherever it lies: files by key, whole or absent, read in blocks."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from catalog.errors import PersonMustActError, TryLaterError
from catalog.storage.files import OpenAt, Progress


class StorageUnavailableError(TryLaterError):
    """The service that keeps our storage did not answer, or asks to come back later."""


class StorageRefusedError(PersonMustActError):
    """The service that keeps our storage does not let us in, or cannot do what we need."""


class Receiver(Protocol):
    """A file of which neither length nor digest is known yet; it exists from `commit` on, and not before.

    `done_bytes` is, before the first `append`, what an earlier try left here: 0 where nothing can be left.
    """

    done_bytes: int

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def kept(self) -> Iterator[bytes]:
        """Give the first `done_bytes` again, so that they can be hashed."""

    def append(self, block: bytes) -> None:
        """Add bytes at the end."""

    def restart(self) -> None:
        """Forget all bytes so far: the source begins again."""

    def commit(self) -> None:
        """Make the file of all that came, in the place of what had its key before."""


class Storage(Protocol):
    """Files by key. Keys are POSIX paths without a leading slash; StorageKeyError for what is none."""

    @property
    def directory(self) -> Path | None:
        """The folder of this machine in which the files lie by key; None where they lie elsewhere."""

    def size(self, key: str) -> int | None:
        """Give the bytes of a whole file, None if there is none."""

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Give a file's bytes from `start`, at most `length`, in blocks; FileNotFoundError if absent."""

    def open(self, key: str) -> IO[bytes]:
        """Open a file for reading here and there; FileNotFoundError if absent."""

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """Give a path to a file's bytes, for programs that need one, until the context ends. Never write to it."""

    def write(
        self, key: str, size_bytes: int, open_at: OpenAt, *, tag: str = "", progress: Progress | None = None
    ) -> None:
        """Write a file whole or not at all, going on where a write of the same `tag` stopped.

        Raises SourceLengthError when the source gives other than `size_bytes`, FileBusyError where another process
        writes the same file.
        """

    def receive(self, key: str, *, tag: str, size_bytes: int = 0) -> Receiver:
        """Take in a file of unknown length, in a `with`; `tag` names the content, as for `write`.

        `size_bytes` is the length that a source announces which could be asked to go on, 0 for any other: where it
        costs something to keep what came for a later try, it says whether that is worth it.
        """

    def write_bytes(self, key: str, content: bytes) -> None:
        """Write a small file whole."""

    def delete(self, key: str) -> None:
        """Remove a file; nothing happens if there is none."""

    def delete_folder(self, key: str) -> None:
        """Remove all files below a key; nothing happens if there are none."""

    def drop_unfinished(self, *, before: datetime) -> int:
        """Remove what writers that were never continued left behind before an instant; gives how many files."""
