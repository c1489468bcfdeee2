"""A directory of this machine that we serve ourselves (mirrors/serve.py)."""

import errno
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from catalog.storage.files import FileBusyError, SourceLengthError, locate, read_file, write_file
from mirrors.backends.base import Checkpoint, Draft, Progress, Receipt, Record, RemoteStat, Traits, Upload
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError

PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBUSY, errno.ESTALE, errno.EMFILE, errno.ENFILE}


class LocalMirror:
    """Files under one directory, by locator. A directory reports no checksums."""

    traits = Traits()

    def __init__(self, directory: Path, public_url: str) -> None:
        self.directory = directory
        self.public_url = public_url.rstrip("/")

    def prepare(self, key: str, record: Record) -> Draft:  # noqa: ARG002  a directory keeps no record
        with failures(self.directory):
            locate(self.directory, key).mkdir(parents=True, exist_ok=True)
        return Draft(key=key, record_id=key)

    def put(self, draft: Draft, upload: Upload, *, checkpoint: Checkpoint, progress: Progress) -> str:  # noqa: ARG002
        """Store a file; the partial beside it is the checkpoint, so none is saved."""
        locator = f"{draft.key}/{upload.path}"
        target = locate(self.directory, locator)
        with failures(self.directory):
            if target.is_file():
                self.refuse_other_bytes(target, upload)
                progress(upload.size_bytes)
                return locator
            target.parent.mkdir(parents=True, exist_ok=True)
            write_file(target, upload.size_bytes, upload.open, tag=upload.sha256[:16], progress=progress)
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

    def publish(self, draft: Draft) -> Receipt:
        return Receipt(record_id=draft.record_id)

    def stat(self, locator: str) -> RemoteStat | None:
        path = locate(self.directory, locator)
        self.refuse_unmounted()
        return RemoteStat(size_bytes=path.stat().st_size) if path.is_file() else None

    def read(self, locator: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        path = locate(self.directory, locator)
        if not path.is_file():
            raise MirrorRefusedError(f"{locator}: {self.directory.name} does not hold it. Put it there again.")
        with failures(self.directory):
            yield from read_file(path, start, length)

    def url(self, locator: str) -> str:
        return f"{self.public_url}/{quote(locator)}"

    def retire(self, locator: str) -> None:
        with failures(self.directory):
            locate(self.directory, locator).unlink(missing_ok=True)

    def refuse_unmounted(self) -> None:
        """Tell an absent directory (a disk that is not mounted) from an absent file."""
        if not self.directory.is_dir():
            raise MirrorUnavailableError(f"{self.directory.name}: its directory is not there. Is its disk mounted?")


@contextmanager
def failures(directory: Path) -> Iterator[None]:
    """Turn the failures of a file system into the two that a mirror may have."""
    try:
        yield
    except (SourceLengthError, FileBusyError) as error:
        raise MirrorUnavailableError(f"{directory.name}: {error}") from error
    except OSError as error:
        words = f"{directory.name}: {error.strerror or error}."
        if error.errno in PASSING:
            raise MirrorUnavailableError(f"{words} Look at its disk; it is tried again.") from error
        raise MirrorRefusedError(f"{words} Look at the rights of its directory.") from error
