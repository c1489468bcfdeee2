"""Folders of this machine for work under way; each ends with its use.

The folder of a process that was killed stays. The kernel frees its lock, and whoever begins the next one removes it.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from catalog.storage.files import FileBusyError, hold


@contextmanager
def scratch_folder(place: Path, prefix: str) -> Iterator[Path]:
    """Give an empty folder below `place`, removed at the end; what killed ones of that prefix left goes too."""
    place.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with opened(place) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # until it is held, a new folder looks abandoned
            remove_abandoned(place, prefix)
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
            hold(stack.enter_context(opened(folder)), folder.name)
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def remove_abandoned(place: Path, prefix: str) -> None:
    for folder in place.glob(f"{prefix}*"):
        if not is_held(folder):
            shutil.rmtree(folder, ignore_errors=True)


def is_held(folder: Path) -> bool:
    """Tell whether a process works in a folder; False also for one that has just gone."""
    try:
        with opened(folder) as descriptor:
            hold(descriptor, folder.name)
    except FileNotFoundError:
        return False
    except FileBusyError:
        return True
    return False
