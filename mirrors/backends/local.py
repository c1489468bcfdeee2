"""A directory of this machine that we serve ourselves (mirrors/serve.py)."""

import errno
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from catalog.storage.files import (
    PARTIAL,
    FileBusyError,
    SourceLengthError,
    StorageKeyError,
    locate,
    read_file,
    write_file,
)
from mirrors.backends import traits
from mirrors.backends.base import Checkpoint, Draft, Progress, Receipt, Record, RemoteStat, Source, Upload
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError

PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBUSY, errno.ESTALE, errno.EMFILE, errno.ENFILE}


class LocalMirror:
    """Files under one directory, by locator. A directory reports no checksums."""

    traits = traits.LOCAL

    def __init__(self, directory: Path, public_url: str) -> None:
        self.directory = directory
        self.public_url = public_url.rstrip("/")

    def find(self, key: str, record: Record) -> Draft | None:  # noqa: ARG002  a directory keeps no record
        with failures(self.directory):
            return Draft(key=key, record_id=key) if locate(self.directory, key).is_dir() else None

    def prepare(self, key: str, record: Record) -> Draft:  # noqa: ARG002  a directory keeps no record
        with failures(self.directory):
            locate(self.directory, key).mkdir(parents=True, exist_ok=True)
        return Draft(key=key, record_id=key)

    def describe(self, draft: Draft, record: Record) -> None:
        """Do nothing: a directory keeps no record."""

    def locator(self, draft: Draft, path: str) -> str:
        return f"{draft.key}/{path}"

    def put(self, draft: Draft, upload: Upload, *, checkpoint: Checkpoint, progress: Progress) -> str:  # noqa: ARG002
        """Store a file; the partial beside it is the checkpoint, so none is saved."""
        locator, source = self.locator(draft, upload.path), Source(upload)
        with failures(self.directory, source):
            target = locate(self.directory, locator)
            if target.is_file():
                self.refuse_other_bytes(target, upload)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                write_file(target, upload.size_bytes, source.open, tag=upload.sha256[:16], progress=progress)
        progress(upload.size_bytes)
        return locator

    def refuse_other_bytes(self, target: Path, upload: Upload) -> None:
        digest = hashlib.sha256()
        for block in read_file(target):
            digest.update(block)
        if digest.hexdigest() != upload.sha256:
            raise MirrorRefusedError(
                f"{upload.path}: {self.directory.name} holds other bytes under that name (sha256 "
                f"{digest.hexdigest()[:16]}…). Published bytes are never overwritten: retire that copy first."
            )

    def publish(self, draft: Draft, record: Record) -> Receipt:  # noqa: ARG002  a directory keeps no record
        return Receipt(record_id=draft.record_id)

    def discard(self, draft: Draft) -> None:
        """Do nothing: a directory has no drafts."""

    def listing(self, draft: Draft) -> Mapping[str, RemoteStat]:
        with failures(self.directory):
            folder = locate(self.directory, draft.key)
            files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.parent.name != PARTIAL)
            return {path.relative_to(folder).as_posix(): RemoteStat(path.stat().st_size) for path in files}

    def stat(self, locator: str) -> RemoteStat | None:
        with failures(self.directory):
            path = locate(self.directory, locator)
            return RemoteStat(size_bytes=path.stat().st_size) if path.is_file() else None

    def read(self, locator: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        with failures(self.directory):
            path = locate(self.directory, locator)
            if not path.is_file():
                raise MirrorRefusedError(f"{locator}: {self.directory.name} does not hold it. Put it there again.")
            yield from read_file(path, start, length)

    def url(self, locator: str) -> str:
        return f"{self.public_url}/{quote(locator)}"

    def retire(self, locator: str) -> None:
        with failures(self.directory):
            locate(self.directory, locator).unlink(missing_ok=True)


@contextmanager
def failures(directory: Path, source: Source | None = None) -> Iterator[None]:
    """Turn the failures of a file system into the two that a mirror may have.

    An absent directory is a disk that is not mounted: nothing is made, read or called absent there.
    """
    try:
        if not directory.is_dir():
            raise MirrorUnavailableError(f"{directory.name}: its directory is not there. Is its disk mounted?")
        yield
    except (SourceLengthError, FileBusyError) as error:
        raise MirrorUnavailableError(f"{directory.name}: {error}") from error
    except StorageKeyError as error:
        raise MirrorRefusedError(f"{directory.name}: {error}") from error
    except OSError as error:
        if source is not None and error is source.error:
            raise
        words = f"{directory.name}: {error.strerror or error}."
        if error.errno in PASSING:
            raise MirrorUnavailableError(f"{words} Look at its disk; it is tried again.") from error
        raise MirrorRefusedError(f"{words} Look at the rights of its directory.") from error
