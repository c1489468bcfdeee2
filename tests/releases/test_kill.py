"""Real workers are killed while they work: every job ends, and nothing happens twice, is lost, or outlives them."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db.models import QuerySet

from dfc_site.pipelines import PIPELINES
from releases.jobs import engine, registry
from releases.models import Job, Step
from tests.chaos import deeds
from tests.chaos.service import Ledger, Service
from tests.chaos.workers import Workers, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.django_db(transaction=True)]
SEED = 20260301


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.txt")


@pytest.fixture
def workers(ledger: Ledger, tmp_path: Path, transactional_db: None) -> Iterator[Workers]:
    """Declare the test's pipelines here and in the workers, which are not yet started; afterwards none is left."""
    registry.declare((*PIPELINES, *deeds.PIPELINES))
    User.objects.create_user(deeds.PERSON)
    service = Service(ledger, SEED)
    started = Workers(
        tmp_path / "workers.log",
        settings_module="tests.chaos.settings",
        CHAOS_LEDGER=str(ledger.path),
        CHAOS_SERVICE=service.address,
    )
    yield started
    started.end()
    service.close()
    registry.declare(PIPELINES)


class Jobs:
    """Starts jobs while workers are killed, so that there is always something to interrupt."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.started = 0

    def refill(self) -> None:
        open_jobs = Job.objects.filter(pipeline="chaos", state=Job.State.OPEN).count()
        for _ in range(self.at_once - open_jobs):
            self.started += 1
            for _click in range(2):
                engine.start(f"job-{self.started}", "chaos", self.started)

    def all_ended(self) -> bool:
        return not ours().filter(state=Job.State.OPEN).exists()


def survive(workers: Workers, ledger: Ledger, *, kills: int) -> None:
    """Kill so many times, let all jobs end, and hold every promise against what the outside has seen."""
    jobs = Jobs(at_once=3)
    workers.start()
    workers.kill(kills, random.Random(SEED), meanwhile=jobs.refill)
    wait_until(jobs.all_ended, f"jobs are still open\n{workers.words()}")
    every_job_is_done()
    no_effect_is_lost_or_doubled(ledger, jobs.started)
    no_unit_is_lost(ledger, jobs.started)
    no_row_is_lost_or_doubled(jobs.started)
    assert workers.stop() == 0, workers.words()
    workers.wait_for_silence()


def ours() -> QuerySet[Job]:
    """Give the jobs of this test; the supervisor starts real ones that come back every period."""
    return Job.objects.filter(pipeline__in=[pipeline.name for pipeline in deeds.PIPELINES])


def every_job_is_done() -> None:
    unfinished = Step.objects.filter(job__in=ours()).exclude(state=Step.State.DONE)
    assert list(unfinished.values_list("job__key", "label", "state", "error")) == []
    assert set(ours().values_list("state", flat=True)) == {Job.State.DONE}


def no_effect_is_lost_or_doubled(ledger: Ledger, jobs: int) -> None:
    made = Counter(words[0] for _, words in ledger.lines("made"))
    subjects = {job: (job * deeds.BESIDE, job * deeds.BESIDE + 1) for job in range(1, jobs + 1)}
    expected = {f"job-{job}-{subject}" for job, pair in subjects.items() for subject in pair}
    expected |= {f"part-{first}-{first * deeds.BESIDE}" for first, _ in subjects.values()}
    assert made == dict.fromkeys(expected, 1)


def no_unit_is_lost(ledger: Ledger, jobs: int) -> None:
    """A unit is done again only if its worker was killed between the unit and its checkpoint."""
    counted = Step.objects.filter(function="tests.chaos.deeds.count")
    done = Counter(words[0] for _, words in ledger.lines("unit"))
    assert counted.count() == jobs * (deeds.BESIDE + 1)
    units = {(words[0], words[1]) for _, words in ledger.lines("unit")}
    assert len(units) == len(done) * deeds.UNITS
    again = sum(done.values()) - len(units)
    assert again <= sum(step.fence - 1 for step in counted)


def no_row_is_lost_or_doubled(jobs: int) -> None:
    rows = Counter(LogEntry.objects.values_list("object_id", flat=True))
    expected = {str(job * deeds.BESIDE + order) for job in range(1, jobs + 1) for order in range(deeds.BESIDE)}
    assert rows == dict.fromkeys(expected, 1)


def test_five_kills_lose_nothing_and_double_nothing(workers: Workers, ledger: Ledger) -> None:
    survive(workers, ledger, kills=5)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_five_hundred_kills_lose_nothing_and_double_nothing(workers: Workers, ledger: Ledger) -> None:
    survive(workers, ledger, kills=500)


def test_nothing_outlives_a_supervisor_that_is_killed_while_its_cluster_starts(workers: Workers) -> None:
    workers.start()
    wait_until(workers.below, f"no cluster was started\n{workers.words()}")
    workers.supervisor.kill()
    workers.supervisor.wait()
    workers.wait_for_silence()


def test_a_stop_lets_steps_yield_and_their_programs_end(workers: Workers) -> None:
    job = engine.start("endless", "endless", 1)
    workers.start()
    wait_until(lambda: job.steps.exclude(checkpoint="").exists(), f"the step does not run\n{workers.words()}")
    assert workers.stop() == 0
    step = job.steps.get()
    assert (step.state, step.attempts, step.error) == (Step.State.DUE, 0, "")
    assert not job.events.exists()
    assert "did not end in" not in workers.words()
    workers.wait_for_silence()


def test_a_step_that_kills_its_worker_is_tried_so_often_and_no_more(workers: Workers) -> None:
    workers.environment["DFC_ATTEMPTS"] = "2"
    job = engine.start("deadly", "deadly", 1)
    workers.start()
    wait_until(lambda: Job.objects.filter(pk=job.pk, state=Job.State.FAILED).exists(), "the step is tried for ever")
    step = job.steps.get()
    assert step.attempts == 2
    assert "killed in attempt 2 of this step, the last one" in step.error
    assert workers.stop() == 0
