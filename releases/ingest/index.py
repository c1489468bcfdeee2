"""Read addresses from an index file: a column of it, or a query over it.

A query runs in a DuckDB of its own that knows one table, `index`; it may read no other file, ask no server, load no
extension and change no setting, and it ends in time. An index is Parquet, CSV or GeoPackage, told by its first bytes.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from catalog.sentences import sentence as _
from releases.errors import ListingError
from releases.ingest.lists import MOST_FILES

PARQUET, SQLITE = b"PAR1", b"SQLite format 3\0"
TABLE = "index"
LONGEST_S = 60.0
ROWS_AT_ONCE = 5000
CLOSED = (
    "SET temp_directory = ''",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET python_enable_replacements = false",
    "SET enable_geoparquet_conversion = false",
)
LOCKED = ("SET enable_external_access = false", "SET lock_configuration = true")
LIMITS: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "512MB", "threads": "2"}


def read_index(path: Path, selection: str, *, scratch: Path, longest_s: float = LONGEST_S) -> list[str]:
    """Give the addresses that a column or a query of an index holds, in its order; rows without one are left out.

    `scratch` is an empty folder. Raises ListingError for what is no index, no column, or no query that gives texts.
    """
    with opened(path, scratch) as index:
        statement = statement_of(index, selection)
        timer = threading.Timer(longest_s, index.interrupt)
        timer.start()
        try:
            rows = index.execute(statement).fetchmany(MOST_FILES + 1)
        except duckdb.InterruptException as error:
            raise ListingError(
                _("The query: it takes longer than %(most)s s. Simplify it.", most=longest_s)
            ) from error
        except duckdb.Error as error:
            raise ListingError(_("The query: %(finding)s. Correct it.", finding=first_line(error))) from error
        finally:
            timer.cancel()
    if len(rows) > MOST_FILES:
        raise ListingError(_("The index: it gives more than %(most)s files. Select fewer.", most=MOST_FILES))
    return [str(row[0]).strip() for row in rows if row[0] is not None and str(row[0]).strip()]


@contextmanager
def opened(path: Path, scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a database in which the index is the only table and nothing else can be reached."""
    reader, readable = reader_of(path, scratch)
    with duckdb.connect(":memory:", config=LIMITS) as index:
        for setting in CLOSED:
            index.execute(setting)
        place = str(readable).replace("'", "''")
        try:
            index.execute(f"CREATE VIEW {TABLE} AS SELECT * FROM {reader}('{place}')")  # noqa: S608  our own words
        except duckdb.Error as error:
            raise ListingError(
                _(
                    "The index: it cannot be read (%(finding)s). Give Parquet, CSV or GeoPackage.",
                    finding=first_line(error),
                )
            ) from error
        index.execute(f"SET allowed_paths = ['{place}']")
        for setting in LOCKED:
            index.execute(setting)
        yield index


def reader_of(path: Path, scratch: Path) -> tuple[str, Path]:
    with path.open("rb") as file:
        head = file.read(len(SQLITE))
    if head.startswith(PARQUET):
        return "read_parquet", path
    if head == SQLITE:
        return "read_parquet", from_geopackage(path, scratch / "geopackage.parquet")
    return "read_csv", path


def statement_of(index: duckdb.DuckDBPyConnection, selection: str) -> Any:
    """Turn a column's name or a query into one statement that reads; raises ListingError for anything else."""
    columns = [row[0] for row in index.execute(f"DESCRIBE {TABLE}").fetchall()]
    if selection.strip() in columns:
        quoted = selection.strip().replace('"', '""')
        return f'SELECT "{quoted}" FROM {TABLE}'  # noqa: S608  the name of a column that it has
    try:
        statements = index.extract_statements(selection)
    except duckdb.Error:
        statements = []
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ListingError(
            _(
                "The selection: neither a column of the index nor one SELECT over the table %(table)s. "
                "Its columns are: %(columns)s.",
                table=TABLE,
                columns=", ".join(columns)[:1000],
            )
        )
    return statements[0]


def from_geopackage(path: Path, target: Path) -> Path:
    """Write the attributes of a GeoPackage's only layer as Parquet, geometry left out.

    Raises ListingError for a file without exactly one layer.
    """
    address = f"file:{path.resolve().as_posix().replace('?', '%3f').replace('#', '%23')}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as file:
            file.execute("PRAGMA trusted_schema = OFF")
            layer = only_layer(file)
            columns = plain_columns(file, layer)
            names = ", ".join(quoted(name) for name in columns)
            rows = file.execute(f"SELECT {names} FROM {quoted(layer)}")  # noqa: S608  names that it has, quoted
            write_rows(columns, rows, target)
    except sqlite3.Error as error:
        raise ListingError(
            _("The index: it is no readable GeoPackage (%(finding)s). Give another file.", finding=first_line(error))
        ) from error
    return target


def only_layer(file: sqlite3.Connection) -> str:
    kinds = "('features', 'attributes')"
    found = [row[0] for row in file.execute(f"SELECT table_name FROM gpkg_contents WHERE data_type IN {kinds}")]  # noqa: S608
    if len(found) != 1:
        raise ListingError(
            _(
                "The index: a GeoPackage with %(count)s layers (%(names)s). Give one with a single layer.",
                count=len(found),
                names=", ".join(map(str, found))[:500],
            )
        )
    return str(found[0])


def plain_columns(file: sqlite3.Connection, layer: str) -> list[str]:
    """Give the columns of a layer that hold no geometry."""
    shapes = {
        row[0] for row in file.execute("SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer,))
    }
    named = file.execute("SELECT name FROM pragma_table_info(?)", (layer,))
    return [row[0] for row in named if row[0] not in shapes]


def write_rows(columns: list[str], rows: sqlite3.Cursor, target: Path) -> None:
    """Write rows as texts, a few at a time."""
    schema = pa.schema([(name, pa.string()) for name in columns])
    with pq.ParquetWriter(target, schema) as writer:
        while chunk := rows.fetchmany(ROWS_AT_ONCE):
            texts = [
                [None if value is None else str(value) for value in column] for column in zip(*chunk, strict=True)
            ]
            writer.write_table(pa.table(dict(zip(columns, texts, strict=True)), schema=schema))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
