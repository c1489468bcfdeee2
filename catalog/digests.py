"""All digests of a file from one reading.

One pass gives SHA-256, MD5 and SHA-1 of the whole, and what a single-file hybrid torrent needs:
- v1 (BEP 3): the SHA-1 of each piece; the last piece is as short as the file leaves it, never padded.
- v2 (BEP 52): the SHA-256 of each 16 KiB block, joined in a Merkle tree. The piece layer is the row of
  the tree where one hash stands for one piece; missing blocks count as 32 zero bytes. A file of at most
  one piece has no layer, and its tree is only as wide as its blocks need.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from io import FileIO
from itertools import cycle
from mmap import mmap
from pathlib import Path
from typing import Protocol

from catalog.errors import TryLaterError

BLOCK_LENGTH = 16 * 1024  # BEP 52 fixes the bytes under one leaf
LARGEST_PIECE_LENGTH = 16 * 1024 * 1024
PIECES_WANTED = 64
V1_HASH_LENGTH = 20
V2_HASH_LENGTH = 32
_READ_LENGTH = 4 * 1024 * 1024
_READS_IN_FLIGHT = 4


class LengthMismatchError(TryLaterError):
    """A stream was not as long as announced. Facts: `announced_bytes`, `received_bytes`."""


@dataclass(frozen=True)
class PieceHashes:
    """The hashes of one file's pieces, for a single-file hybrid torrent."""

    piece_length: int
    v1: bytes  # 20 bytes a piece
    v2_root: bytes  # 32 bytes
    v2_layer: bytes  # 32 bytes a piece; empty when the file is at most one piece


@dataclass(frozen=True)
class FileDigests:
    """Digests of one file, hexadecimal in lower case; `pieces` is None for a 0-byte file."""

    size_bytes: int
    sha256: str
    md5: str
    sha1: str
    pieces: PieceHashes | None


class Lane(Protocol):
    """One of the computations that each see every byte, in order."""

    def update(self, data: memoryview, /) -> None: ...


class _Hash(Lane, Protocol):
    def digest(self) -> bytes: ...


def piece_length_for(size_bytes: int) -> int:
    """Return the largest power of two from 16 KiB to 16 MiB that cuts the file into at least 64 pieces.

    Hence 16 MiB from 1 GiB up, and 16 KiB below 2 MiB, where fewer pieces have to do.
    """
    length = LARGEST_PIECE_LENGTH
    while length > BLOCK_LENGTH and size_bytes < length * PIECES_WANTED:
        length //= 2
    return length


