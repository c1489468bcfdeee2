"""Many files from a bad server by a worker that is killed on the way: the result is the same, and memory is flat."""

import hashlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.conf import settings

from catalog.storage.connect import own_storage
from releases.ingest.ledger import ledger_keys
from releases.ingest.steer import start_ingest
from releases.models import Ingest, IngestFile
from tests.chaos.workers import DIES_WITH_US, FAST, ROOT, database_url, wait_until
from tests.fakes.upstream import Upstream, content_of, upstream
from tests.releases.ingests import curator, listed, probed
from tests.releases.processes import PEAK_KIB

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos]

MIB = 1 << 20
MOST_KIB = 250 * 1024
KILLS = 10
FAULTS = ("", "reset", "", "500", "truncate", "", "429:0", "wrong-length", "slow:0.05", "503:0.1", "short-length")
NURSERY = f"""
import django, os, sys
django.setup()
from releases.jobs import engine
from releases.jobs.family import die_with

nursery = os.getpid()
for order in sys.stdin:
    worker = os.fork()
    if not worker:
        die_with(nursery)
        engine.drain(float(order))
        print({PEAK_KIB}, flush=True)
        os._exit(0)
    print(worker, flush=True)
    os.waitpid(worker, 0)
"""


@pytest.fixture
def server(settings: Any, tmp_path: Path) -> Iterator[Upstream]:
    settings.DFC_STORAGE_DIR = tmp_path / "data" / "storage"
    with upstream() as found:
        yield found


class Nursery:
    """A process that has all modules in memory and makes workers of itself, one after another."""

    def __init__(self) -> None:
        environment = {
            **os.environ,
            **FAST,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "dfc_site.settings",
            "DFC_DATA_DIR": str(Path(settings.DFC_STORAGE_DIR).parent),
            "DFC_INGEST_BACKOFF_S": "0.05",
            "DFC_LEASE_S": "0.3",
            "DFC_ATTEMPTS": "3",
        }
        command = [*DIES_WITH_US, sys.executable, "-c", NURSERY]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def word(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def worker(self) -> int:
        """Start a worker that runs what is due, and give its process."""
        assert self.process.stdin is not None
        self.process.stdin.write("300\n")
        return self.word()

    def close(self) -> None:
        self.process.communicate()


def survive(server: Upstream, sizes: list[int]) -> None:
    for number, size in enumerate(sizes):
        server.add(f"/{number}/tile.bin", content_of(number, size), FAULTS[number % len(FAULTS)])
    ingest = probed(listed(server), concurrency=12)
    assert set(ingest.files.values_list("finding", flat=True)) == {"reachable"}
    start_ingest(ingest, by=curator())
    nursery = Nursery()
    for turn in range(KILLS):
        worker = nursery.worker()
        wanted = len(sizes) * (turn + 1) // (KILLS + 2)
        wait_until(partial(has_stored, ingest, wanted), "no file is stored")
        os.kill(worker, signal.SIGKILL)
    nursery.worker()
    assert nursery.word() < MOST_KIB
    nursery.close()
    all_is_whole(ingest, server)


def has_stored(ingest: Ingest, more_than: int) -> bool:
    return ingest.files.filter(state=IngestFile.State.STORED).count() > more_than


def all_is_whole(ingest: Ingest, server: Upstream) -> None:
    ingest.refresh_from_db()
    assert list(ingest.files.exclude(state="stored").values_list("name", "error")) == []
    assert ingest.state == Ingest.State.DONE
    rows = list(ingest.files.order_by("position"))
    said = pq.read_table(io.BytesIO(b"".join(own_storage().read(ledger_keys(ingest)[0])))).to_pylist()
    assert [row["sha256"] for row in said] == [row.sha256 for row in rows]
    for row, file in zip(rows, server.files.values(), strict=True):
        digest = hashlib.sha256(file.content).hexdigest()
        read = hashlib.sha256(b"".join(own_storage().read(row.storage_key))).hexdigest()
        assert (row.sha256, read, row.etag) == (digest, digest, file.etag)
    found = [path for path in Path(settings.DFC_STORAGE_DIR).rglob("tile.bin*") if path.is_file()]
    assert len(found) == len(rows)


def test_ten_kills_change_nothing_in_200_files_of_300_mb(server: Upstream) -> None:
    survive(server, [300_000_000 // 200] * 200)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_kills_change_nothing_in_2000_files_of_5_gb(server: Upstream) -> None:
    survive(server, [5_000_000_000 // 2000] * 2000)
