"""A worker that is killed in the middle of a long upload: what was sent is not sent again, and memory stays flat.

The long file goes to a server that takes all and keeps nothing (benchmarks/null_s3.py), since the real one takes
20 MB a second; a shorter one goes to the real one, where its bytes are compared.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from mirrors.backends.base import Draft
from tests.mirrors.s3_mirrors import new_mirror
from tests.mirrors.uploads import upload, whole
from tests.releases.processes import PEAK_KIB, eventually
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY, S3Server

ROOT = Path(__file__).resolve().parents[2]
MIB, GIB = 1 << 20, 1 << 30
MOST_KIB = 300 * 1024
WORKER = """
import json, os, sys
from dataclasses import replace
from pathlib import Path
import django
django.setup()
from catalog.storage.files import read_file
from mirrors.backends.base import Draft, Upload
from mirrors.backends.s3 import S3Mirror
from mirrors.connect import open_s3
from mirrors.models import Mirror

said = json.loads(sys.argv[1])
note, path = Path(said["note"]), Path(said["path"])

class Kept:
    def load(self):
        return json.loads(note.read_text()) if note.exists() else {}
    def save(self, checkpoint, *, is_headway=False):
        note.with_suffix(".new").write_text(json.dumps(checkpoint))
        note.with_suffix(".new").rename(note)

opened = open_s3(Mirror(slug="far", kind="s3", public_url="https://far.example.org", **said["mirror"]))
mirror = S3Mirror(opened.objects.service, replace(opened.place, **said["place"]), scratch=Path(said["scratch"]))
def source(start):
    return read_file(path, start)
one = Upload("long.bin", path.stat().st_size, said["sha256"], "", "application/octet-stream", source)
one = replace(one, file=path if said["is_file"] else None)
mirror.put(Draft("key", "key"), one, checkpoint=Kept(), progress=lambda done: print(done, flush=True))
print({peak})
""".replace("{peak}", PEAK_KIB)


class Worker:
    """A process that puts one file; it can be killed and started again."""

    def __init__(self, folder: Path, path: Path, *, is_file: bool, sha256: str, mirror: dict[str, object]) -> None:
        place = mirror.pop("place", {})
        said = {"note": str(folder / "note.json"), "path": str(path), "scratch": str(folder / "scratch")}
        self.words = json.dumps(said | {"is_file": is_file, "sha256": sha256, "mirror": mirror, "place": place})
        self.progress = folder / "progress.txt"

    @contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        keys = {"DFC_MIRROR_FAR_ACCESS_KEY_ID": ACCESS_KEY, "DFC_MIRROR_FAR_SECRET_ACCESS_KEY": SECRET_KEY}
        ours = {"DJANGO_SETTINGS_MODULE": "dfc_site.settings", "PYTHONPATH": str(ROOT), **keys}
        with self.progress.open("wb") as out:
            words = [sys.executable, "-c", WORKER, self.words]
            process = subprocess.Popen(words, cwd=ROOT, stdout=out, env={**os.environ, **ours})
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def told(self) -> list[int]:
        return [int(line) for line in self.progress.read_text().splitlines()]

    def killed_at(self, done_bytes: int) -> int:
        """Run until so many bytes are done, and kill it; gives its peak of memory in KiB."""
        with self.running() as process:
            eventually(lambda: self.told()[-1:] > [done_bytes] or process.poll() is not None, 240)
            peak = Path(f"/proc/{process.pid}/status").read_text().split("VmHWM:")[1].split()[0]
            process.send_signal(signal.SIGKILL)
        return int(peak)

    def ended(self) -> int:
        """Run to the end; gives its peak of memory in KiB."""
        with self.running() as process:
            assert process.wait(300) == 0
        return self.told()[-1]


@pytest.fixture
def null_server() -> Iterator[str]:
    words = [sys.executable, str(ROOT / "benchmarks" / "null_s3.py")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().split()[1]}"
        server.stdin.close()


def mirror_at(endpoint: str, **more: object) -> dict[str, object]:
    return {"endpoint": endpoint, "bucket": "mirrors", "region": "us-east-1", "addressing": "path", **more}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("size_gib", [1, pytest.param(20, marks=pytest.mark.long)])
def test_a_long_file_survives_two_kills_without_being_sent_again(
    null_server: str, tmp_path: Path, size_gib: int
) -> None:
    size_bytes, path = size_gib * GIB, tmp_path / "long.bin"
    with path.open("wb") as file:
        file.truncate(size_bytes)
    worker = Worker(tmp_path, path, is_file=True, sha256="0" * 64, mirror=mirror_at(null_server))
    peaks = [worker.killed_at(size_bytes // 4), worker.killed_at(size_bytes // 2), worker.ended()]
    with urlopen(f"{null_server}/counts") as answer:
        counts = json.load(answer)
    assert size_bytes <= counts["bytes"] <= 1.05 * size_bytes
    assert counts["open"] == 0
    with urlopen(Request(f"{null_server}/mirrors/key/long.bin", method="HEAD")) as answer:
        assert int(answer.headers["Content-Length"]) == size_bytes
    assert max(peaks) < MOST_KIB


@pytest.mark.s3
@pytest.mark.timeout(300)
@pytest.mark.parametrize("is_file", [True, False], ids=["file", "stream"])
def test_what_two_kills_left_becomes_the_same_bytes(s3: S3Server, tmp_path: Path, *, is_file: bool) -> None:
    content, path = os.urandom(1 << 16) * 200, tmp_path / "long.bin"
    path.write_bytes(content)
    here = new_mirror(s3, tmp_path, prefix=f"kill-{is_file}/".lower())
    place = {"place": {"part_bytes": MIB}}
    mirror = mirror_at(s3.endpoint, prefix=here.place.prefix, **place)
    worker = Worker(tmp_path, path, is_file=is_file, sha256=upload(content).sha256, mirror=mirror)
    for done in (3 * MIB, 7 * MIB):
        worker.killed_at(done)
    worker.ended()
    assert worker.told()[0] > 7 * MIB
    assert whole(here, here.locator(Draft("key", "key"), "long.bin")) == content
