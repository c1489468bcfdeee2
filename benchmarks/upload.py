"""Our upload to S3 against rclone and obstore: the same file, the same server that takes all and keeps nothing.

    python benchmarks/upload.py [SIZE_GIB] [--runs N] [--part-mib N]

Ours is the S3 mirror's put in a fresh Python, as a worker does it: each part hashed for the service to check, the
upload noted to go on after a kill, never over what is there. The others do what they do by themselves: rclone with an
MD5 of the file and of each part, obstore with signed parts. All send parts of the same length (ours are never longer
than a 128th of the file) from a file in the page cache; ours has three under way, the others have four. Each side
runs N times in turn, and the median counts; what Python needs to start and import is in neither of ours and obstore.
Prints one line a peer; the goal is a wall ratio of at most 1.05 to the better one.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MIB = 1 << 20
AT_ONCE = 4
MEASURED = """
import json, os, resource, sys, time
def told(began):
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([time.perf_counter() - began[0], usage.ru_utime + usage.ru_stime - began[1], usage.ru_maxrss]))
def start():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), usage.ru_utime + usage.ru_stime
endpoint, path, name, size_bytes, part_bytes, sha256 = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6]
"""
OURS = (
    MEASURED
    + """
from pathlib import Path
from django.conf import settings
settings.configure()
from catalog.storage.client import Service
from catalog.storage.files import read_file
from mirrors.backends.base import Draft, Upload
from mirrors.backends.s3 import S3Mirror
from mirrors.backends.s3_words import S3Place
class Kept:
    saved = {}
    def load(self): return self.saved
    def save(self, checkpoint): self.saved = checkpoint
service = Service(endpoint, "us-east-1", "path", "key", "secret")
place = S3Place("null", "bucket", "", "http://null", "", part_bytes=part_bytes)
mirror = S3Mirror(service, place, scratch=Path(path).parent)
file = Path(path) if os.environ.get("FROM_FILE", "1") == "1" else None
source = lambda start: read_file(Path(path), start)
upload = Upload(name, size_bytes, sha256, "", "application/octet-stream", source, file)
mirror.objects.client
began = start()
mirror.put(Draft("ours", "ours"), upload, checkpoint=Kept(), progress=lambda done: None)
told(began)
"""
)
OBSTORE = (
    MEASURED
    + f"""
from obstore.store import S3Store
import obstore
store = S3Store("bucket", endpoint=endpoint, region="us-east-1", access_key_id="key", secret_access_key="secret",
    client_options={{"allow_http": True}}, virtual_hosted_style_request=False)
from pathlib import Path
began = start()
words = {{"use_multipart": True, "chunk_size": part_bytes, "max_concurrency": {AT_ONCE}}}
obstore.put(store, "obstore/" + name, Path(path), **words)
told(began)
"""
)


@dataclass(frozen=True)
class Cost:
    wall_s: float
    cpu_s: float
    peak_rss_mib: int


@dataclass(frozen=True)
class File:
    """What is uploaded, and where to."""

    endpoint: str
    path: Path
    sha256: str
    size_bytes: int
    part_bytes: int


def in_python(program: str, file: File, name: str) -> Cost:
    sizes = (str(file.size_bytes), str(file.part_bytes))
    words = [sys.executable, "-c", program, file.endpoint, str(file.path), name, *sizes, file.sha256]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    if done.returncode:
        raise SystemExit(done.stderr)
    wall_s, cpu_s, rss_kib = json.loads(done.stdout)
    return Cost(wall_s, cpu_s, rss_kib // 1024)


def with_rclone(file: File, name: str) -> Cost:
    """Copy with rclone, whose start takes some hundredths of a second and is part of it."""
    settings = "provider=Other,env_auth=false,access_key_id=key,secret_access_key=secret,region=us-east-1"
    remote = f":s3,{settings},endpoint='{file.endpoint}':bucket/rclone/{name}"
    parts = [f"--s3-chunk-size={file.part_bytes // MIB}Mi", f"--s3-upload-concurrency={AT_ONCE}"]
    words = ["rclone", "copyto", str(file.path), remote, "--s3-no-check-bucket", "--retries=1", *parts]
    environment = {"PATH": os.environ["PATH"], "RCLONE_CONFIG": os.devnull}
    started = time.perf_counter()
    process = subprocess.Popen(words, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"rclone failed with {process.returncode}")
    return Cost(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)


def once(side: str, file: File, name: str) -> Cost:
    if side == "rclone":
        return with_rclone(file, name)
    return in_python(OURS if side == "ours" else OBSTORE, file, name)


@contextmanager
def null_server() -> Iterator[str]:
    words = [sys.executable, str(ROOT / "benchmarks" / "null_s3.py")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().split()[1]}"
        server.stdin.close()


def write_random(path: Path, size_bytes: int) -> str:
    """Fill a file, which also puts it in the page cache; gives its sha256."""
    digest, block = hashlib.sha256(), os.urandom(64 * MIB)
    with path.open("wb") as file:
        while left := size_bytes - file.tell():
            file.write(block[:left])
            digest.update(block[:left])
    return digest.hexdigest()


def middle(costs: list[Cost]) -> Cost:
    """Give the medians, and the largest peak."""
    return Cost(
        statistics.median(one.wall_s for one in costs),
        statistics.median(one.cpu_s for one in costs),
        max(one.peak_rss_mib for one in costs),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("size_gib", nargs="?", type=float, default=4.0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--part-mib", type=int, default=32)
    parser.add_argument("--only", action="append", help="of ours, rclone and obstore; may be repeated")
    arguments = parser.parse_args()
    sides = arguments.only or ["ours", "rclone", "obstore"]
    if "rclone" in sides and not shutil.which("rclone"):
        raise SystemExit("rclone is not there. Install it, or say --only ours --only obstore.")
    with tempfile.TemporaryDirectory() as folder, null_server() as endpoint:
        path, size_bytes = Path(folder, "file.bin"), round(arguments.size_gib * 1024) * MIB
        file = File(endpoint, path, write_random(path, size_bytes), size_bytes, arguments.part_mib * MIB)
        runs = [{side: once(side, file, f"{run}.bin") for side in sides} for run in range(arguments.runs)]
    costs = {side: middle([run[side] for run in runs]) for side in sides}
    tell(costs, arguments.size_gib)


def tell(costs: dict[str, Cost], size_gib: float) -> None:
    mine = costs.pop("ours")
    print(f"upload: ours {mine.wall_s:.2f} s wall / {mine.cpu_s:.2f} s CPU, peak RSS {mine.peak_rss_mib} MiB")
    for name, peer in costs.items():
        print(
            f"upload: ours {mine.wall_s:.2f} s wall / {mine.cpu_s:.2f} s CPU, "
            f"{name} {peer.wall_s:.2f} s wall / {peer.cpu_s:.2f} s CPU, "
            f"ratio wall {mine.wall_s / peer.wall_s:.2f}, CPU {mine.cpu_s / peer.cpu_s:.2f}, "
            f"peak RSS {mine.peak_rss_mib} against {peer.peak_rss_mib} MiB ({size_gib:g} GiB)"
        )


if __name__ == "__main__":
    main()
