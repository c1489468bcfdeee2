"""A content digest is shared by files that say the same, and by no others."""

import gzip
import io
import json
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from releases.builds.content import has_same_content

ROWS = [{"key": 1, "name": "a"}, {"key": 2, "name": "b"}, {"key": 2, "name": "b"}]


def parquet(path: Path, rows: list[dict[str, object]], **options: object) -> None:
    pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata({"geo": "{}"}), path, **options)


def parquet_geo(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS).replace_schema_metadata({"geo": '{"version":"1.1.0"}'}), path)


def sqlite(path: Path, rows: list[dict[str, object]], change: str = "now") -> None:
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE gpkg_contents (table_name TEXT, last_change TEXT)")
        base.execute("INSERT INTO gpkg_contents VALUES ('words', ?)", (change,))
        base.execute("CREATE TABLE words (key INTEGER, name TEXT)")
        base.executemany("INSERT INTO words VALUES (:key, :name)", rows)
        base.commit()


def zipped(path: Path, names: list[str], second: int = 0, content: str = "same") -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, second)), content)


def tarred(path: Path, names: list[str], mtime: int = 0, mode: str = "w") -> None:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.mtime, entry.size = mtime, 4
            tar.addfile(entry, io.BytesIO(b"same"))


Write = Callable[[Path], object]
SAME: dict[str, tuple[Write, Write]] = {
    "rows in another order": (lambda p: parquet(p, ROWS), lambda p: parquet(p, ROWS[::-1])),
    "another layout": (lambda p: parquet(p, ROWS), lambda p: parquet(p, ROWS, row_group_size=1, compression="zstd")),
    "database in another order": (lambda p: sqlite(p, ROWS), lambda p: sqlite(p, ROWS[::-1])),
    "time of last change": (lambda p: sqlite(p, ROWS), lambda p: sqlite(p, ROWS, "later")),
    "zip times and order": (lambda p: zipped(p, ["a", "b"]), lambda p: zipped(p, ["b", "a"], 2)),
    "tar times and order": (lambda p: tarred(p, ["a", "b"]), lambda p: tarred(p, ["b", "a"], 9)),
    "tar in gzip": (lambda p: tarred(p, ["a"], 1, "w:gz"), lambda p: tarred(p, ["a"], 2, "w:gz")),
    "gzip header": (
        lambda p: p.write_bytes(gzip.compress(b"x", mtime=1)),
        lambda p: p.write_bytes(gzip.compress(b"x", mtime=2)),
    ),
    "keys and spaces of JSON": (
        lambda p: p.write_text(json.dumps({"a": 1, "b": [1, 2]})),
        lambda p: p.write_text(json.dumps({"b": [1, 2], "a": 1}, indent=1)),
    ),
}
OTHER: dict[str, tuple[Write, Write]] = {
    "a row twice as often": (lambda p: parquet(p, ROWS), lambda p: parquet(p, ROWS[:2])),
    "another value": (lambda p: parquet(p, ROWS), lambda p: parquet(p, [*ROWS[:2], {"key": 3, "name": "b"}])),
    "another column": (lambda p: parquet(p, [{"a": 1}]), lambda p: parquet(p, [{"b": 1}])),
    "other geo metadata": (lambda p: parquet(p, ROWS), parquet_geo),
    "another row in a database": (lambda p: sqlite(p, ROWS), lambda p: sqlite(p, ROWS[:2])),
    "other content in zip": (lambda p: zipped(p, ["a"]), lambda p: zipped(p, ["a"], content="else")),
    "another name in tar": (lambda p: tarred(p, ["a"]), lambda p: tarred(p, ["b"])),
    "order in a list of JSON": (lambda p: p.write_text("[1, 2]"), lambda p: p.write_text("[2, 1]")),
    "other text": (lambda p: p.write_text("a"), lambda p: p.write_text("a ")),
    "other kind": (lambda p: p.write_text("[]"), lambda p: zipped(p, [])),
    "broken": (lambda p: p.write_bytes(b"PAR1broken"), lambda p: p.write_bytes(b"PAR1broken too")),
}


@pytest.mark.parametrize("case", SAME)
def test_what_says_the_same_has_the_same_content(tmp_path: Path, case: str) -> None:
    for name, write in zip("12", SAME[case], strict=True):
        write(tmp_path / name)
    assert (tmp_path / "1").read_bytes() != (tmp_path / "2").read_bytes()
    assert has_same_content(tmp_path / "1", tmp_path / "2")


@pytest.mark.parametrize("case", OTHER)
def test_what_says_anything_else_has_not(tmp_path: Path, case: str) -> None:
    for name, write in zip("12", OTHER[case], strict=True):
        write(tmp_path / name)
    assert not has_same_content(tmp_path / "1", tmp_path / "2")
