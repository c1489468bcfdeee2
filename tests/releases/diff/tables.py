"""Two small tables for tests, written as Parquet, and what their difference says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from releases.diff.bump import Level, highest
from releases.diff.judgement import Remark, of_table
from releases.diff.tables import TableDiff, compare_tables

ROWS: Mapping[str, Sequence[Any]] = {
    "id": [1, 2, 3, 4, 5],
    "name": ["Alma", "Banff", "Comox", "Delta", "Elora"],
    "people": [30_000, 8_000, 14_000, 108_000, 7_000],
    "share": [0.5, 0.25, 0.125, 1.0, 0.75],
}


def written(path: Path, columns: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> Path:
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    parquet.write_table(table.replace_schema_metadata(metadata), path)
    return path


def difference(folder: Path, before: Mapping[str, Any], after: Mapping[str, Any], key: str = "") -> TableDiff:
    old, new = written(folder / "old.parquet", before), written(folder / "new.parquet", after)
    return compare_tables(old, new, suffix=".parquet", declared_key=key)


def remarks(diff: TableDiff) -> list[Remark]:
    return list(of_table("towns.parquet", diff))


def codes(diff: TableDiff) -> list[str]:
    return sorted(one.code for one in remarks(diff))


def level(diff: TableDiff) -> Level:
    return highest([one.level for one in remarks(diff)])


def without(columns: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: values for name, values in columns.items() if name not in names}
