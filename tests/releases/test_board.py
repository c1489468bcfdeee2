"""The publish board: rates, what is left, who is needed, in as many queries for one step as for a hundred."""

from typing import Any

import pytest

from catalog.errors import PersonMustActError, TryLaterError
from releases.jobs import steering
from releases.jobs.board import StepLine, board
from releases.jobs.context import StepContext
from releases.models import Job, Step
from tests.chaos.scripted import claim, first_step, play_for, raising, run
from tests.releases.conftest import Moment, Start

pytestmark = pytest.mark.django_db


def line_of(job: Job) -> StepLine:
    return board(Job.objects.get(pk=job.pk)).stages[0].steps[0]


def stage_states(job: Job) -> list[str]:
    return [stage.state for stage in board(Job.objects.get(pk=job.pk)).stages]


def fail(step: Step) -> Step:
    play_for(step, raising(PersonMustActError("Refused.")))
    return run(step)


def test_it_tells_rate_and_time_left_of_a_running_step(start: Start, moment: Moment) -> None:
    job = start("one", [[True]])
    context = StepContext(claim(first_step(job)))
    assert (line_of(job).rate_bytes_s, line_of(job).seconds_left) == (None, None)
    moment.forward(10)
    context.progress(done_bytes=2_000, total_bytes=10_000)
    assert (line_of(job).rate_bytes_s, line_of(job).seconds_left) == (200, 40)
    stage = board(job).stages[0]
    assert (stage.done_bytes, stage.total_bytes, stage.duration_s) == (2_000, 10_000, 10)


def test_it_tells_no_rate_of_what_does_not_run(start: Start, moment: Moment) -> None:
    job = start("one", [[True]])
    context = StepContext(claim(first_step(job)))
    context.progress(done_bytes=5)
    moment.forward(5)
    context.complete()
    assert line_of(job).rate_bytes_s is None
    assert board(job).stages[0].duration_s == 5


def test_stages_are_told_apart(start: Start) -> None:
    job = start("one", [[True, False], [True], [True]])
    required, optional = job.steps.all()
    assert stage_states(job) == ["running", "waiting", "waiting"]
    run(required)
    assert stage_states(job) == ["running", "running", "waiting"]
    run(optional)
    assert stage_states(job) == ["done", "running", "waiting"]
    fail(job.steps.get(stage=1))
    assert stage_states(job) == ["done", "failed", "waiting"]


def test_a_stopped_and_an_ended_job_show_it(start: Start) -> None:
    job, other = start("one", [[True], [True]]), start("two", [[], [True]])
    run(first_step(job))
    steering.cancel(job, by=None)
    assert stage_states(job) == ["done", "stopped", "waiting"]
    run(first_step(other))
    assert stage_states(other) == ["done", "done", "done"]


def test_it_counts_the_steps_that_need_a_person_in_awaited_jobs_too(start: Start) -> None:
    job, inner = start("one", [[True, True]]), start("inner", [[True, False]])
    waiting, failing = job.steps.all()
    play_for(waiting, lambda context: context.wait_for("inner"))
    run(waiting)
    fail(failing)
    fail(inner.steps.get(is_required=False))
    shown = board(Job.objects.get(pk=job.pk))
    assert shown.needs_person == 2
    awaited = shown.stages[0].steps[0].awaited
    assert awaited is not None
    assert (awaited.job, awaited.needs_person) == (inner, 1)


def test_who_is_needed_has_a_button(start: Start) -> None:
    job = start("one", [[True, False]])
    required, optional = job.steps.all()
    fail(optional)
    assert board(job).needs_person == 1
    assert [line.can_retry for line in board(job).stages[0].steps] == [False, True]
    run(required)
    ended = board(Job.objects.get(pk=job.pk))
    assert ended.needs_person == 0
    assert not any(line.can_retry or line.can_skip for line in ended.stages[0].steps)


def test_a_step_that_waits_for_its_next_try_can_be_tried_now_or_skipped(start: Start) -> None:
    job = start("one", [[True]])
    play_for(first_step(job), raising(TryLaterError("No answer.")))
    run(first_step(job))
    line = line_of(job)
    assert line.is_waiting_to_retry
    assert (line.can_retry, line.can_skip, line.max_attempts) == (True, True, 5)


@pytest.mark.parametrize("wide", [1, 10])
def test_it_asks_the_database_as_often_for_many_steps_as_for_few(
    start: Start, django_assert_num_queries: Any, wide: int
) -> None:
    job = start("one", [[True] * wide])
    for order, step in enumerate(job.steps.all()):
        start(f"inner-{order}", [[True] * wide])
        play_for(step, lambda context, key=f"inner-{order}": context.wait_for(key))  # type: ignore[misc]
        run(step)
    with django_assert_num_queries(2):
        shown = board(job)
    assert sum(len(line.awaited.stages[0].steps) for line in shown.stages[0].steps if line.awaited) == wide * wide
