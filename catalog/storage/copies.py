"""Copies on this machine of files that lie elsewhere, for programs that need a path; each ends with its use.

The copy of a process that was killed stays. The kernel frees its lock, and whoever makes the next copy removes it.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from catalog.storage.files import FileBusyError, hold

PREFIX = "copy-"


@contextmanager
def copied(blocks: Iterator[bytes], scratch: Path, name: str) -> Iterator[Path]:
    """Give the path of a file of that name with those bytes; it is removed at the end."""
    with ExitStack() as stack:
        with locked(scratch):
            remove_abandoned(scratch)
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=scratch))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            file = stack.enter_context((folder / name).open("wb"))
            hold(file.fileno(), name)
        file.writelines(blocks)
        file.flush()
        yield folder / name


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time look for abandoned copies and begin its own."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_abandoned(scratch: Path) -> None:
    for folder in scratch.glob(f"{PREFIX}*"):
        if not any(is_held(path) for path in folder.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)


def is_held(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            hold(file.fileno(), path.name)
        except FileBusyError:
            return True
    return False
