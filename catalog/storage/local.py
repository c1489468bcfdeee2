"""Our own storage as a directory of this machine."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO

from catalog.storage.files import OpenAt, Progress, drop_partials, locate, read_file, rest_of, tag_of, write_file
from catalog.storage.receive import LocalReceiver


class LocalStorage:
    """Files by key under one root. Keys are POSIX paths without a leading slash."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def directory(self) -> Path:
        return self.root

    def path(self, key: str) -> Path:
        """Give where a key lies; raises StorageKeyError for one that would leave the root."""
        return locate(self.root, key)

    def size(self, key: str) -> int | None:
        """Give the bytes of a whole file, None if there is none."""
        path = self.path(key)
        return path.stat().st_size if path.is_file() else None

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Give a file's bytes from `start`, at most `length`; FileNotFoundError if absent."""
        return read_file(self.path(key), start, length)

    def open(self, key: str) -> IO[bytes]:
        """Open a file for reading; FileNotFoundError if absent."""
        return self.path(key).open("rb")

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """Give the file itself."""
        yield self.path(key)

    def write(
        self, key: str, size_bytes: int, open_at: OpenAt, *, tag: str = "", progress: Progress | None = None
    ) -> None:
        """Write a file whole or not at all, going on where a write of the same `tag` stopped.

        Raises SourceLengthError when the source gives other than `size_bytes`, FileBusyError while another
        process writes the same file.
        """
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file(target, size_bytes, open_at, tag=tag, progress=progress)

    def receive(self, key: str, *, tag: str, size_bytes: int = 0) -> LocalReceiver:  # noqa: ARG002  all are kept
        """Take in a file of unknown size; see LocalReceiver. `tag` names the content, as for `write`."""
        return LocalReceiver(self.path(key), tag)

    def write_bytes(self, key: str, content: bytes) -> None:
        """Write a small file whole; what a write of other bytes left unfinished is not continued."""
        self.write(key, len(content), partial(rest_of, content), tag=tag_of(content))

    def delete(self, key: str) -> None:
        """Remove a file; nothing happens if there is none."""
        self.path(key).unlink(missing_ok=True)

    def delete_folder(self, key: str) -> None:
        """Remove all files below a key; nothing happens if there are none."""
        shutil.rmtree(self.path(key), ignore_errors=True)

    def drop_unfinished(self, *, before: datetime) -> int:
        """Remove the partials that nobody wrote to since an instant; gives how many."""
        return drop_partials(self.root, before.timestamp())