def layer_root(layer: bytes, piece_length: int) -> bytes:
    """Return the v2 root over a piece layer of at least one hash (BEP 52)."""
    padding = bytes(V2_HASH_LENGTH)
    for _ in range((piece_length // BLOCK_LENGTH).bit_length() - 1):
        padding = hashlib.sha256(padding * 2).digest()
    return _merkle_root(layer, _power_of_two_from(len(layer) // V2_HASH_LENGTH), padding)


def _power_of_two_from(count: int) -> int:
    return 1 << (count - 1).bit_length()


def _merkle_root(row: bytes, width: int, padding: bytes) -> bytes:
    row += padding * (width - len(row) // V2_HASH_LENGTH)
    while len(row) > V2_HASH_LENGTH:
        pairs = range(0, len(row), 2 * V2_HASH_LENGTH)
        row = b"".join([hashlib.sha256(row[at : at + 2 * V2_HASH_LENGTH]).digest() for at in pairs])
    return row


class _ChunkHashes:
    """Cuts a stream into chunks of one length and appends the digest of each to `digests`."""

    def __init__(self, algorithm: Callable[..., _Hash], length: int) -> None:
        self.digests = bytearray()
        self._algorithm = algorithm
        self._length = length
        self._open = algorithm()
        self._filled = 0

    def update(self, data: memoryview, /) -> None:
        start = self._fill(data) if self._filled else 0
        end = len(data) - (len(data) - start) % self._length
        algorithm, length = self._algorithm, self._length
        for at in range(start, end, length):
            self.digests += algorithm(data[at : at + length]).digest()
        if end < len(data):
            self._fill(data[end:])

    def _fill(self, data: memoryview) -> int:
        part = data[: self._length - self._filled]
        self._open.update(part)
        self._filled += len(part)
        if self._filled == self._length:
            self.close()
        return len(part)

    def close(self) -> bytes:
        """End the open chunk, if there is one, and return all digests."""
        if self._filled:
            self.digests += self._open.digest()
            self._open, self._filled = self._algorithm(), 0
        return bytes(self.digests)


class _MerkleTree:
    """The v2 tree of a file, folded piece by piece so that memory holds one piece's leaves."""

    def __init__(self, size_bytes: int, piece_length: int) -> None:
        blocks = -(-size_bytes // BLOCK_LENGTH)
        self._width = min(piece_length // BLOCK_LENGTH, _power_of_two_from(blocks))
        self._leaves = _ChunkHashes(hashlib.sha256, BLOCK_LENGTH)
        self._piece_length = piece_length
        self._layer = bytearray()

    def update(self, data: memoryview, /) -> None:
        self._leaves.update(data)
        piece = self._width * V2_HASH_LENGTH
        while len(self._leaves.digests) >= piece:
            self._fold(piece)

    def _fold(self, length: int) -> None:
        leaves = bytes(self._leaves.digests[:length])
        self._layer += _merkle_root(leaves, self._width, bytes(V2_HASH_LENGTH))
        del self._leaves.digests[:length]

    def close(self) -> tuple[bytes, bytes]:
        """Return root and piece layer."""
        if rest := self._leaves.close():
            self._fold(len(rest))
        layer = bytes(self._layer)
        if len(layer) == V2_HASH_LENGTH:
            return layer, b""
        return layer_root(layer, self._piece_length), layer


class Digester:
    """Digests a stream while somebody else moves it; memory stays flat whatever the size.

    `size_bytes` is the announced length, which fixes the piece length and the shape of the tree.
    `piece_length`, if given, is a power of two from 16 KiB up (ValueError otherwise).
    """

    def __init__(self, size_bytes: int, piece_length: int | None = None) -> None:
        self.size_bytes = size_bytes
        self.piece_length = piece_length or piece_length_for(size_bytes)
        if self.piece_length < BLOCK_LENGTH or self.piece_length.bit_count() != 1:
            raise ValueError(f"piece length {piece_length} is not a power of two from 16 KiB up")
        self._received_bytes = 0
        self._sha256, self._sha1 = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
        self._md5 = hashlib.md5(usedforsecurity=False)
        # The only piece of a small file has the SHA-1 of the whole.
        several = size_bytes > self.piece_length
        self._v1 = _ChunkHashes(hashlib.sha1, self.piece_length) if several else None
        self._v2 = _MerkleTree(size_bytes, self.piece_length) if size_bytes else None

    @property
    def lanes(self) -> list[Lane]:
        """The computations, slowest first; each may run in a thread of its own."""
        lanes = (self._md5, self._v2, self._sha256, self._sha1, self._v1)
        return [lane for lane in lanes if lane is not None]

    def update(self, block: bytes | bytearray | memoryview) -> None:
        """Take the next bytes, any number of them. LengthMismatchError: more than announced."""
        data = memoryview(block).cast("B")
        self.count(len(data))
        for lane in self.lanes:
            lane.update(data)

    def count(self, length: int) -> None:
        """Note bytes that go to the lanes. LengthMismatchError: more than announced."""
        self._received_bytes += length
        if self._received_bytes > self.size_bytes:
            raise self._mismatch()

    def finish(self) -> FileDigests:
        """Return the digests, once. LengthMismatchError: fewer bytes came than announced."""
        if self._received_bytes != self.size_bytes:
            raise self._mismatch()
        return FileDigests(
            size_bytes=self.size_bytes,
            sha256=self._sha256.hexdigest(),
            md5=self._md5.hexdigest(),
            sha1=self._sha1.hexdigest(),
            pieces=self._pieces(),
        )

    def _pieces(self) -> PieceHashes | None:
        if self._v2 is None:
            return None
        v1 = self._v1.close() if self._v1 else self._sha1.digest()
        root, layer = self._v2.close()
        return PieceHashes(piece_length=self.piece_length, v1=v1, v2_root=root, v2_layer=layer)

    def _mismatch(self) -> LengthMismatchError:
        return LengthMismatchError(
            f"The stream announced {self.size_bytes} bytes and gave {self._received_bytes}. "
            "It was cut short or changed while it was read; read it again from the start.",
            announced_bytes=self.size_bytes,
            received_bytes=self._received_bytes,
        )


def digest_file(path: Path, *, progress: Callable[[int], None] | None = None) -> FileDigests:
    """Return the digests of a file, read once, with one thread for each computation.

    `progress` is told the bytes done so far, after each block. Memory stays below 100 MB at any size.
    LengthMismatchError: the file changed its length while it was read. OSError passes as it is.
    """
    with path.open("rb", buffering=0) as file:
        digester = Digester(os.fstat(file.fileno()).st_size)
        if digester.size_bytes < _READ_LENGTH:
            digester.update(file.read())
            if progress:
                progress(digester.size_bytes)
        else:
            _digest_in_threads(file, digester, progress or _ignore)
    return digester.finish()


def _ignore(_done_bytes: int) -> None:
    pass


def _digest_in_threads(file: FileIO, digester: Digester, progress: Callable[[int], None]) -> None:
    """Read into a ring of buffers; hashlib lets go of the interpreter lock, so the lanes run at once."""
    # Maps begin on a page boundary, where the kernel copies about three times faster than elsewhere.
    buffers = [mmap(-1, _READ_LENGTH) for _ in range(_READS_IN_FLIGHT)]
    done_bytes = 0
    in_flight: deque[tuple[int, list[Future[None]]]] = deque()
    with ExitStack() as stack:
        lanes = [(stack.enter_context(ThreadPoolExecutor(1)), lane) for lane in digester.lanes]
        for buffer in cycle(buffers):
            length = file.readinto(buffer) or 0
            digester.count(length)
            if length:
                data = memoryview(buffer)[:length]
                in_flight.append((length, [worker.submit(lane.update, data) for worker, lane in lanes]))
            # The buffer that comes next must be free, and at the end of the file all of them.
            while in_flight and (not length or len(in_flight) == _READS_IN_FLIGHT):
                settled_bytes, futures = in_flight.popleft()
                for future in futures:
                    future.result()
                done_bytes += settled_bytes
                progress(done_bytes)
            if not length:
                return
