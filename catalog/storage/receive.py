"""Take in a file whose size nobody knows beforehand: block by block, durable and visible all at once or not at all.

It lies at `<folder>/.partial/<name>.<tag>` until it is committed. What a killed or broken try left is continued by
the next of the same tag, which names the content; a commit removes the partials of other tags.
"""

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from catalog.storage.files import PARTIAL, hold, read_file, sync_folder, write_all


class LocalReceiver:
    """One file on its way into a folder of this machine. A context manager; only `commit` makes it visible.

    Raises FileBusyError on entering while another process, or another thread, takes in the same content.
    """

    def __init__(self, target: Path, tag: str) -> None:
        self.target = target
        self.partial = target.parent / PARTIAL / f"{target.name}.{tag}"
        self.done_bytes = 0
        self.file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.partial.parent.mkdir(parents=True, exist_ok=True)
        self.file = self.partial.open("ab")
        try:
            hold(self.file.fileno(), self.target.name)
        except BaseException:
            self.file.close()
            raise
        self.done_bytes = self.file.tell()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if not self.done_bytes:
            self.partial.unlink(missing_ok=True)
        self.opened().close()

    def opened(self) -> IO[bytes]:
        if self.file is None:
            raise ValueError("a receiver is used inside its `with` only")
        return self.file

    def kept(self) -> Iterator[bytes]:
        """Give the bytes that are there already, in blocks."""
        return read_file(self.partial, 0, self.done_bytes)

    def append(self, block: bytes) -> None:
        """Add bytes at the end; they outlive a kill of this process."""
        write_all(self.opened().fileno(), block)
        self.done_bytes += len(block)

    def restart(self) -> None:
        """Forget all that came."""
        self.opened().truncate(0)
        self.done_bytes = 0

    def commit(self) -> None:
        """Make the file durable and visible under its key, in the place of what had that key before."""
        os.fsync(self.opened().fileno())
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self.partial.replace(self.target)
        for stale in self.partial.parent.glob(f"{glob.escape(self.target.name)}.*"):
            stale.unlink(missing_ok=True)
        sync_folder(self.target.parent)
