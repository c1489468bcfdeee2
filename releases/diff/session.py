"""A closed DuckDB over two Parquet files: `before` and `after`, with columns `c0`, `c1`, … by their place.

Places instead of names, because a file may have any name twice, or one that is no word. Nothing but these two files
can be read, settings are locked, memory is bounded, and what does not fit spills into the scratch folder.
"""

# ruff: noqa: S608  what queries name is ours: tables, and columns by their places

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

THREADS = 2
MEMORY = "256MB"


class Session:
    """Questions to the tables of this session; answers are one row or a list of rows."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def row(self, query: str) -> tuple[Any, ...]:
        return self.rows(query)[0]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def run(self, query: str) -> None:
        self.connection.execute(query)


@contextmanager
def session(files: Mapping[str, tuple[Path, int]], scratch: Path) -> Iterator[Session]:
    """Open tables by name from Parquet files with their numbers of columns; raises duckdb.Error when read."""
    links = {name: linked(path, scratch / f"{name}.parquet") for name, (path, _count) in files.items()}
    with duckdb.connect(":memory:", config={"threads": THREADS, "memory_limit": MEMORY}) as connection:
        close(connection, list(links.values()), scratch)
        for name, (_path, count) in files.items():
            columns = ", ".join(f"c{place}" for place in range(count))
            connection.execute(
                f"CREATE VIEW {name} AS SELECT * FROM read_parquet({quoted(links[name])}, hive_partitioning = false) "
                f"AS t({columns})"
            )
        yield Session(connection)


def linked(path: Path, link: Path) -> Path:
    """Give a file a plain name, since DuckDB reads `*` and `[` in a path as a pattern."""
    link.unlink(missing_ok=True)
    link.symlink_to(path.resolve())
    return link


def close(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], scratch: Path) -> None:
    allowed = ", ".join(quoted(path) for path in paths)
    for setting in (
        f"temp_directory = {quoted(scratch / 'spill')}",
        "enable_progress_bar = false",
        "TimeZone = 'UTC'",
        "preserve_insertion_order = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "enable_geoparquet_conversion = false",
        f"allowed_paths = [{allowed}]",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")


def quoted(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"
