"""Look into two files that should be the same, by their format, and name what is known to make them differ. Pure.

Each probe gives pairs of a cause (releases/builds/drift.py has its sentence) and the words that show it. A probe
reads no more than MOST_ROWS rows or MOST_BYTES of text; what lies behind may have other causes.
"""

import gzip
import itertools
import re
import sqlite3
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Found = Iterator[tuple[str, str]]
MOST_BYTES, MOST_ROWS = 8 << 20, 200_000
TIME = re.compile(
    r"\d{4}[-:]\d{2}[-:]\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
    r"|\b1[5-9]\d{8}(?:\d{3}|\.\d+)?\b"
    r"|\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? .{3,30}\d{2}:\d{2}:\d{2}"
)
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
FOLDER = re.compile(r"/(?:tmp|var/tmp|home|root|build)/[^\s\"',)]+")
NUMBER = re.compile(r"-?\d+\.\d+(?:[eE][-+]?\d+)?")
NEARLY = 1e-9
PNG, TIFF = b"\x89PNG\r\n\x1a\n", (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
DUCKDB_AT, DUCKDB = 8, b"DUCK"


def probe(first: Path, second: Path) -> Found:
    """Choose the probe by what the first file is, not by its name; raises what the readers of its format raise."""
    with first.open("rb") as file:
        head = file.read(64)
    if head[:2] == b"\x1f\x8b":
        yield from gzipped(first, second)
    elif head[:4] == b"PK\x03\x04":
        yield from zipped(first, second)
    elif head[:4] == b"PAR1":
        yield from parquet(first, second)
    elif head.startswith(b"SQLite format 3\0"):
        yield from sqlite(first, second)
    elif head[DUCKDB_AT : DUCKDB_AT + 4] == DUCKDB:
        yield "duckdb-file", ""
    elif head.startswith(PNG):
        yield from png(first.read_bytes(), second.read_bytes())
    elif tarfile.is_tarfile(first):
        yield from tarred(first, second)
    else:
        yield from (binary if b"\0" in head or head.startswith(TIFF) else text)(first, second)


def gzipped(first: Path, second: Path) -> Found:
    ours, theirs = gzip_header(first), gzip_header(second)
    if ours[0] != theirs[0]:
        yield "gzip-time", f"{ours[0]} ≠ {theirs[0]}"
    if ours[1] != theirs[1]:
        yield "gzip-name", f"{ours[1]} ≠ {theirs[1]}"
    try:
        yield from tarred(first, second)
    except tarfile.TarError:
        with gzip.open(first) as left, gzip.open(second) as right:
            yield from lines(left.read(MOST_BYTES), right.read(MOST_BYTES))


def gzip_header(path: Path) -> tuple[int, str]:
    """Give the time and the name in a gzip header (RFC 1952)."""
    with path.open("rb") as file:
        head = file.read(4096)
    flags, time = head[3], struct.unpack("<I", head[4:8])[0]
    name = head[10:].split(b"\0", 1)[0].decode("latin-1") if flags & 8 and not flags & 4 else ""
    return time, name


def tarred(first: Path, second: Path) -> Found:
    with tarfile.open(first) as left, tarfile.open(second) as right:
        ours, theirs = left.getmembers(), right.getmembers()
        yield from ordered([one.name for one in ours], [one.name for one in theirs])
        others = {one.name: one for one in theirs}
        pairs = [(one, others[one.name]) for one in ours if one.name in others]
        times = (f"{a.name}: {a.mtime} ≠ {b.mtime}" for a, b in pairs if int(a.mtime) != int(b.mtime))
        yield from (("tar-times", words) for words in itertools.islice(times, 1))
        owners = (a.name for a, b in pairs if (a.uid, a.gid, a.uname, a.gname) != (b.uid, b.gid, b.uname, b.gname))
        yield from (("tar-owners", name) for name in itertools.islice(owners, 1))
        for a, b in pairs:
            if a.isfile() and b.isfile() and a.size + b.size <= MOST_BYTES:
                yield from inside(a.name, bytes_of(left, a), bytes_of(right, b))


def bytes_of(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def zipped(first: Path, second: Path) -> Found:
    with zipfile.ZipFile(first) as left, zipfile.ZipFile(second) as right:
        ours, theirs = left.infolist(), right.infolist()
        yield from ordered([one.filename for one in ours], [one.filename for one in theirs])
        others = {one.filename: one for one in theirs}
        pairs = [(one, others[one.filename]) for one in ours if one.filename in others]
        times = (f"{a.filename}: {a.date_time} ≠ {b.date_time}" for a, b in pairs if a.date_time != b.date_time)
        yield from (("zip-times", words) for words in itertools.islice(times, 1))
        extras = (a.filename for a, b in pairs if a.extra != b.extra or a.external_attr != b.external_attr)
        yield from (("zip-extra", name) for name in itertools.islice(extras, 1))
        for a, b in pairs:
            if a.CRC != b.CRC and a.file_size + b.file_size <= MOST_BYTES:
                yield from inside(a.filename, left.read(a), right.read(b))


def ordered(ours: Sequence[str], theirs: Sequence[str]) -> Found:
    if ours != theirs and sorted(ours) == sorted(theirs):
        name = next(a for a, b in zip(ours, theirs, strict=True) if a != b)
        yield "archive-order", name


def inside(name: str, ours: bytes, theirs: bytes) -> Found:
    """Look at a file in an archive as at one of its own."""
    if ours != theirs:
        yield from ((cause, f"{name}: {words}") for cause, words in lines(ours, theirs))


def parquet(first: Path, second: Path) -> Found:
    with pq.ParquetFile(first) as left, pq.ParquetFile(second) as right:
        if left.metadata.created_by != right.metadata.created_by:
            yield "parquet-writer", f"{left.metadata.created_by} ≠ {right.metadata.created_by}"
        keys = differing(left.metadata.metadata or {}, right.metadata.metadata or {})
        for key in keys:
            both = [
                (one.metadata.metadata or {}).get(key, b"")[:60].decode(errors="replace") for one in (left, right)
            ]
            yield "parquet-metadata", f"{key.decode(errors='replace')}: {' ≠ '.join(both)}"
        if left.metadata.num_rows == right.metadata.num_rows <= MOST_ROWS and left.schema_arrow.equals(
            right.schema_arrow, check_metadata=False
        ):
            yield from rows(left.read(), right.read())


def differing(ours: dict[bytes, bytes], theirs: dict[bytes, bytes]) -> list[bytes]:
    """Give the keys of which the values differ; Arrow's copy of the schema holds them a second time."""
    keys = sorted((ours.keys() | theirs.keys()) - {b"ARROW:schema"})
    return [key for key in keys if ours.get(key) != theirs.get(key)]


def rows(ours: pa.Table, theirs: pa.Table) -> Found:
    """Compare two tables of one schema and length."""
    if ours.equals(theirs, check_metadata=False):
        yield "parquet-layout", ""
        return
    for name, left, right in zip(ours.column_names, ours.columns, theirs.columns, strict=True):
        if not left.equals(right) and pa.types.is_floating(left.type) and nearly(left.to_pylist(), right.to_pylist()):
            yield "float-sum", name
    if sorted(map(repr, ours.to_pylist())) == sorted(map(repr, theirs.to_pylist())):
        yield "row-order", ""


def nearly(ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
    """Tell whether two lists of numbers are equal but for their last digits."""
    return all(
        a == b or (a is not None and b is not None and abs(a - b) <= NEARLY * max(abs(a), abs(b)))
        for a, b in zip(ours, theirs, strict=True)
    )


def sqlite(first: Path, second: Path) -> Found:
    with closing(read_only(first)) as left, closing(read_only(second)) as right:
        tables = {row[0] for row in left.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
        if "gpkg_contents" in tables:
            asked = "SELECT table_name, last_change FROM gpkg_contents ORDER BY 1"
            ours, theirs = left.execute(asked).fetchall(), right.execute(asked).fetchall()
            changed = [f"{a[0]}: {a[1]} ≠ {b[1]}" for a, b in zip(ours, theirs, strict=False) if a != b]
            yield from (("gpkg-time", words) for words in changed[:1])
        is_tiles = {"tiles", "metadata"} <= tables
        ours, theirs = (list(itertools.islice(one.iterdump(), MOST_ROWS)) for one in (left, right))
        if sorted(ours) == sorted(theirs):
            yield ("mbtiles-order" if is_tiles else "sqlite-order" if ours != theirs else "sqlite-pages"), ""
        else:
            yield from lines("\n".join(ours).encode(errors="replace"), "\n".join(theirs).encode(errors="replace"))


def read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)


def png(ours: bytes, theirs: bytes) -> Found:
    left, right = dict(chunks(ours)), dict(chunks(theirs))
    for kind in (b"tIME", b"tEXt", b"iTXt", b"eXIf"):
        if left.get(kind) != right.get(kind):
            yield "png-time", kind.decode()


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give the chunks of a PNG file, of several of one kind all together (PNG 3rd edition, 5.3)."""
    position, found = len(PNG), dict[bytes, bytes]()
    while position + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[position : position + 8])
        found[kind] = found.get(kind, b"") + content[position + 8 : position + 8 + length]
        position += 12 + length
    yield from found.items()


def text(first: Path, second: Path) -> Found:
    with first.open("rb") as left, second.open("rb") as right:
        yield from lines(left.read(MOST_BYTES), right.read(MOST_BYTES))


def lines(ours: bytes, theirs: bytes) -> Found:
    """Compare texts by their lines, and the first lines that differ word by word."""
    left, right = (one.decode("utf-8", "replace").splitlines() for one in (ours, theirs))
    if left != right and sorted(left) == sorted(right):
        yield "line-order", next(a for a, b in zip(left, right, strict=True) if a != b)[:120]
        return
    pairs = [(a, b) for a, b in zip(left, right, strict=False) if a != b][:200]
    found = list(words(pairs))
    if not found and pairs and all(sorted(a) == sorted(b) for a, b in pairs):
        found = [("set-order", pairs[0][0][:120])]
    yield from found


def words(pairs: Sequence[tuple[str, str]]) -> Found:
    """Name what two differing lines differ by: times, random ids, folders, last digits."""
    for cause, pattern in (("text-time", TIME), ("random-id", UUID), ("folder-name", FOLDER)):
        found = next((both for a, b in pairs if (both := first_other(pattern, a, b))), None)
        if found:
            yield cause, f"{found[0][:80]} ≠ {found[1][:80]}"
    numbers = [(NUMBER.findall(a), NUMBER.findall(b)) for a, b in pairs]
    close = [(a, b) for a, b in numbers if a != b and len(a) == len(b) and nearly([*map(float, a)], [*map(float, b)])]
    if close:
        a, b = next((a, b) for a, b in zip(*close[0], strict=True) if a != b)
        yield "float-sum", f"{a} ≠ {b}"


def first_other(pattern: re.Pattern[str], ours: str, theirs: str) -> tuple[str, str] | None:
    """Give the first match that differs, where both lines have as many and are the same without them."""
    left, right = pattern.findall(ours), pattern.findall(theirs)
    if left == right or len(left) != len(right) or pattern.sub("", ours) != pattern.sub("", theirs):
        return None
    return next(pair for pair in zip(left, right, strict=True) if pair[0] != pair[1])


def binary(first: Path, second: Path) -> Found:
    """Look for readable times and ids around the first bytes that differ, also in what was compressed with zlib."""
    with first.open("rb") as left, second.open("rb") as right:
        ours, theirs = left.read(MOST_BYTES), right.read(MOST_BYTES)
    at = next((place for place, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), 0)
    near = slice(max(0, at - 64), at + 192)
    yield from words([(ours[near].decode("latin-1"), theirs[near].decode("latin-1"))])


READ_ERRORS = (
    *(OSError, ValueError, LookupError, EOFError, struct.error, zlib.error, gzip.BadGzipFile),
    *(tarfile.TarError, zipfile.BadZipFile, sqlite3.Error, pa.ArrowException),
)
