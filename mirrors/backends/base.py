"""What every mirror can do, and the values that go in and out.

A key names a deposit (`<package>/processed/<dataset>/v<version>`); a locator names one file in it, and is known
before the bytes are stored. Failures are MirrorUnavailableError or MirrorRefusedError, no other; a source that cannot
be read fails in its own words, since the mirror is not to blame.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Traits:
    """What only some mirrors can do. `largest_object_bytes` is None where there is no limit of theirs."""

    largest_object_bytes: int | None = None
    settles_late: bool = False
    mints_doi: bool = False


@dataclass(frozen=True)
class Record:
    """What a deposit says of itself, in both languages."""

    title_en: str
    title_fr: str
    version: str
    doi: str


@dataclass(frozen=True)
class Draft:
    """A deposit that may still be filled; `record_id` is the mirror's own name for it."""

    key: str
    record_id: str


@dataclass(frozen=True)
class Receipt:
    """A deposit that is public; `landing_url` is empty where a mirror has no pages."""

    record_id: str
    landing_url: str = ""


@dataclass(frozen=True)
class Upload:
    """One file to put: its path in the deposit, its digests, and how to read it from an offset."""

    path: str
    size_bytes: int
    sha256: str
    md5: str
    media_type: str
    open: Callable[[int], Iterator[bytes]]


@dataclass(frozen=True)
class RemoteStat:
    """What a mirror says of a file: its size, and its own checksums by algorithm (lower-case hex)."""

    size_bytes: int
    checksums: Mapping[str, str] = field(default_factory=dict)


class Checkpoint(Protocol):
    """Where a put keeps what it needs to go on after a kill. A Step of the engine is one."""

    def load(self) -> dict[str, Any]: ...
    def save(self, checkpoint: dict[str, Any]) -> None: ...


class MirrorBackend(Protocol):
    """Keeps our bytes and serves them over HTTPS."""

    traits: Traits

    def prepare(self, key: str, record: Record) -> Draft:
        """Find the deposit of `key`, or make it."""

    def locator(self, draft: Draft, path: str) -> str:
        """Give the locator that a file of a deposit has or will have, before a byte of it is stored."""

    def put(self, draft: Draft, upload: Upload, *, checkpoint: Checkpoint, progress: Progress) -> str:
        """Store a file and give its locator; goes on where a broken put stopped, and may be repeated.

        Bytes that are there already with another digest are refused, never overwritten. A source that is longer or
        shorter than announced raises MirrorUnavailableError, and nothing is stored.
        """

    def publish(self, draft: Draft) -> Receipt:
        """Make a deposit public. Repeatable; nothing to do where there are no drafts."""

    def stat(self, locator: str) -> RemoteStat | None:
        """Give what the mirror says of a file; None if it has none."""

    def read(self, locator: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Give a file's bytes; raises MirrorRefusedError if it is absent."""

    def url(self, locator: str) -> str:
        """Give the public address of a file, known before it is stored."""

    def retire(self, locator: str) -> None:
        """Remove a damaged copy, so that a good one can be put; nothing happens if it is absent."""
