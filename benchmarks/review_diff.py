"""The review diff of two wide and long editions of a Parquet table against DuckDB's SUMMARIZE of both.

    python benchmarks/review_diff.py [--columns N] [--rows N ...] [--group-rows N] [--runs N]

Half of the columns are numbers and half are texts, all with nulls; the second edition has other values in one row of
a thousand of each tenth column, and one column more. Every side runs in a process of its own, with two threads, on
the same files in the page cache; the best of N runs counts. SUMMARIZE gives the facts of each column alone: not the
schema's changes, nor which keys came and went, nor which values changed. Prints one line for each number of rows,
which shows also whether memory grows with them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

ROOT = Path(__file__).resolve().parents[1]
WRITTEN_ROWS = 50_000
WORDS = 5_000  # of a list, as the names of places
NAMES = pa.array([f"{number} rue du Nord" for number in range(WORDS + 1)])
NULLS = 0.05
CHANGED_ROWS, CHANGED_COLUMNS = 1_000, 10
OURS = """
import sys
from pathlib import Path
from releases.diff.tables import compare_tables
found = compare_tables(Path(sys.argv[1]), Path(sys.argv[2]), suffix=".parquet")
assert found.rows.key == (0, 0) and found.rows.added == 0 and found.rows.changed
assert [one.kind for one in found.columns].count("added") == 1 and len(found.columns) == int(sys.argv[3]) + 1
"""
PEER = """
import sys
import duckdb
connection = duckdb.connect(config={"threads": 2})
connection.execute("SET enable_progress_bar = false")
for path, count in zip(sys.argv[1:3], (int(sys.argv[3]), int(sys.argv[3]) + 1)):
    assert len(connection.execute(f"SUMMARIZE SELECT * FROM read_parquet('{path}')").fetchall()) == count
"""


@dataclass(frozen=True)
class Cost:
    wall_s: float
    cpu_s: float
    peak_rss_mib: int

    def __str__(self) -> str:
        return f"{self.wall_s:.2f} s wall / {self.cpu_s:.2f} s CPU / {self.peak_rss_mib} MiB"


def cost(program: str, *arguments: str) -> Cost:
    """Run one program to its end; wall, user and system time, and peak memory of it alone."""
    started = time.perf_counter()
    process = subprocess.Popen((sys.executable, "-c", program, *arguments), cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"a side failed with {process.returncode}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)


def write(path: Path, given: argparse.Namespace, rows: int, edition: int) -> None:
    """Write a key and columns of numbers and texts; edition 1 has other values here and there, and a column more."""
    columns = given.columns - 1 + edition
    schema = table(0, 1, columns, edition).schema
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, rows, given.group_rows):
            end = min(start + given.group_rows, rows)
            pieces = [(at, min(WRITTEN_ROWS, end - at)) for at in range(start, end, WRITTEN_ROWS)]
            whole = pa.concat_tables(table(at, count, columns, edition) for at, count in pieces)
            writer.write_table(whole, row_group_size=given.group_rows)


def table(start: int, count: int, columns: int, edition: int) -> pa.Table:
    values = {f"c{place}": column(place, start, count, edition) for place in range(columns)}
    return pa.table({"id": np.arange(start, start + count)} | values)


def column(place: int, start: int, count: int, edition: int) -> pa.Array:
    """Make a piece of one column, the same each time: numbers, fractions, texts of their own, or words of a list."""
    random = np.random.default_rng((place, start))
    codes = random.integers(0, WORDS if place % 2 else 10**9, count)
    nulls = random.random(count) < NULLS
    if place % CHANGED_COLUMNS == 0:
        codes[::CHANGED_ROWS] += edition
    if place % 4 == 0:
        return pa.array(codes, mask=nulls)
    if place % 4 == 1:
        return pa.array(codes / 7, mask=nulls)
    if place % 4 == 3:  # noqa: PLR2004  one column of four
        return NAMES.take(pa.array(codes, mask=nulls))
    return pc.binary_join_element_wise("lot", pa.array(codes, mask=nulls).cast(pa.string()), "-")


def write_apart(*arguments: object) -> None:
    """Write in a process of its own: a child counts the memory of whoever started it as its own peak."""
    process = get_context("spawn").Process(target=write, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"the writer of the files failed with {process.exitcode}")


def measured(given: argparse.Namespace, rows: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"edition-{edition}.parquet") for edition in (0, 1)]
        for edition, path in enumerate(paths):
            write_apart(path, given, rows, edition)
        arguments = (*map(str, paths), str(given.columns))
        ours, peer = (
            min((cost(program, *arguments) for _ in range(given.runs)), key=lambda each: each.wall_s)
            for program in (OURS, PEER)
        )
    return (
        f"review diff: ours {ours}, peer SUMMARIZE {peer}, ratio wall {ours.wall_s / peer.wall_s:.2f}, "
        f"CPU {ours.cpu_s / peer.cpu_s:.2f} ({given.columns} columns × {rows} rows, two files)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--columns", type=int, default=500)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--group-rows", type=int, default=100_000, help="rows of a row group")
    parser.add_argument("--runs", type=int, default=1)
    given = parser.parse_args()
    for rows in given.rows:
        print(measured(given, rows), flush=True)


if __name__ == "__main__":
    main()
