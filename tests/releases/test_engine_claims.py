"""Claims and attempts: one worker at a time, nothing written without the fence, no attempt without end."""

import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection, transaction

from catalog.errors import PersonMustActError, TryLaterError
from releases.jobs import engine, steering
from releases.jobs.advance import lock_job
from releases.jobs.clock import backoff
from releases.jobs.context import StepContext, ask_to_stop
from releases.jobs.errors import JobRefusedError, LeaseLost, StepYielded
from releases.models import Job, Step
from tests.chaos.scripted import claim, first_step, play_for, queued, raising, run, states
from tests.releases.conftest import Capture, Moment, Start

pytestmark = pytest.mark.django_db


def test_starting_the_same_work_twice_is_the_same_as_once(start: Start) -> None:
    job = start("one", [[True, True]])
    assert engine.start("one", "scripted", job.subject) == job
    assert job.steps.count() == 2


def test_a_start_that_is_rolled_back_leaves_no_row_and_wakes_nobody(
    start: Start, django_capture_on_commit_callbacks: Capture
) -> None:
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        start("one", [[True]])
        transaction.set_rollback(True)
    assert not Job.objects.exists()
    assert queued() == []


def test_a_step_waits_until_it_is_due_and_is_held_by_one_worker(start: Start, moment: Moment) -> None:
    step = first_step(start("one", [[True]]))
    Step.objects.update(due_at=moment.now.replace(hour=13))
    assert engine.claim(step.pk) is None
    moment.forward(3600)
    assert claim(step).fence == 1
    assert engine.claim(step.pk) is None
    assert not engine.run_step(step.pk)


def refused(kind: type[BaseException], act: Callable[[], object]) -> bool:
    try:
        act()
    except kind:
        return True
    return False


def waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def beside(act: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Start something in a thread with its own connection; on PostgreSQL, until it waits for our transaction."""
    result: list[object] = []

    def acted() -> None:
        result.append(act())
        connection.close()

    thread = threading.Thread(target=acted)
    thread.start()
    while connection.vendor == "postgresql" and thread.is_alive() and not waiting_for_a_lock():
        thread.join(0.01)
    return thread, result


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_that_claim_at_the_same_moment_one_gets_the_step(start: Start) -> None:
    step = first_step(start("one", [[True]]))
    with transaction.atomic():
        mine = claim(step)
        thread, other = beside(lambda: engine.claim(step.pk))
    thread.join()
    assert other == [None]
    step.refresh_from_db()
    assert (step.fence, mine.fence) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_a_step_that_is_claimed_at_the_moment_of_a_retry_is_not_taken_away(start: Start) -> None:
    step = first_step(start("one", [[True]]))
    Step.objects.update(error="The service did not answer.")
    with transaction.atomic():
        claim(step)
        thread, other = beside(lambda: refused(JobRefusedError, lambda: steering.retry(step, by=None)))
    thread.join()
    assert other == [True]
    step.refresh_from_db()
    assert (step.state, step.fence) == (Step.State.RUNNING, 1)


@pytest.mark.parametrize(
    "end",
    [lambda step: StepContext(step).complete(), lambda step: engine.fail(step, "Refused.")],
    ids=["done", "failed"],
)
@pytest.mark.django_db(transaction=True)
def test_a_step_that_ends_while_its_job_is_stopped_waits_for_that(start: Start, end: Callable[[Step], None]) -> None:
    job = start("one", [[True]])
    step = claim(first_step(job))
    with transaction.atomic():
        lock_job(job.pk)
        thread, _ = beside(lambda: refused(LeaseLost, lambda: end(step)))
        steering.cancel(job, by=None)
    thread.join()
    assert states(job) == ["cancelled"]


def test_an_expired_lease_is_taken_over_and_the_old_worker_writes_nothing(
    start: Start, moment: Moment, settings: Any
) -> None:
    step = first_step(start("one", [[True]]))
    old = StepContext(claim(step))
    moment.forward(settings.DFC_LEASE_S)
    new = StepContext(claim(step))
    writes: list[Callable[[], None]] = [partial(old.save, {"by": "old"}), partial(old.progress, done_units=9)]
    for write in (*writes, old.complete):
        with pytest.raises(LeaseLost):
            write()
    new.complete()
    step.refresh_from_db()
    assert (step.state, step.fence, step.checkpoint, step.done_units) == (Step.State.DONE, 2, "", 0)


def test_local_rows_of_a_lost_lease_are_rolled_back(start: Start, moment: Moment, settings: Any) -> None:
    step = first_step(start("one", [[True]]))
    old = StepContext(claim(step))
    moment.forward(settings.DFC_LEASE_S)
    claim(step)
    with pytest.raises(LeaseLost), old.finish():
        Step.objects.filter(pk=step.pk).update(label="written by the old worker")
    step.refresh_from_db()
    assert step.label == "step 0.0"


def test_failures_are_tried_again_with_growing_pauses_and_then_need_a_person(
    start: Start, moment: Moment, settings: Any
) -> None:
    step = first_step(start("one", [[True]]))
    play_for(step, raising(TryLaterError("Zenodo did not answer. It is tried again.")))
    pauses = []
    for _ in range(settings.DFC_ATTEMPTS - 1):
        assert run(step).state == Step.State.DUE
        assert step.error == "Zenodo did not answer. It is tried again."
        pauses.append((step.due_at - moment.now).total_seconds())
        assert engine.claim(step.pk) is None
        moment.now = step.due_at
    assert run(step).state == Step.State.FAILED
    assert all(later > 1.5 * sooner for sooner, later in pairwise(pauses))
    assert step.job.events.filter(kind="failed").count() == settings.DFC_ATTEMPTS


def test_a_pause_is_never_longer_than_the_longest(settings: Any) -> None:
    settings.DFC_BACKOFF_S = 60
    assert backoff(1).total_seconds() >= 60
    longest_s = settings.DFC_LONGEST_BACKOFF_S
    assert longest_s <= backoff(400).total_seconds() <= longest_s * 1.2


def test_what_a_person_must_mend_is_not_tried_again(start: Start) -> None:
    job = start("one", [[True]])
    play_for(first_step(job), raising(PersonMustActError("No mirror is enabled. Enable one, then retry.")))
    step = run(first_step(job))
    assert (step.state, step.attempts) == (Step.State.FAILED, 1)
    job.refresh_from_db()
    assert job.state == Job.State.FAILED


def test_a_bug_keeps_its_name_in_characters_that_every_database_holds(start: Start) -> None:
    step = first_step(start("one", [[True]]))
    play_for(step, raising(ValueError("a\0b\udce9" + "c" * 2000)))
    assert run(step).error.startswith("ValueError: a\\x00b\\udce9ccc")
    assert len(step.error) < 1100


def test_killed_attempts_are_counted_and_the_last_one_needs_a_person(
    start: Start, moment: Moment, settings: Any
) -> None:
    job = start("one", [[True]])
    step = first_step(job)
    for _ in range(settings.DFC_ATTEMPTS):
        claim(step)
        moment.forward(settings.DFC_LEASE_S)
    assert engine.claim(step.pk) is None
    step.refresh_from_db()
    assert step.state == Step.State.FAILED
    assert step.error.startswith(f"The worker was killed in attempt {settings.DFC_ATTEMPTS} of this step")
    job.refresh_from_db()
    assert job.state == Job.State.FAILED


def test_a_worker_that_only_seemed_dead_cannot_fail_the_retried_step(
    start: Start, moment: Moment, settings: Any
) -> None:
    settings.DFC_ATTEMPTS = 1
    step = first_step(start("one", [[True]]))
    slow = claim(step)
    moment.forward(settings.DFC_LEASE_S)
    engine.claim(step.pk)
    step.refresh_from_db()
    steering.retry(step, by=None)
    play_for(step, raising(PersonMustActError("late")))
    engine.attempt(slow, has_heartbeat=False)
    step.refresh_from_db()
    assert (step.state, step.attempts) == (Step.State.DUE, 0)


def test_a_step_given_back_by_a_stopping_worker_has_not_used_an_attempt(start: Start) -> None:
    step = first_step(start("one", [[True]]))
    play_for(step, raising(StepYielded()))
    assert run(step).state == Step.State.DUE
    assert step.attempts == 0
    assert claim(step).fence == 2


def test_a_stopping_worker_yields_after_its_checkpoint_and_begins_nothing_more(start: Start) -> None:
    step = first_step(start("one", [[True]]))

    def stopped_between(context: StepContext) -> None:
        ask_to_stop()
        context.save({"part": 1})

    play_for(step, stopped_between)
    assert run(step).state == Step.State.DUE
    assert step.checkpoint == '{"part": 1}'
    assert not engine.run_step(step.pk)


def test_a_function_that_no_pipeline_declares_never_runs(start: Start, tmp_path: Any) -> None:
    step = first_step(start("one", [[True]]))
    Step.objects.update(function="os.mkdir", subject=1)
    assert run(step).error == "Step function 'os.mkdir' is not declared by any pipeline, so it is not run."
    assert step.state == Step.State.FAILED
