"""A worker is killed at many points of the step that compares two versions: one difference, and nothing left."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from releases.jobs import engine
from releases.models import Release, ReviewDiff, Step
from tests.chaos.workers import DIES_WITH_US, FAST, ROOT, database_url
from tests.releases.diff.editions import TOWNS, edition, newest, public
from tests.releases.recipes import author_fixture, bench_fixture  # noqa: F401  fixtures

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos]

# Functions at whose call a worker dies; from `update_or_create` on it is inside the transaction that ends the step.
POINTS = (
    "compare_release",
    "as_parquet",
    "read_facts",
    "compare_rows",
    "reading",
    "clean_environment",
    "judge",
    "update_or_create",
    "findings_of",
    "_end",
    "advance",
)
WORKERS = """
import django, os, signal, sys, time
django.setup()
from releases.jobs import engine
from releases.jobs.family import die_with

nursery = os.getpid()

def die_at(point):
    def look(frame, event, _):
        if event == "call" and frame.f_code.co_name == point:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(look)

for order in sys.stdin:
    step, point = order.split()
    worker = os.fork()
    if not worker:
        die_with(nursery)
        die_at(point)
        while not engine.run_step(int(step), has_heartbeat=False):
            time.sleep(0.05)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]), flush=True)
"""


@contextmanager
def workers(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process with all modules in memory that makes workers of itself; its temporary files go to `folder/tmp`."""
    (folder / "tmp").mkdir()
    own = {"DATABASE_URL": database_url(), "DFC_DATA_DIR": str(folder), "TMPDIR": str(folder / "tmp")}
    settings = {"DJANGO_SETTINGS_MODULE": "dfc_site.settings", "DFC_LEASE_S": "0.2"}
    command = [*DIES_WITH_US, sys.executable, "-c", WORKERS]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **FAST, **own, **settings},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        yield process


def ended(nursery: "subprocess.Popen[str]", step: Step, point: str) -> int:
    """Let a worker run the step until it reaches a point; gives how it ended."""
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    nursery.stdin.write(f"{step.pk} {point}\n")
    return int(nursery.stdout.readline())


def content(release: Release) -> tuple[str, list[tuple[Any, ...]]]:
    """Give the text of the newest difference, and the findings beside it."""
    findings = release.findings.values_list("code", "severity", "file", "place", "found", "instead")
    return newest(release).body, sorted(findings)


def test_a_comparison_whose_worker_is_killed_ends_as_if_nothing_had_happened(bench: Path, author: Any) -> None:
    public(edition(author, bench, "1.0.0"))
    release = edition(author, bench, "1.1.0", TOWNS + "4,Delta,108000\n")
    expected = content(release)
    ReviewDiff.objects.all().delete()
    step = engine.start("diff:again", "diff", release.pk).steps.get()
    left = set()
    with workers(bench) as nursery:
        for point in POINTS:
            assert ended(nursery, step, point) == -signal.SIGKILL, point
            assert not ReviewDiff.objects.exists(), point
            left |= {path.name.partition("-")[0] for path in (bench / "scratch").glob("*")}
        assert ended(nursery, step, "nowhere") == 0
    step.refresh_from_db()
    assert (step.state, step.fence) == (Step.State.DONE, len(POINTS) + 1)
    assert release.diffs.count() == 1
    assert content(release) == expected
    assert left == {"difference", "git"}
    assert [*(bench / "scratch").iterdir(), *(bench / "tmp").iterdir()] == []
