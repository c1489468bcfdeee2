"""Copies on this machine of files that lie elsewhere, for programs that need a path; each ends with its use."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalog.storage.scratch import scratch_folder


@contextmanager
def copied(blocks: Iterator[bytes], scratch: Path, name: str) -> Iterator[Path]:
    """Give the path of a file of that name with those bytes; it is removed at the end, or by the next copy."""
    with scratch_folder(scratch, "copy-") as folder:
        with (folder / name).open("wb") as file:
            file.writelines(blocks)
        yield folder / name
