"""What every mirror can do, and the values that go in and out.

A key names a deposit (`<package>/processed/<dataset>/v<version>`); a locator names one file in it, and is known
before the bytes are stored. Failures are MirrorUnavailableError or MirrorRefusedError, no other; a source that cannot
be read fails in its own words, since the mirror is not to blame.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Protocol

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Traits:
    """What only some mirrors are or can do. A limit is None where there is none of theirs.

    `has_drafts`: what is put stays hidden until `publish` and can be thrown away before. `is_lasting`: what is public
    there can never be taken back. `settles_late`: what was accepted may be seen only some time later.
    `resumes`: a put that broke goes on where it stopped; elsewhere it begins again.
    `checksums` are the algorithms that `stat` and `listing` report (so that level 2 can be done).
    """

    largest_object_bytes: int | None = None
    most_files: int | None = None
    most_bytes: int | None = None
    has_drafts: bool = False
    is_lasting: bool = False
    settles_late: bool = False
    mints_doi: bool = False
    resumes: bool = True
    checksums: tuple[str, ...] = ()


@dataclass(frozen=True)
class Party:
    """Who is named as a maker or provider: a person's name is `family, given`."""

    name: str
    is_person: bool = False
    url: str = ""


@dataclass(frozen=True)
class Relation:
    """A link from this deposit to something else, in DataCite's words, as `IsIdenticalTo`.

    `kind` is `DOI`, `URL` or `URN`.
    """

    relation: str
    identifier: str
    kind: str


@dataclass(frozen=True)
class Record:
    """What a deposit says of itself, in both languages; the same at every mirror.

    `urn` (`urn:uuid:…`) is our own name of this deposit, by which it is found again at a service that chooses its
    names itself. The box is WGS 84: west, south, east, north. `notice_en` and `notice_fr` say that a version was
    withdrawn or deprecated, and why; empty otherwise. `licence` is an SPDX id or `LicenseRef-…`. `formats` are the
    media types of the data files and `size_bytes` is that of all files. A record without `version` is of the dataset
    as a whole.
    `previous_record_id` is the record of another version at the same mirror, after which a service that links
    versions puts this one.
    """

    urn: str
    identifier: str
    version: str
    title_en: str
    title_fr: str
    description_en: str = ""
    description_fr: str = ""
    keywords_en: tuple[str, ...] = ()
    keywords_fr: tuple[str, ...] = ()
    attribution_en: str = ""
    attribution_fr: str = ""
    licence: str = ""
    licence_title_en: str = ""
    licence_title_fr: str = ""
    licence_url: str = ""
    creators: tuple[Party, ...] = ()
    publisher: str = ""
    published_on: date | None = None
    landing_url: str = ""
    doi: str = ""
    concept_doi: str = ""
    bbox_wgs84: tuple[float, float, float, float] | None = None
    starts_on: date | None = None
    ends_on: date | None = None
    size_bytes: int = 0
    formats: tuple[str, ...] = ()
    relations: tuple[Relation, ...] = ()
    notice_en: str = ""
    notice_fr: str = ""
    previous_record_id: str = ""


@dataclass(frozen=True)
class Draft:
    """A deposit that may still be filled; `record_id` is the mirror's own name for it.

    `doi` and `concept_doi` are what a mirror that mints DOIs has reserved for it. `record` and the counts of all its
    files serve a mirror that makes the deposit, with its metadata, only when the first file comes; None and 0 if they
    are not known.
    """

    key: str
    record_id: str
    doi: str = ""
    concept_doi: str = ""
    record: Record | None = field(default=None, compare=False, repr=False)
    files: int = field(default=0, compare=False)
    size_bytes: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Receipt:
    """A deposit that is public; `landing_url` is empty where a mirror has no pages."""

    record_id: str
    landing_url: str = ""
    doi: str = ""
    concept_doi: str = ""


@dataclass(frozen=True)
class Upload:
    """One file to put: its path in the deposit, its digests, and how to read it from an offset.

    `file` is where the same bytes lie on this machine, if they do: a backend may send them from there.
    """

    path: str
    size_bytes: int
    sha256: str
    md5: str
    media_type: str
    open: Callable[[int], Iterator[bytes]]
    file: Path | None = None


class Source:
    """Reads an upload, and remembers its failure, so that the mirror is not blamed for it."""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self.error: Exception | None = None

    def open(self, start: int) -> Iterator[bytes]:
        try:
            yield from self.upload.open(start)
        except Exception as error:
            self.error = error
            raise


@dataclass(frozen=True)
class RemoteStat:
    """What a mirror says of a file: its size, and its own checksums by algorithm (lower-case hex).

    `is_settling`: the mirror has accepted changes that it may not show yet, so that this may be what was before.
    """

    size_bytes: int
    checksums: Mapping[str, str] = field(default_factory=dict)
    is_settling: bool = False


class Checkpoint(Protocol):
    """Where a put keeps what it needs to go on after a kill. A Step of the engine is one."""

    def load(self) -> dict[str, Any]: ...
    def save(self, checkpoint: dict[str, Any]) -> None: ...


class MirrorBackend(Protocol):
    """Keeps our bytes and serves them over HTTPS."""

    traits: Traits

    def find(self, key: str, record: Record) -> Draft | None:
        """Look for the deposit that was made for `key` and `record.urn`, draft or public; None if none is seen.

        What settles late may be there and not be seen yet.
        """

    def prepare(self, key: str, record: Record) -> Draft:
        """Find the deposit, or make it with the record's metadata; the same call may be repeated."""

    def describe(self, draft: Draft, record: Record) -> None:
        """Bring the metadata of a draft or of a public deposit to `record`; nothing to do where none are kept."""

    def locator(self, draft: Draft, path: str) -> str:
        """Give the locator that a file of a deposit has or will have, before a byte of it is stored."""

    def put(self, draft: Draft, upload: Upload, *, checkpoint: Checkpoint, progress: Progress) -> str:
        """Store a file and give its locator; goes on where a broken put stopped, and may be repeated.

        Bytes that are there already with another digest are refused, never overwritten. A source that is longer or
        shorter than announced raises MirrorUnavailableError, and nothing is stored.
        """

    def publish(self, draft: Draft, record: Record) -> Receipt:
        """Make a deposit public. Repeatable; nothing to do where there are no drafts.

        Only the deposit that `draft` names becomes public; other drafts with the same `record.urn`, left by a lost
        answer, are thrown away.
        """

    def discard(self, draft: Draft) -> None:
        """Throw away a draft that is not to become public; nothing happens where there are none, or it is gone."""

    def listing(self, draft: Draft) -> Mapping[str, RemoteStat]:
        """Give what the mirror says of each file of a deposit, by its path, in few requests."""

    def stat(self, locator: str) -> RemoteStat | None:
        """Give what the mirror says of a file; None if it has none.

        Raises MirrorSettlingError if it is absent at a mirror that has accepted more than it shows.
        """

    def read(self, locator: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Give a file's bytes; raises MirrorRefusedError if it is absent."""

    def url(self, locator: str) -> str:
        """Give the public address of a file, known before it is stored."""

    def retire(self, locator: str) -> None:
        """Remove a damaged copy, so that a good one can be put; nothing happens if it is absent.

        Raises MirrorRefusedError where the mirror never gives up what it published.
        """
