"""How two tables differ: columns, their statistics, and rows. Parquet as it is; CSV and JSON with guessed types."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa

from releases.diff import rows as row_changes
from releases.diff.guess import GUESSED, as_parquet
from releases.diff.rows import RowChanges, Side
from releases.diff.schema import Column, ColumnChange, Kind, compare_columns, paired, read_columns
from releases.diff.session import Session, session
from releases.diff.statistics import TableFacts, read_facts

PARQUET = ".parquet"
RENAMES_TRIED = 20


class NoTableError(Exception):
    """A file cannot be read as a table; the message is the reader's own first line."""


@dataclass(frozen=True)
class Table:
    """One table as it stands in a document: its columns with their facts."""

    columns: tuple[Column, ...]
    facts: TableFacts


@dataclass(frozen=True)
class TableDiff:
    """Two tables and what lies between them; one of them is None where there is only the other.

    `is_guessed` says that the types are not in the file but were guessed from its values.
    """

    before: Table | None
    after: Table | None
    is_guessed: bool
    columns: tuple[ColumnChange, ...] = ()
    rows: RowChanges | None = None


def is_table(name: str, size_bytes: int) -> bool:
    """Tell whether a file can be read as a table at a price that is worth it."""
    suffix = Path(name).suffix.lower()
    return suffix == PARQUET or (suffix in GUESSED and size_bytes <= GUESSED[suffix])


def is_too_large(name: str, size_bytes: int) -> bool:
    """Tell whether a file is a table but for its size."""
    suffix = Path(name).suffix.lower()
    return suffix in GUESSED and size_bytes > GUESSED[suffix]


def compare_tables(
    before: Path | None, after: Path | None, *, suffix: str, declared_key: str = "", place: Path | None = None
) -> TableDiff:
    """Compare two files of one suffix, or describe one of them. Raises NoTableError.

    What does not fit into memory goes to a folder below `place`, or where this machine keeps its temporary files.
    """
    with tempfile.TemporaryDirectory(prefix="difference-", dir=place) as scratch:
        try:
            return compared(before, after, suffix, declared_key, Path(scratch))
        except (duckdb.Error, pa.ArrowException, OSError, ValueError, RecursionError) as error:
            raise NoTableError(first_line(error)) from error


def unchanged(path: Path, *, suffix: str, place: Path | None = None) -> TableDiff:
    """Describe a file that both versions have byte for byte. Raises NoTableError."""
    one = compare_tables(None, path, suffix=suffix, place=place).after
    assert one is not None  # noqa: S101  for the type checker: what is given is described
    same = tuple(ColumnChange(Kind.SAME, place, place) for place in range(len(one.columns)))
    return TableDiff(one, one, suffix != PARQUET, same, RowChanges(None, 0, 0, 0))


def first_line(error: Exception) -> str:
    """Give an error's own words in one line, without the paths of this machine."""
    words = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return " ".join("…" if word.startswith(("/", "'/", '"/')) else word for word in words.split())[:200]


def compared(before: Path | None, after: Path | None, suffix: str, declared_key: str, scratch: Path) -> TableDiff:
    given = {name: path for name, path in (("before", before), ("after", after)) if path is not None}
    paths = {name: as_parquet(path, suffix, scratch / name) for name, path in given.items()}
    columns = {name: read_columns(path) for name, path in paths.items()}
    is_guessed = suffix != PARQUET
    files = {name: (path, len(columns[name])) for name, path in paths.items() if columns[name]}
    with session(files, scratch) as tables:
        found = {name: described(tables, name, columns[name], path) for name, path in paths.items()}
        if len(found) < 2 or not all(columns.values()):  # noqa: PLR2004  both sides
            return TableDiff(found.get("before"), found.get("after"), is_guessed, *only_schema(columns))
        changes, rows = differences(tables, found["before"], found["after"], declared_key)
    return TableDiff(found["before"], found["after"], is_guessed, tuple(changes), rows)


def only_schema(columns: dict[str, tuple[Column, ...]]) -> tuple[tuple[ColumnChange, ...], None]:
    return tuple(compare_columns(columns.get("before", ()), columns.get("after", ()))), None


def described(tables: Session, name: str, columns: tuple[Column, ...], path: Path) -> Table:
    if not columns:
        return Table((), TableFacts(0, None, ()))
    return Table(columns, read_facts(tables, name, columns, path))


def differences(
    tables: Session, before: Table, after: Table, declared_key: str
) -> tuple[Sequence[ColumnChange], RowChanges]:
    sides = Side(before.columns, before.facts), Side(after.columns, after.facts)
    changes = compare_columns(before.columns, after.columns)
    alike = like_typed(changes, before, after)
    key = row_changes.find_key(tables, *sides, alike, declared_key)
    changes = with_renames(tables, changes, before, after, key)
    alike = like_typed(changes, before, after)
    return changes, row_changes.compare_rows(tables, *sides, alike, key)


def like_typed(changes: Sequence[ColumnChange], before: Table, after: Table) -> list[tuple[int, int]]:
    return [(old, new) for old, new in paired(changes) if before.columns[old].type == after.columns[new].type]


def with_renames(
    tables: Session,
    changes: Sequence[ColumnChange],
    before: Table,
    after: Table,
    key: tuple[int, int] | None,
) -> list[ColumnChange]:
    """Join a column that went and one that came to a renamed one, where type and values are the same."""
    gone = [one.before for one in changes if one.kind == Kind.REMOVED and one.before is not None]
    came = [one.after for one in changes if one.kind == Kind.ADDED and one.after is not None]
    renamed: dict[int, int] = {}
    for new in came[:RENAMES_TRIED]:
        for old in gone[:RENAMES_TRIED]:
            free = old not in renamed.values() and may_be_same(before, old, after, new)
            if new not in renamed and free and row_changes.same_values(tables, key, (old, new)):
                renamed[new] = old
    kept = [one for one in changes if not (one.kind == Kind.REMOVED and one.before in renamed.values())]
    return [
        replace(one, kind=Kind.RENAMED, before=renamed[one.after]) if one.after in renamed else one for one in kept
    ]


def may_be_same(before: Table, old: int, after: Table, new: int) -> bool:
    """Tell by type and statistics alone; a column of one value could be any other of one value."""
    one, other = before.columns[old], after.columns[new]
    values = before.facts.columns[old]
    is_varied = one.is_geometry or (values.distinct or 0) > 1
    return is_varied and (one.type, one.encoding, one.crs) == (other.type, other.encoding, other.crs)
