"""What tests put on mirrors: bytes that end where they are told to, and checkpoints that outlive a put."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from mirrors.backends.base import MirrorBackend, Party, Record, Upload
from mirrors.errors import MirrorUnavailableError

KEY = "foundation/processed/ca_roads/v1.0.0"
RECORD = Record(
    urn="urn:uuid:5f4a8a44-1c55-4c6e-9a05-0c6c1b6f3a01",
    identifier="ca_example-2021A000011124_d4c-datapkg-foundation_2022_roads",
    version="1.0.0",
    title_en="Roads",
    title_fr="Routes",
    licence="CC-BY-4.0",
    creators=(Party("Data for Canada"),),
    doi="10.5072/roads",
)
BLOCK = 10_000
ROADS = bytes(range(256)) * 2_000
RAIL = bytes(reversed(range(256))) * 2_000
BREAKS_AT = 20 * BLOCK


@dataclass
class Kept:
    """A checkpoint that outlives a put."""

    saved: dict[str, Any] = field(default_factory=dict)
    headways: int = 0

    def load(self) -> dict[str, Any]:
        return dict(self.saved)

    def save(self, checkpoint: dict[str, Any], *, is_headway: bool = False) -> None:
        self.saved = checkpoint
        self.headways += is_headway


@dataclass
class Source:
    """Bytes to upload; notes what is asked of them, and ends or fails at a byte if it is told to."""

    content: bytes
    ends_at: int | None = None
    error: Exception | None = None
    starts: list[int] = field(default_factory=list)
    given_bytes: int = 0

    def open(self, start: int) -> Iterator[bytes]:
        self.starts.append(start)
        end = len(self.content) if self.ends_at is None else self.ends_at
        for position in range(start, end, BLOCK):
            block = self.content[position : min(position + BLOCK, end)]
            self.given_bytes += len(block)
            yield block
        if self.error:
            raise self.error


def upload(source: Source | bytes, *, of: bytes | None = None, path: str = "roads.bin") -> Upload:
    """Announce `of`, and read it from a source, which may be of other bytes."""
    source = source if isinstance(source, Source) else Source(source)
    announced = source.content if of is None else of
    return Upload(
        path=path,
        size_bytes=len(announced),
        sha256=hashlib.sha256(announced).hexdigest(),
        md5=hashlib.md5(announced, usedforsecurity=False).hexdigest(),
        media_type="application/octet-stream",
        open=source.open,
    )


def quiet(_done_bytes: int) -> None:
    pass


def put(mirror: MirrorBackend, one: Upload, checkpoint: Kept | None = None, progress: Any = quiet) -> str:
    draft = mirror.prepare(KEY, RECORD)
    return mirror.put(draft, one, checkpoint=checkpoint or Kept(), progress=progress)


def whole(mirror: MirrorBackend, locator: str) -> bytes:
    return b"".join(mirror.read(locator))


def break_put(mirror: MirrorBackend, checkpoint: Kept) -> str:
    """Break a put of ROADS at BREAKS_AT; gives the locator that it would have had."""
    with pytest.raises(MirrorUnavailableError):
        put(mirror, upload(Source(ROADS, ends_at=BREAKS_AT)), checkpoint)
    return mirror.locator(mirror.prepare(KEY, RECORD), "roads.bin")
