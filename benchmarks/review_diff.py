"""The review diff of two wide and long Parquet files against DuckDB's SUMMARIZE of both.

    python benchmarks/review_diff.py [--columns N] [--rows N] [--runs N]

Every side runs in a process of its own, with two threads, on the same files in the page cache; the best of N runs
counts. SUMMARIZE gives the facts of each column alone: not the schema's changes, nor which keys came and went.
Prints one line.
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
from pyarrow import parquet

ROOT = Path(__file__).resolve().parents[1]
GROUP_ROWS = 50_000
OURS = """
import sys
from pathlib import Path
from releases.diff.tables import compare_tables
found = compare_tables(Path(sys.argv[1]), Path(sys.argv[2]), suffix=".parquet")
assert found.rows.key is not None and len(found.columns) == int(sys.argv[3])
"""
PEER = """
import sys
import duckdb
connection = duckdb.connect(config={"threads": 2})
connection.execute("SET enable_progress_bar = false")
for path in sys.argv[1:3]:
    assert len(connection.execute(f"SUMMARIZE SELECT * FROM read_parquet('{path}')").fetchall()) == int(sys.argv[3])
"""


@dataclass(frozen=True)
class Cost:
    wall_s: float
    cpu_s: float
    peak_rss_mib: int


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


def write(path: Path, columns: int, rows: int, seed: int) -> None:
    """Write a key and columns of numbers, fractions and short texts, in row groups."""
    random = np.random.default_rng(seed)
    writer = None
    for start in range(0, rows, GROUP_ROWS):
        count = min(GROUP_ROWS, rows - start)
        table = pa.table({"id": np.arange(start, start + count)} | values(random, columns - 1, count))
        writer = writer or parquet.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def values(random: np.random.Generator, columns: int, count: int) -> dict[str, pa.Array]:
    makers = (
        lambda: pa.array(random.integers(0, 1000, count)),
        lambda: pa.array(random.integers(0, 50_000, count) / 7),
        lambda: pa.array(random.integers(0, 100, count)).cast(pa.string()),
        lambda: pa.array(random.integers(0, 10**9, count)),
    )
    return {f"c{place}": makers[place % len(makers)]() for place in range(columns)}


def write_apart(*arguments: object) -> None:
    """Write in a process of its own: a child counts the memory of whoever started it as its own peak."""
    process = get_context("spawn").Process(target=write, args=arguments)
    process.start()
    process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--columns", type=int, default=500)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{seed}.parquet") for seed in (1, 2)]
        for seed, path in enumerate(paths):
            write_apart(path, given.columns, given.rows, seed)
        arguments = (*map(str, paths), str(given.columns))
        ours, peer = (
            min((cost(program, *arguments) for _ in range(given.runs)), key=lambda each: each.wall_s)
            for program in (OURS, PEER)
        )
    print(
        f"review diff: ours {ours.wall_s:.2f} s wall / {ours.cpu_s:.2f} s CPU / {ours.peak_rss_mib} MiB, "
        f"peer SUMMARIZE {peer.wall_s:.2f} s wall / {peer.cpu_s:.2f} s CPU / {peer.peak_rss_mib} MiB, "
        f"ratio wall {ours.wall_s / peer.wall_s:.2f} ({given.columns} columns × {given.rows} rows, two files)"
    )


if __name__ == "__main__":
    main()
