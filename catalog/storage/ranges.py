"""Read an object of an S3-compatible service by ranges: as a stream that survives a lost line, or as a file."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from io import SEEK_CUR, SEEK_END, SEEK_SET, RawIOBase, UnsupportedOperation
from typing import Any

from django.utils.translation import gettext as _

from catalog.storage.answers import AlreadyThereError, BehindTheEndError, translated
from catalog.storage.base import StorageUnavailableError
from catalog.storage.files import BLOCK_BYTES

READ_AHEAD_BYTES = 256 * 1024


def ranges(
    client: Any, bucket: str, name: str, start: int = 0, length: int | None = None, *, etag: str = ""
) -> Iterator[bytes]:
    """Give an object's bytes from `start`, at most `length`; FileNotFoundError if absent.

    Where the line breaks, it goes on at the byte reached, as long as each try brings at least one, and only in the
    same object: one that was replaced meanwhile, or is another than `etag` says, is StorageUnavailableError.
    """
    done = 0
    condition = {"IfMatch": etag} if etag else {}
    while length is None or done < length:
        reached = done
        words = {"Bucket": bucket, "Key": name} | condition | said(start + done, length and length - done)
        try:
            answer = ask(client, name, words)
            condition = {"IfMatch": answer["ETag"]}
            with translated(name), closing(answer["Body"]) as body:
                for block in body.iter_chunks(BLOCK_BYTES):
                    done += len(block)
                    yield block
        except BehindTheEndError:
            return
        except StorageUnavailableError:
            if done == reached:
                raise
        else:
            return


def said(start: int, length: int | None) -> dict[str, str]:
    """Say a range as the service reads it; the whole object needs none."""
    if length is None:
        return {"Range": f"bytes={start}-"} if start else {}
    return {"Range": f"bytes={start}-{start + length - 1}"}


def ask(client: Any, name: str, words: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        with translated(name):
            answer: Mapping[str, Any] = client.get_object(**words)
            return answer
    except AlreadyThereError as error:
        raise StorageUnavailableError(
            _("%(name)s: it was replaced while it was read. It is tried again.") % {"name": name}
        ) from error


class RangeReader(RawIOBase):
    """An object as a file that can be read here and there; each `readinto` is one request."""

    def __init__(self, read: Callable[[int, int], Iterator[bytes]], size_bytes: int) -> None:
        self.read_range, self.size_bytes, self.position = read, size_bytes, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        origins = {SEEK_SET: 0, SEEK_CUR: self.position, SEEK_END: self.size_bytes}
        if whence not in origins or origins[whence] + offset < 0:
            raise UnsupportedOperation(f"seek to {offset} from {whence}")
        self.position = origins[whence] + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self.size_bytes - self.position))
        done = 0
        for block in self.read_range(self.position, length) if length else ():
            view[done : done + len(block)] = block
            done += len(block)
        self.position += done
        return done
