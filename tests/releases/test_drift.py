"""Files that differ for a known reason are made twice, and the advice names that reason and no other."""

import gzip
import io
import json
import os
import sqlite3
import struct
import subprocess
import sys
import tarfile
import uuid
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from releases.builds.drift import CAUSES, UNKNOWN, advise, worded

Make = Callable[[Path, int], None]
MOMENT = 1_767_323_045
NAMES = ("a.txt", "b.txt", "c.txt")


def run(script: str, path: Path, turn: int) -> None:
    """Let a script write the file in a process of its own, with a hash seed of its own."""
    words = [sys.executable, "-c", script, str(path), str(turn)]
    subprocess.run(words, check=True, env={"PYTHONHASHSEED": str(turn), "PATH": os.environ["PATH"]})


def laid_out(path: Path, turn: int) -> list[Path]:
    folder = path.parent / f"inside-{turn}"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text(name)
        os.utime(folder / name, (MOMENT + turn * 60, MOMENT + turn * 60))
    return [folder / name for name in NAMES]


def tar_with_times(path: Path, turn: int) -> None:
    with tarfile.open(path, "w") as tar:
        for one in laid_out(path, turn):
            tar.add(one, one.name)


def tar_with_owners(path: Path, turn: int) -> None:
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo("a.txt")
        entry.uid = turn
        tar.addfile(entry, io.BytesIO())


def tar_in_any_order(path: Path, turn: int) -> None:
    with tarfile.open(path, "w") as tar:
        for name in NAMES[:: 1 if turn == 1 else -1]:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())


def gzip_with_time(path: Path, turn: int) -> None:
    path.write_bytes(gzip.compress(b"same", mtime=MOMENT + turn))


def gzip_with_name(path: Path, turn: int) -> None:
    with path.open("wb") as raw, gzip.GzipFile(f"part-{turn}.csv", "wb", fileobj=raw, mtime=0) as file:
        file.write(b"same")


