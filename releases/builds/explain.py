"""Explain where two builds differ: known causes with their remedy, and a readable report by diffoscope.

diffoscope reads what a recipe wrote, so it is confined like a recipe: no network, nothing to write but its report,
little time and memory. It is called as a program of its own and never imported.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from django.utils import timezone

from releases.build import folder_of, output_path, round_of
from releases.builds import drift
from releases.executors.base import MEBI, Execution, Limits, Task, Tick
from releases.executors.local import local_executor
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Build, Difference, KnownCause

PROGRAM = "diffoscope"
MOST_FILES = 5
MOST_INPUT_BYTES = 512 * MEBI
MOST_REPORT_BYTES = 64 * 1024
LIMITS = Limits(wall_s=300, cpu_s=240, memory_bytes=4096 * MEBI, file_bytes=1024 * MEBI)
LEAST_WALL_S, BYTES_PER_S = 40, 2 * MEBI  # now and then it stalls for ever, so small files are not waited for long
REPORTED = (0, 1)  # diffoscope's own words for: no difference, a difference


def expand_explain(release_id: int) -> Sequence[StepSpec]:
    """Give one step for each of the first differing files of the newest round; none if the builds are alike."""
    second = round_of(release_id)[-1]
    return [
        StepSpec("releases.builds.explain.explain_difference", one.pk, one.path, is_required=False)
        for one in second.differences.all()[:MOST_FILES]
    ]


def explain_difference(step: StepContext, difference_id: int) -> None:
    """Write the causes and the report of one differing file. Safe to run twice."""
    difference = Difference.objects.select_related("build__release").get(pk=difference_id)
    first = Build.objects.get(
        release=difference.build.release, purpose=difference.build.purpose, round=difference.build.round, number=1
    )
    paths = [output_path(build, difference.path) for build in (first, difference.build)]
    if not all(path.is_file() for path in paths):
        report, without, advice = "", "The files are not there any more; build again.", []
    else:
        advice = drift.advise(*paths)
        report, without = reported(first, difference, tick=partial(step.progress, done_units=0, total_units=1))
    with step.finish():
        difference.report, difference.without_report = report, without
        difference.explained_at = timezone.now()
        difference.save()
        difference.causes.all().delete()
        KnownCause.objects.bulk_create(
            KnownCause(difference=difference, cause=one.cause, found=one.found[:400]) for one in advice
        )


def reported(first: Build, difference: Difference, *, tick: Tick) -> tuple[str, str]:
    """Let diffoscope compare; gives its report, or no text and why there is none."""
    builds = (first, difference.build)
    program = shutil.which(PROGRAM)
    if program is None:
        return "", "diffoscope is not installed on the worker. Install diffoscope-minimal, and build again."
    size_bytes = sum(output_path(build, difference.path).stat().st_size for build in builds)
    if size_bytes > MOST_INPUT_BYTES:
        return "", f"The files are together larger than {MOST_INPUT_BYTES // MEBI} MiB; compare them yourself."
    limits = replace(LIMITS, wall_s=min(LIMITS.wall_s, LEAST_WALL_S + size_bytes / BYTES_PER_S))
    place = folder_of(first).parent
    with tempfile.TemporaryDirectory(prefix="explain-", dir=place) as scratch:
        out = Path(scratch) / "out"
        out.mkdir()
        task = Task(
            command=(program, *words(out, limits), *(shown(build, difference.path) for build in builds)),
            code=place,
            inputs=(),
            out=out,
            log=Path(scratch) / "log.txt",
            environment={"TZ": "UTC", "LC_ALL": "C.UTF-8"},
            limits=limits,
        )
        execution = compared(task, tick)
        text = read(out / "report.txt")
        if execution.exit_code in REPORTED and text:
            return text, ""
        ended = "took too long" if execution.exit_code is None else f"ended with {execution.exit_code}"
        return text, f"diffoscope {ended}: {read(task.log)[-200:]}"[:400]


def compared(task: Task, tick: Tick) -> Execution:
    """Run diffoscope; once more where it stalled over files that are too small for so long a time."""
    execution = local_executor().run(task, tick=tick)
    if execution.exit_code is None and task.limits.wall_s < LIMITS.wall_s:
        return local_executor().run(task, tick=tick)
    return execution


def words(out: Path, limits: Limits) -> tuple[str, ...]:
    return (
        *("--no-progress", "--text", str(out / "report.txt"), "--text-color", "never"),
        *("--max-text-report-size", str(MOST_REPORT_BYTES), "--max-diff-block-lines", "80"),
        *("--exclude-directory-metadata", "yes", "--timeout", str(int(limits.wall_s / 2))),
    )


def shown(build: Build, path: str) -> str:
    """Name a file as the report shall: by its build and its path, not by the folders of this machine."""
    return str(output_path(build, path).relative_to(folder_of(build).parent))


def read(path: Path) -> str:
    """Give the beginning of a text as every database takes it; empty if there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(MOST_REPORT_BYTES).decode(errors="replace").replace("\0", "�")
