"""Pipelines for workers that are killed: each kind of step that a real one has, with effects that are counted.

The ledger and the service are found through the environment, which a worker has from its test.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import User

from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.jobs.registry import Pipeline, Stage, StepSpec
from tests.chaos.service import Ledger, ask

UNITS = 6
UNIT_S = 0.03
CALL_S = 2.0  # with the lease of 2 s there are 1.5 s to spare after the slowest call is seen
PERSON = "chaos"
BESIDE = 2  # steps of a stage that run beside each other


def ledger() -> Ledger:
    return Ledger(Path(os.environ["CHAOS_LEDGER"]))


def count(step: StepContext, subject: int) -> None:
    """Do units of work, each noted outside, with a checkpoint after each."""
    book = ledger()
    for unit in range(step.load().get("done", 0), UNITS):
        book.add("unit", f"{step.job_key}/{subject}", unit)
        time.sleep(UNIT_S)
        step.save({"done": unit + 1})
        step.progress(done_units=unit + 1, total_units=UNITS)


def call(step: StepContext, subject: int) -> None:
    """Make one thing at the service, exactly once."""
    address, key = os.environ["CHAOS_SERVICE"], f"{step.job_key}-{subject}"

    def make() -> str:
        return ask(address, "POST", key, timeout_s=CALL_S) or ""

    step.effect("thing", find=lambda: ask(address, "GET", key, timeout_s=CALL_S), call=make, timeout_s=CALL_S)


def write_row(step: StepContext, subject: int) -> None:
    """Write one local row, exactly once, in the transaction that ends the step."""
    with step.finish():
        user = User.objects.get(username=PERSON)
        LogEntry.objects.create(user=user, object_id=str(subject), object_repr="row", action_flag=ADDITION)
        time.sleep(UNIT_S)


def await_part(step: StepContext, subject: int) -> None:
    """Start another job and wait for it."""
    engine.start(f"part-{subject}", "part", subject)
    step.wait_for(f"part-{subject}")


def go_on_and_on(step: StepContext, _subject: int) -> None:
    """Work until told to stop, with a program in between, as a build has."""
    for unit in range(step.load().get("done", 0), 10_000):
        subprocess.run(["sleep", "0.1"], check=True)
        step.save({"done": unit + 1})


def kill_worker(_step: StepContext, _subject: int) -> None:
    """Do what a crash in a library or the kernel's lack of memory does."""
    os.kill(os.getpid(), signal.SIGKILL)


def stage(function: str, *, beside: int = 1) -> Stage:
    """Make a stage of one function; keys of its steps are unique among all jobs with other subjects."""
    name = f"tests.chaos.deeds.{function}"
    return Stage(function, function, specs(name, beside), (name,))


def specs(name: str, beside: int) -> Callable[[int], Sequence[StepSpec]]:
    return lambda subject: [
        StepSpec(name, subject * BESIDE + order, f"{name.rpartition('.')[2]} {order}") for order in range(beside)
    ]


PIPELINES = (
    Pipeline(
        "chaos",
        (
            stage("count", beside=BESIDE),
            stage("call", beside=BESIDE),
            stage("await_part"),
            stage("write_row", beside=BESIDE),
        ),
    ),
    Pipeline("part", (stage("call"), stage("count"))),
    Pipeline("endless", (stage("go_on_and_on"),)),
    Pipeline("deadly", (stage("kill_worker"),)),
)
