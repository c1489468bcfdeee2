"""One-pass digests against openssl sha256, md5sum, openssl sha1 and libtorrent (hybrid) one after another.

    python benchmarks/hashing.py [SIZE_GIB] [--runs N]

Every side runs in a process of its own, on the same file of random bytes in the page cache; the best of N
runs counts on both sides (whole sequences are compared, not their best parts). Prints one line.
"""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MIB = 1024 * 1024
OURS = "import sys; from pathlib import Path; from catalog.digests import digest_file; digest_file(Path(sys.argv[1]))"
LIBTORRENT = """
import os, sys
import libtorrent
creator = libtorrent.create_torrent(libtorrent.list_files(sys.argv[1]), int(sys.argv[2]))
libtorrent.set_piece_hashes(creator, os.path.dirname(sys.argv[1]))
creator.generate()
"""


@dataclass(frozen=True)
class Cost:
    wall_s: float
    cpu_s: float
    peak_rss_mib: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.wall_s + other.wall_s,
            self.cpu_s + other.cpu_s,
            max(self.peak_rss_mib, other.peak_rss_mib),
        )


def cost(*command: str) -> Cost:
    """Run one program to its end; wall, user and system time, and peak memory of it alone."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with {process.returncode}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)


def ours(path: str) -> Cost:
    return cost(sys.executable, "-c", OURS, path)


def peer(path: str) -> Cost:
    commands = (
        ("openssl", "dgst", "-sha256", path),
        ("md5sum", path),
        ("openssl", "dgst", "-sha1", path),
        (sys.executable, "-c", LIBTORRENT, path, str(16 * MIB)),
    )
    return reduce(Cost.__add__, (cost(*command) for command in commands))


def write_random(path: Path, size_mib: int) -> None:
    """Fill a file; writing it also puts it in the page cache."""
    with path.open("wb") as file:
        for _ in range(size_mib):
            file.write(secrets.token_bytes(MIB))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("size_gib", nargs="?", type=float, default=4.0)
    parser.add_argument("--runs", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "file.bin")
        write_random(path, round(arguments.size_gib * 1024))
        pairs = [(ours(str(path)), peer(str(path))) for _ in range(arguments.runs)]
    mine = min((pair[0] for pair in pairs), key=lambda each: each.wall_s)
    theirs = min((pair[1] for pair in pairs), key=lambda each: each.wall_s)
    print(
        f"hashing: ours {mine.wall_s:.2f} s wall / {mine.cpu_s:.2f} s CPU, "
        f"peer {theirs.wall_s:.2f} s wall / {theirs.cpu_s:.2f} s CPU, "
        f"ratio wall {mine.wall_s / theirs.wall_s:.2f}, CPU {mine.cpu_s / theirs.cpu_s:.2f}, "
        f"peak RSS {mine.peak_rss_mib} MiB ({arguments.size_gib:g} GiB)"
    )


if __name__ == "__main__":
    main()
