"""What one request sends: collected block by block, or a stretch of a file of this machine.

Both are files for a client of boto3, hashed once: what the service compares on arrival is also what the request is
signed with. A `read` gives a whole block, however little was asked for, since the client asks for 16 KiB at a time.
"""

import base64
import hashlib
import os
from io import SEEK_CUR, SEEK_END, SEEK_SET
from pathlib import Path
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Self

from catalog.storage.files import too_short

MIB = 1 << 20
IN_MEMORY_BYTES = 8 * MIB
BLOCK_BYTES = MIB // 2


class Sendable:
    """Bytes that can be read again from their start, and are hashed once for each algorithm."""

    size_bytes: int

    def __init__(self) -> None:
        self.digests: dict[str, bytes] = {}

    def read(self, size: int = -1) -> bytes | memoryview:
        raise NotImplementedError

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        raise NotImplementedError

    def tell(self) -> int:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def rewound(self) -> Self:
        self.seek(0)
        return self

    def digest(self, algorithm: str) -> bytes:
        if algorithm not in self.digests:
            running = hashlib.new(algorithm, usedforsecurity=False)
            self.rewound()
            while block := self.read():
                running.update(block)
            self.digests[algorithm] = running.digest()
        return self.digests[algorithm]

    def checked(self, checksum: str) -> dict[str, str]:
        """Give the words with which the service checks these bytes on arrival: by `sha256` or `md5`."""
        value = base64.b64encode(self.digest(checksum)).decode()
        return {"ChecksumSHA256" if checksum == "sha256" else "ContentMD5": value}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Body(Sendable):
    """Bytes that come in blocks; what is above `in_memory_bytes` lies in a file without a name in `scratch`."""

    def __init__(self, scratch: Path, in_memory_bytes: int = IN_MEMORY_BYTES) -> None:
        super().__init__()
        self.size_bytes = 0
        self.file = SpooledTemporaryFile(max_size=in_memory_bytes, dir=str(scratch))  # noqa: SIM115  see `close`

    def add(self, block: bytes | memoryview) -> None:
        self.digests.clear()
        self.file.write(block)
        self.size_bytes += len(block)

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002  a whole block each time
        return self.file.read(BLOCK_BYTES)

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def close(self) -> None:
        self.file.close()


class FileBody(Sendable):
    """A stretch of a file of this machine, which must not change meanwhile; of it, one block is in memory.

    What `read` gives is overwritten by the next `read`. Raises SourceLengthError where the file ends too early.
    """

    def __init__(self, path: Path, start: int, size_bytes: int) -> None:
        super().__init__()
        self.start, self.size_bytes, self.position = start, size_bytes, 0
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.block = memoryview(bytearray(min(BLOCK_BYTES, size_bytes)))

    def read(self, size: int = -1) -> memoryview:  # noqa: ARG002  a whole block each time
        wanted = self.block[: max(0, self.size_bytes - self.position)]
        came = os.preadv(self.descriptor, [wanted], self.start + self.position) if wanted else 0
        if wanted and not came:
            raise too_short(self.start + self.position, self.start + self.size_bytes)
        self.position += came
        return wanted[:came]

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        origins = {SEEK_SET: 0, SEEK_CUR: self.position, SEEK_END: self.size_bytes}
        self.position = origins[whence] + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def close(self) -> None:
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
