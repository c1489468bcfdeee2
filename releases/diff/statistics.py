"""Facts about each column of a table: nulls, least, greatest, and about how many distinct values.

Nulls and extremes are exact. The number of distinct values is an estimate (HyperLogLog, the same for the same file)
over all rows, or over rows taken from evenly spaced row groups where a table has more than VALUES_COUNTED values, so
that the work is bounded whatever the table's size; `sampled_rows` says so.
"""

# ruff: noqa: S608  what queries name is ours: tables, and columns by their places

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from releases.diff.schema import Column
from releases.diff.session import Session

VALUES_COUNTED = 20_000_000
GROUPS_SAMPLED = 16
COLUMNS_AT_ONCE = 50
BATCH_ROWS = 4096
BUFFER_BYTES = 1 << 18  # of each column; without it a reader takes all of a column's row group
LONGEST_VALUE = 120
NESTED = ("struct<", "list<", "map<", "fixed_size_list<", "list_view<", "extension<")


@dataclass(frozen=True)
class Statistics:
    """Facts about one column. Extremes are text, None where values have no order that means something."""

    nulls: int
    least: str | None
    greatest: str | None
    distinct: int | None


@dataclass(frozen=True)
class TableFacts:
    """One table: its rows, and a Statistics for each column in its order."""

    rows: int
    sampled_rows: int | None
    columns: tuple[Statistics, ...]


def read_facts(tables: Session, name: str, columns: Sequence[Column], path: Path) -> TableFacts:
    """Read the facts of table `name`, which is the Parquet file `path`. Raises duckdb.Error."""
    rows = int(tables.row(f"SELECT count(*) FROM {name}")[0])
    is_large = rows * len(columns) > VALUES_COUNTED
    sample = sampled(path, VALUES_COUNTED // len(columns)) if is_large else None
    facts: list[Statistics] = []
    for places in chunks(len(columns)):
        extremes = answers(tables, name, [exact(place, columns[place]) for place in places], 3)
        counted = [place for place in places if not columns[place].is_geometry]
        distinct = answers(tables, counted_in(tables, name, sample, counted), estimates(columns, places), 1)
        for (present, least, greatest), (about,) in zip(extremes, distinct, strict=True):
            ends = plain(least), plain(greatest)
            facts.append(Statistics(rows - int(present), *ends, None if about is None else int(about)))
    return TableFacts(rows, sample.rows if sample else None, tuple(facts))


def plain(extreme: str | None) -> str | None:
    """Give zero one form: writers of Parquet note the least zero as negative, whatever the values are."""
    return "0.0" if extreme == "-0.0" else extreme


def chunks(count: int) -> Iterator[range]:
    return (range(start, min(start + COLUMNS_AT_ONCE, count)) for start in range(0, count, COLUMNS_AT_ONCE))


def answers(tables: Session, name: str, expressions: Sequence[str], width: int) -> list[tuple[Any, ...]]:
    """Ask one table many questions at once, and give the answers in tuples of `width`."""
    row = tables.row(f"SELECT {', '.join(expressions)} FROM {name}")
    return [row[start : start + width] for start in range(0, len(row), width)]


def exact(place: int, column: Column) -> str:
    if not has_order(column):
        return f"count(c{place}), NULL, NULL"
    least, greatest = (f"left(CAST({which}(c{place}) AS VARCHAR), {LONGEST_VALUE})" for which in ("min", "max"))
    return f"count(c{place}), {least}, {greatest}"


def estimates(columns: Sequence[Column], places: Sequence[int]) -> list[str]:
    return [
        "any_value(CAST(NULL AS BIGINT))" if columns[place].is_geometry else f"approx_count_distinct(c{place})"
        for place in places
    ]


def has_order(column: Column) -> bool:
    """Tell whether least and greatest say something to people: not of shapes, bytes and nested values."""
    is_opaque = column.is_geometry or "binary" in column.type or column.type == "null"
    return not is_opaque and not column.type.startswith(NESTED)


@dataclass(frozen=True)
class Sample:
    """Rows of a file to count distinct values in: the first `share` of each of these row groups.

    A name that stands twice is read twice, and taken by its occurrence.
    """

    path: Path
    groups: tuple[int, ...]
    share: int
    rows: int

    def read(self, places: Sequence[int]) -> pa.RecordBatchReader:
        """Give these columns, named by place, a few rows at a time, to be read once; ValueError for no rows."""
        names = parquet.read_schema(self.path).names
        wanted = list(dict.fromkeys(names[place] for place in places))
        batches = (batch for group in self.groups for batch in self.first_rows(group, wanted))
        first = next(batches, None)
        if first is None:
            raise ValueError("its row groups are empty, though it says that it has rows")
        found = [position(first.schema.names, names, place) for place in places]
        named = (
            pa.RecordBatch.from_arrays([one.column(at) for at in found], names=[f"c{place}" for place in places])
            for one in chain((first,), batches)
        )
        start = next(named)
        return pa.RecordBatchReader.from_batches(start.schema, chain((start,), named))

    def first_rows(self, group: int, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        left = self.share
        with parquet.ParquetFile(self.path, buffer_size=BUFFER_BYTES) as file:
            for batch in file.iter_batches(min(left, BATCH_ROWS), row_groups=[group], columns=names):
                yield batch.slice(0, left)
                left -= batch.num_rows
                if left <= 0:
                    return


def position(read: Sequence[str], names: Sequence[str], place: int) -> int:
    """Find where the column at `place` of a file stands among those that were read, in whatever order they came."""
    name = names[place]
    same_name = [at for at, other in enumerate(read) if other == name]
    return same_name[names[:place].count(name)]


def sampled(path: Path, most_rows: int) -> Sample:
    """Choose evenly spaced row groups that together have about `most_rows` rows to read."""
    metadata = parquet.read_metadata(path)
    count = min(GROUPS_SAMPLED, metadata.num_row_groups)
    groups = tuple(number * metadata.num_row_groups // count for number in range(count))
    share = max(1, most_rows // count)
    rows = sum(min(share, metadata.row_group(group).num_rows) for group in groups)
    return Sample(path, groups, share, rows)


def counted_in(tables: Session, name: str, sample: Sample | None, places: Sequence[int]) -> str:
    """Give the table in which distinct values of these columns are counted, once."""
    if sample is None or not places:
        return name
    tables.connection.register("sampled", sample.read(places))
    return "sampled"
