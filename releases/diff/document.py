"""The whole difference between two versions as one document: canonical JSON (RFC 8785), whose sha256 is its name."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import rfc8785

from releases.diff.bump import Bump
from releases.diff.files import FilePair
from releases.diff.footprints import FootprintDiff, TilesDiff
from releases.diff.judgement import Remark
from releases.diff.recipe import RecipeDiff
from releases.diff.tables import TableDiff
from releases.diff.texts import FactDiff, FieldDiff

FORMAT = 1


@dataclass(frozen=True)
class Total:
    """One sum over a version, before and after."""

    before: int
    after: int


@dataclass(frozen=True)
class Totals:
    files: Total
    size_bytes: Total
    rows: Total
    columns: Total


@dataclass(frozen=True)
class Comparison:
    """All that lies between two versions of a dataset; `before` is the empty text for a first edition.

    `unread` has for each table whose content was not compared the code of a remark and the reader's words.
    """

    dataset: str
    before: str
    after: str
    files: tuple[FilePair, ...]
    tables: Mapping[str, TableDiff]
    unread: Mapping[str, tuple[str, str]]
    footprint: FootprintDiff | None
    tiles: TilesDiff
    fields: tuple[FieldDiff, ...]
    facts: tuple[FactDiff, ...]
    recipe: RecipeDiff


@dataclass(frozen=True)
class Document:
    """What a reviewer decides on: the comparison, its sums, what it means, and the number it asks for."""

    comparison: Comparison
    totals: Totals
    remarks: tuple[Remark, ...]
    bump: Bump

    def body(self) -> str:
        """Write it as canonical JSON."""
        return rfc8785.dumps({"format": FORMAT, **asdict(self)}).decode()


def sha256_of(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def totals(comparison: Comparison) -> Totals:
    files = [(one.before, one.after) for one in comparison.files]
    tables = [(one.before, one.after) for one in comparison.tables.values()]
    return Totals(
        files=total([(int(old is not None), int(new is not None)) for old, new in files]),
        size_bytes=total([(old.size_bytes if old else 0, new.size_bytes if new else 0) for old, new in files]),
        rows=total([(old.facts.rows if old else 0, new.facts.rows if new else 0) for old, new in tables]),
        columns=total([(len(old.columns) if old else 0, len(new.columns) if new else 0) for old, new in tables]),
    )


def total(pairs: Sequence[tuple[int, int]]) -> Total:
    return Total(sum(old for old, _new in pairs), sum(new for _old, new in pairs))