def zip_with_times(path: Path, turn: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for one in laid_out(path, turn):
            archive.write(one, one.name)


def zip_with_extras(path: Path, turn: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("a.txt")
        entry.extra = struct.pack("<HHI", 0x7875, 4, turn)
        archive.writestr(entry, "same")


def table(turn: int, *, floats: bool = False) -> pa.Table:
    keys = list(range(100))
    numbers = [key / 3 + (turn * 1e-14 if floats else 0) for key in keys]
    return pa.table({"key": keys, "number": numbers})


def parquet_of_other_writers(path: Path, turn: int) -> None:
    """Write with pyarrow, then as another version of it would name itself."""
    pq.write_table(table(1), path)
    if turn == 2:
        name = pq.ParquetFile(path).metadata.created_by.encode()
        content = path.read_bytes()
        assert content.count(name) == 1
        path.write_bytes(content.replace(name, name[:-1] + b"9"))


def parquet_with_a_time(path: Path, turn: int) -> None:
    pq.write_table(table(1).replace_schema_metadata({"made": f"2026-01-0{turn}T00:00:00Z"}), path)


def parquet_in_other_groups(path: Path, turn: int) -> None:
    pq.write_table(table(1), path, row_group_size=40 + turn)


def parquet_in_any_order(path: Path, turn: int) -> None:
    order = [("key", "ascending" if turn == 1 else "descending")]
    pq.write_table(table(1).sort_by(order), path)


def parquet_with_sums(path: Path, turn: int) -> None:
    """Sum the same numbers in two orders, as threads would."""
    numbers = [1 / key for key in range(1, 1000)]
    total = sum(numbers if turn == 1 else numbers[::-1])
    assert sum(numbers) != sum(numbers[::-1])
    pq.write_table(pa.table({"total": [total]}), path)


def geopackage(path: Path, turn: int) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE gpkg_contents (table_name TEXT, last_change TEXT)")
        base.execute("INSERT INTO gpkg_contents VALUES ('roads', ?)", (f"2026-01-02T03:04:0{turn}.000Z",))
        base.commit()


def mbtiles(path: Path, turn: int) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE metadata (name TEXT, value TEXT)")
        base.execute("CREATE TABLE tiles (zoom_level INTEGER, tile_column INTEGER, tile_data BLOB)")
        for column in range(20)[:: 1 if turn == 1 else -1]:
            base.execute("INSERT INTO tiles VALUES (5, ?, x'00')", (column,))
        base.commit()


def database(path: Path, turn: int) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE words (word TEXT)")
        base.executemany("INSERT INTO words VALUES (?)", [(name,) for name in NAMES[:: 1 if turn == 1 else -1]])
        base.commit()


def database_with_holes(path: Path, turn: int) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE words (word TEXT)")
        for _ in range(turn):
            base.execute("DELETE FROM words")
            base.executemany("INSERT INTO words VALUES (?)", [(name * 2000,) for name in NAMES])
        base.commit()


def duckdb_file(path: Path, turn: int) -> None:
    with duckdb.connect(str(path)) as base:
        base.execute("CREATE TABLE words AS SELECT * FROM range(10)")
        base.execute(f"CREATE TABLE other AS SELECT {turn} AS turn")


def picture(path: Path, turn: int) -> None:
    """Write a white dot with the time at which it was made."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        (b"tIME", struct.pack(">HBBBBB", 2026, 1, turn, 0, 0, 0)),
    ]
    parts += [(b"IDAT", zlib.compress(b"\0\xff")), (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


def json_with_a_time(path: Path, turn: int) -> None:
    path.write_text(json.dumps({"made": f"2026-01-02T03:04:0{turn}Z", "count": 3}))


def csv_with_seconds(path: Path, turn: int) -> None:
    path.write_text(f"key,made\n1,{MOMENT + turn * 7}\n")


def binary_with_a_time(path: Path, turn: int) -> None:
    path.write_bytes(b"II*\0" + bytes(100) + b"2026:01:02 03:04:0%d\0" % turn + bytes(100))


def set_in_any_order(path: Path, turn: int) -> None:
    run("import sys; open(sys.argv[1], 'w').write(repr({str(n) for n in range(50)}))", path, turn)


def lines_in_any_order(path: Path, turn: int) -> None:
    run("import sys; open(sys.argv[1], 'w').write('\\n'.join({str(n) for n in range(50)}))", path, turn)


def random_ids(path: Path, turn: int) -> None:
    path.write_text(f'{{"id": "{uuid.uuid4()}"}}')


def folder_names(path: Path, turn: int) -> None:
    path.write_text(f"source: {path.parent}/run-{turn}/words.txt\n")


def csv_with_sums(path: Path, turn: int) -> None:
    numbers = [1 / key for key in range(1, 1000)]
    path.write_text(f"total\n{sum(numbers if turn == 1 else numbers[::-1])!r}\n")


def other_words(path: Path, turn: int) -> None:
    path.write_text("apples\n" if turn == 1 else "some pears\n")


def time_in_zip(path: Path, turn: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("about.json"), f'{{"made": "2026-01-02T03:04:0{turn}Z"}}')


DRIFT: list[tuple[str, Make]] = [
    ("tar-times", tar_with_times),
    ("tar-owners", tar_with_owners),
    ("archive-order", tar_in_any_order),
    ("gzip-time", gzip_with_time),
    ("gzip-name", gzip_with_name),
    ("zip-times", zip_with_times),
    ("zip-extra", zip_with_extras),
    ("parquet-writer", parquet_of_other_writers),
    ("parquet-metadata", parquet_with_a_time),
    ("parquet-layout", parquet_in_other_groups),
    ("row-order", parquet_in_any_order),
    ("float-sum", parquet_with_sums),
    ("gpkg-time", geopackage),
    ("mbtiles-order", mbtiles),
    ("sqlite-order", database),
    ("sqlite-pages", database_with_holes),
    ("duckdb-file", duckdb_file),
    ("png-time", picture),
    ("text-time", json_with_a_time),
    ("text-time", csv_with_seconds),
    ("text-time", binary_with_a_time),
    ("text-time", time_in_zip),
    ("set-order", set_in_any_order),
    ("line-order", lines_in_any_order),
    ("random-id", random_ids),
    ("folder-name", folder_names),
    ("float-sum", csv_with_sums),
    (UNKNOWN, other_words),
]


@pytest.mark.parametrize(("cause", "make"), DRIFT, ids=[make.__name__ for _, make in DRIFT])
def test_the_cause_of_a_difference_is_found(tmp_path: Path, cause: str, make: Make) -> None:
    for turn in (1, 2):
        make(tmp_path / str(turn), turn)
    assert (tmp_path / "1").read_bytes() != (tmp_path / "2").read_bytes()
    advice = advise(tmp_path / "1", tmp_path / "2")
    assert advice[0].cause == cause, advice
    assert {one.cause for one in advice} <= {cause, "text-time", "parquet-layout"}, advice


def test_every_cause_that_is_said_is_produced_by_a_test() -> None:
    assert {cause for cause, _ in DRIFT} == set(CAUSES)
    assert "TIPPECANOE_MAX_THREADS=1" in worded("mbtiles-order")
    assert worded("no such cause") == CAUSES[UNKNOWN]


@pytest.mark.parametrize("head", [b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"SQLite format 3\0", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_only_begins_like_its_format_gets_the_general_advice(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "1").write_bytes(head + b"\x01broken")
    (tmp_path / "2").write_bytes(head + b"\x02broken")
    assert [one.cause for one in advise(tmp_path / "1", tmp_path / "2")] == [UNKNOWN]
