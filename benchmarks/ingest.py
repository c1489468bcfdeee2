"""An ingest against aria2 and `rclone copyurl`: the same list from the same server on this machine.

    python benchmarks/ingest.py [--files N] [--size-mib N] [--at-once N] [--line-mib N] [--runs N]

Ours is a whole worker process from its start to the stored ledger, with three digests of every byte and a row for
every file; the others store the bytes and compute nothing. The probe is not part of it. Files lie in the page cache
of the server, which sends them by sendfile(2) and shares the processors with whoever is measured. Its line carries
so many MiB a second in all (112 is a gigabit). With 0 it is as fast as loopback, and then MD5 decides: the three
digests alone take more time than aria2 takes for all. The best of N runs counts for each side. Prints one line a
peer; the goal is a wall ratio of at most 1.2 to the better one.
"""

import argparse
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MIB = 1 << 20
BLOCK = 1 << 19
IDENTIFIER = "ca_example-2021A000011124_d4c-datapkg-foundation_2022_benchmark"
PREPARE = """
import sys, django
django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.utils import timezone
from catalog.storage.connect import own_storage
from releases.ingest.begin import IngestEntry, begin_ingest
from releases.ingest.steer import start_ingest
from releases.jobs import engine
call_command("migrate", verbosity=0)
by = get_user_model().objects.create_superuser("benchmark")
entry = IngestEntry(sys.argv[1], "urls", text=open(sys.argv[2]).read(), concurrency=int(sys.argv[3]))
ingest = begin_ingest(entry, by=by, storage=own_storage(), now=timezone.now())
engine.drain(600)
ingest.refresh_from_db()
start_ingest(ingest, by=by)
"""
WORK = """
import django
django.setup()
from releases.jobs import engine
from releases.models import Ingest
engine.drain(3600)
assert Ingest.objects.get().state == "done", Ingest.objects.get().state
"""


class Line:
    """What all connections of a server carry together."""

    def __init__(self, bytes_s: int) -> None:
        self.bytes_s, self.free_s, self.lock = bytes_s, 0.0, threading.Lock()

    def carry(self, length: int) -> None:
        """Wait until the line has carried so many bytes more."""
        if self.bytes_s:
            with self.lock:
                self.free_s = max(self.free_s, time.monotonic()) + length / self.bytes_s
                wait_s = self.free_s - time.monotonic()
            time.sleep(max(0.0, wait_s))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = Path()
    line = Line(0)

    def log_message(self, *words: Any) -> None:
        """Keep the line of the result alone."""

    def do_HEAD(self) -> None:
        self.head(self.folder / self.path.lstrip("/"))

    def do_GET(self) -> None:
        path = self.folder / self.path.lstrip("/")
        self.head(path)
        with path.open("rb") as file:
            while self.line.carry(BLOCK) or self.connection.sendfile(file, file.tell(), BLOCK):
                pass

    def head(self, path: Path) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(path.stat().st_size))
        self.send_header("ETag", f'"{path.name}"')
        self.end_headers()


@dataclass(frozen=True)
class Cost:
    wall_s: float
    cpu_s: float
    peak_rss_mib: int


def cost(command: list[str], environment: dict[str, str]) -> Cost:
    """Run one program with all that it starts; wall, user and system time, and peak memory of the largest."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with {process.returncode}")
    return Cost(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)


def ours(scratch: Path, listing: Path, at_once: int) -> Cost:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "dfc_site.settings",
        "DFC_SECRET_KEY": secrets.token_hex(32),
        "DFC_DATA_DIR": str(scratch / "ours"),
        "DATABASE_URL": f"sqlite:///{scratch / 'ours' / 'dfc.sqlite3'}",
        "DFC_PRIVATE_NETWORKS": "127.0.0.0/8",
        "DFC_INGEST_PER_HOST": str(at_once),
        "PYTHONPATH": str(ROOT),
    }
    (scratch / "ours").mkdir()
    prepare = [sys.executable, "-c", PREPARE, IDENTIFIER, str(listing), str(at_once)]
    subprocess.run(prepare, env=environment, cwd=ROOT, check=True)
    return cost([sys.executable, "-c", WORK], environment)


def aria2(scratch: Path, listing: Path, at_once: int) -> Cost:
    words = ["-q", "-i", str(listing), f"-j{at_once}", "-d", str(scratch / "aria2"), "--file-allocation=none"]
    return cost(["aria2c", *words], dict(os.environ))


def rclone(scratch: Path, listing: Path, at_once: int) -> Cost:
    """`copyurl` takes one address; so as many run side by side as files are fetched at once."""
    target = scratch / "rclone"
    target.mkdir()
    command = f"xargs -P {at_once} -I{{}} rclone copyurl --auto-filename {{}} '{target}' < '{listing}'"
    return cost(["bash", "-euc", command], {**os.environ, "RCLONE_CONFIG": os.devnull})


def best(side: Callable[[Path, Path, int], Cost], listing: Path, at_once: int, runs: int) -> Cost:
    found = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="ingest-") as scratch:
            found.append(side(Path(scratch), listing, at_once))
    return min(found, key=lambda one: one.wall_s)


def serve(folder: Path, line_mib: int) -> tuple[int, str]:
    """Serve a folder from a process of its own; gives the process and the address."""
    Handler.folder, Handler.line = folder, Line(line_mib * MIB)
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MIB)
    pid = os.fork()
    if not pid:
        server.serve_forever()
        os._exit(0)
    address = f"http://127.0.0.1:{server.server_port}"
    server.server_close()
    return pid, address


def write_files(folder: Path, files: int, size_mib: int) -> None:
    for number in range(files):
        with (folder / f"{number}.bin").open("wb") as file:
            for _ in range(size_mib):
                file.write(secrets.token_bytes(MIB))


def line(name: str, mine: Cost, theirs: Cost, note: str) -> str:
    return (
        f"ingest against {name}: ours {mine.wall_s:.2f} s wall / {mine.cpu_s:.2f} s CPU, "
        f"peer {theirs.wall_s:.2f} s wall / {theirs.cpu_s:.2f} s CPU, "
        f"ratio wall {mine.wall_s / theirs.wall_s:.2f}, CPU {mine.cpu_s / theirs.cpu_s:.2f}, "
        f"peak RSS {mine.peak_rss_mib} MiB ({note})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--size-mib", type=int, default=20)
    parser.add_argument("--at-once", type=int, default=12)
    parser.add_argument("--line-mib", type=int, default=112)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    peers = {"aria2c": aria2, "rclone": rclone}
    with tempfile.TemporaryDirectory(prefix="upstream-") as name:
        folder = Path(name)
        write_files(folder, given.files, given.size_mib)
        pid, address = serve(folder, given.line_mib)
        try:
            listing = folder / "list.txt"
            listing.write_text("".join(f"{address}/{number}.bin\n" for number in range(given.files)))
            mine = best(ours, listing, given.at_once, given.runs)
            for program, side in peers.items():
                if shutil.which(program) is None:
                    print(f"ingest against {program}: it is not installed here")
                    continue
                speed = f"{given.line_mib} MiB/s" if given.line_mib else "loopback"
                note = f"{given.files} files of {given.size_mib} MiB, {given.at_once} at once, {speed}"
                print(line(program, mine, best(side, listing, given.at_once, given.runs), note), flush=True)
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
