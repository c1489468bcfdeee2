"""What a file says, without how it says it: a digest of its content that other bytes can share. Pure.

Rules, by what a file is and not by its name:
1. Parquet: the names and types of its columns and its rows, in whatever order and layout; the writer and its version
   do not count, but GeoParquet's `geo` does.
2. SQLite, so GeoPackage and MBTiles: schema and rows in whatever order; a GeoPackage's time of last change does not.
3. zip and tar, also gzipped: each file's name and content, in whatever order; times and owners do not count.
4. JSON, so GeoJSON: its value; the order in lists counts, that of keys and the spaces between them do not.
5. Any other: its bytes.
"""

import gzip
import hashlib
import json
import sqlite3
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from releases.builds.drift_files import READ_ERRORS, read_only

BATCH_ROWS = 20_000
MOST_JSON_BYTES = 256 << 20
BLOCK_BYTES = 1 << 20
DIGEST_BITS = 256


def has_same_content(first: Path, second: Path) -> bool:
    """Tell whether two files say the same; false also where one is broken."""
    try:
        return content_sha256(first) == content_sha256(second)
    except READ_ERRORS:
        return False


def content_sha256(path: Path) -> str:
    """Give the digest of a file's content; raises what the readers of its format raise."""
    kind = kind_of(path)
    return named(kind, READERS[kind](path))


def kind_of(path: Path) -> str:
    """Name what a file is, by how it begins."""
    with path.open("rb") as file:
        head = file.read(16)
    if head[:4] in STARTS:
        return STARTS[head[:4]]
    if tarfile.is_tarfile(path):
        return "tar"
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    is_json = head.lstrip()[:1] in {b"{", b"["} and path.stat().st_size <= MOST_JSON_BYTES
    return "json" if is_json else "bytes"


def named(kind: str, parts: Iterable[str]) -> str:
    digest = hashlib.sha256(kind.encode())
    for part in parts:
        digest.update(hashlib.sha256(part.encode(errors="surrogatepass")).digest())
    return digest.hexdigest()


def together(rows: Iterable[str]) -> str:
    """Give one text for many rows in whatever order: their number, and the sum of their digests."""
    count, total = 0, 0
    for row in rows:
        count += 1
        total += int.from_bytes(hashlib.sha256(row.encode(errors="surrogatepass")).digest(), "big")
    return f"{count} {total % (1 << DIGEST_BITS):064x}"


def parquet(path: Path) -> Iterator[str]:
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        yield repr([(field.name, str(field.type)) for field in schema])
        yield ((file.metadata.metadata or {}).get(b"geo", b"")).decode(errors="surrogateescape")
        yield together(rows_of(file))


def rows_of(file: pq.ParquetFile) -> Iterator[str]:
    for batch in file.iter_batches(batch_size=BATCH_ROWS):
        yield from map(repr, pa.Table.from_batches([batch]).to_pylist())


def sqlite(path: Path) -> Iterator[str]:
    with closing(read_only(path)) as base:
        asked = "SELECT name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
        for name, sql in base.execute(asked).fetchall():
            yield f"{name}: {sql}"
            if sql.upper().startswith("CREATE TABLE"):
                yield together(table_rows(base, name))


def table_rows(base: sqlite3.Connection, name: str) -> Iterator[str]:
    quoted = name.replace('"', '""')
    found = base.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608  a name cannot be a parameter; it is quoted
    kept = [place for place, column in enumerate(found.description) if column[0] != "last_change"]
    for row in found:
        yield repr([row[place] for place in kept])


def zipped(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            with archive.open(name) as file:
                yield f"{name} {sha256_of(file)}"


def tarred(path: Path) -> Iterator[str]:
    with tarfile.open(path) as archive:
        for member in sorted(archive.getmembers(), key=lambda one: one.name):
            file = archive.extractfile(member) if member.isfile() else None
            content = sha256_of(file) if file else member.linkname
            yield f"{member.name} {member.type!r} {content}"


def gzipped(path: Path) -> Iterator[str]:
    with gzip.open(path) as unpacked:
        yield sha256_of(unpacked)


def plain(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        yield sha256_of(file)


def canonical(path: Path) -> Iterator[str]:
    """Give a JSON text in one spelling; what is no JSON, by its bytes."""
    try:
        yield json.dumps(json.loads(path.read_bytes()), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        yield from plain(path)


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def sha256_of(file: Readable) -> str:
    digest = hashlib.sha256()
    while block := file.read(BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


STARTS = {b"PAR1": "parquet", b"SQLi": "sqlite", b"PK\x03\x04": "zip"}
READERS = {
    "parquet": parquet,
    "sqlite": sqlite,
    "zip": zipped,
    "tar": tarred,
    "gzip": gzipped,
    "json": canonical,
    "bytes": plain,
}
