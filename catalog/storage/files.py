"""Durable files under a root: written whole or not at all, read in blocks, never outside the root.

A file is written to `<folder>/.partial/<name>`, synced, and renamed; a kill at any line leaves nothing, a
partial that the next try continues, or the whole file.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from catalog.errors import PersonMustActError, TryLaterError

BLOCK_BYTES = 1 << 20
PARTIAL = ".partial"

OpenAt = Callable[[int], Iterator[bytes]]
Progress = Callable[[int], None]


class StorageKeyError(PersonMustActError):
    """A key that would leave the root, or that no file may have."""


class FileBusyError(TryLaterError):
    """Another process writes the same file at this moment."""


class SourceLengthError(TryLaterError):
    """A source gave more or fewer bytes than it announced."""


class SourceTooLongError(SourceLengthError):
    """A source gave more bytes than it announced, so that none of them can be trusted."""


def names(key: str) -> list[str]:
    """Split a key into the names of folders and file; raises StorageKeyError for what is no key."""
    parts = key.split("/")
    if any(part in {"", ".", ".."} or part.startswith(".") or "\0" in part or "\\" in part for part in parts):
        raise StorageKeyError(f"{key!r}: no key of ours. Use names without dots in front, joined by single slashes.")
    return parts


def locate(root: Path, key: str) -> Path:
    """Give the path of a key under a root; raises StorageKeyError if it would lead outside, links included."""
    path = root.joinpath(*names(key))
    if not path.resolve().is_relative_to(root.resolve()):
        raise StorageKeyError(f"{key!r}: leads outside of {root.name}. Remove the link that it follows.")
    return path


def read_file(path: Path, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """Give bytes from `start`, at most `length`, in blocks of at most 1 MiB; FileNotFoundError if absent."""
    with path.open("rb") as file:
        file.seek(start)
        left = length
        while block := file.read(BLOCK_BYTES if left is None else min(BLOCK_BYTES, left)):
            yield block
            left = None if left is None else left - len(block)


def write_file(
    target: Path, size_bytes: int, open_at: OpenAt, *, tag: str = "", progress: Progress | None = None
) -> None:
    """Write `size_bytes` to `target`; a partial of before is continued by `open_at(its length)`.

    `tag` names the content (part of its digest, say), so that a partial of other bytes is never continued.
    `progress` is told the bytes done. Raises SourceLengthError when the source is shorter or longer (what came of
    a shorter one is kept for the next try), and FileBusyError while another process writes the same file.
    """
    partial = target.parent / PARTIAL / f"{target.name}{tag and '.'}{tag}"
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("ab") as file:
        hold(file.fileno(), target.name)
        if file.tell() > size_bytes:
            file.truncate(0)
        append(file.fileno(), size_bytes, open_at, progress or ignore)
        os.fsync(file.fileno())
        partial.replace(target)
    sync_folder(target.parent)


def tag_of(content: bytes) -> str:
    """Name a content by part of its digest."""
    return hashlib.sha256(content).hexdigest()[:16]


def rest_of(content: bytes, start: int) -> Iterator[bytes]:
    if content[start:]:
        yield content[start:]


def hold(descriptor: int, name: str) -> None:
    """Lock a partial for this process; the kernel frees it when the process ends, however it ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FileBusyError(f"{name}: another process is writing it. It is tried again in a moment.") from error


def ignore(_done_bytes: int) -> None:
    """Take progress that nobody asked for."""


def append(descriptor: int, size_bytes: int, open_at: OpenAt, progress: Progress) -> None:
    done = os.fstat(descriptor).st_size
    for block in open_at(done):
        done += len(block)
        if done > size_bytes:
            os.ftruncate(descriptor, 0)
            raise too_long(size_bytes)
        write_all(descriptor, block)
        progress(done)
    if done != size_bytes:
        raise too_short(done, size_bytes)


def too_long(size_bytes: int) -> SourceTooLongError:
    return SourceTooLongError(f"The source gave more than the {size_bytes} bytes announced. Look at the source.")


def too_short(done: int, size_bytes: int) -> SourceLengthError:
    return SourceLengthError(
        f"The source ended after {done} of {size_bytes} bytes. What came is kept; it is tried again."
    )


def write_all(descriptor: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(descriptor, view) :]


def drop_partials(root: Path, before_s: float) -> int:
    """Remove partials below a root that nobody wrote to since `before_s` (Unix time); gives how many."""
    dropped = 0
    for partial in list(root.rglob(f"{PARTIAL}/*")):
        with suppress(FileNotFoundError), partial.open("ab") as file, suppress(FileBusyError):
            hold(file.fileno(), partial.name)
            if os.fstat(file.fileno()).st_mtime < before_s:
                partial.unlink()
                dropped += 1
    return dropped


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
