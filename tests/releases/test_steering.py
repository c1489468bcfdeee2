"""What people can do to jobs, and every refusal with its reason."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from catalog.errors import PersonMustActError, TryLaterError
from releases.jobs import steering
from releases.jobs.context import StepContext
from releases.jobs.errors import JobRefusedError, LeaseLost
from releases.models import Job, Step
from tests.chaos.scripted import CANCELLED, claim, first_step, play_for, queued, raising, run, states
from tests.releases.conftest import Capture, Moment, Start

pytestmark = pytest.mark.django_db
REASON = "The mirror has closed for good."


@pytest.fixture
def person(db: None) -> User:
    return User.objects.create_user("steward")


def failed(job: Job) -> Step:
    play_for(first_step(job), raising(PersonMustActError("Disk full. Free some, then retry.")))
    step = run(first_step(job))
    assert step.state == Step.State.FAILED
    return step


def again(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def history(job: Job) -> list[tuple[str, str, Any]]:
    return [(event.kind, event.reason, event.by) for event in job.events.order_by("pk")]


def test_a_retry_starts_afresh_and_is_remembered(
    start: Start, person: User, django_capture_on_commit_callbacks: Capture
) -> None:
    job = start("one", [[True]])
    step = failed(job)
    with django_capture_on_commit_callbacks(execute=True):
        steering.retry(step, by=person)
    step.refresh_from_db()
    assert (step.state, step.attempts, step.ended_at) == (Step.State.DUE, 0, None)
    assert (again(job).state, again(job).ended_at) == (Job.State.OPEN, None)
    assert history(job) == [("failed", "Disk full. Free some, then retry.", None), ("retried", "", person)]
    assert queued() == [step.pk]


def test_a_step_that_waits_for_its_next_try_can_be_tried_now(start: Start, moment: Moment) -> None:
    step = first_step(start("one", [[True]]))
    play_for(step, raising(TryLaterError("No answer.")))
    assert run(step).due_at > moment.now
    steering.retry(step, by=None)
    step.refresh_from_db()
    assert (step.due_at, step.attempts) == (moment.now, 0)


def test_a_retry_of_one_of_two_failed_steps_leaves_the_job_failed_in_the_end(start: Start) -> None:
    job = start("one", [[True, True]])
    first, second = job.steps.all()
    for step in (first, second):
        play_for(step, raising(PersonMustActError("Broken.")))
        run(step)
    steering.retry(first, by=None)
    play_for(first, lambda _context: None)
    assert run(first).state == Step.State.DONE
    assert again(job).state == Job.State.FAILED


def test_a_skipped_step_keeps_its_reason_and_lets_the_job_go_on(start: Start, person: User) -> None:
    job = start("one", [[True], [True]])
    step = failed(job)
    steering.skip(step, by=person, reason=f"  {REASON} ")
    step.refresh_from_db()
    assert (step.state, step.skip_reason) == (Step.State.SKIPPED, REASON)
    assert states(job) == ["skipped", "due"]
    assert again(job).state == Job.State.OPEN
    assert history(job)[-1] == ("skipped", REASON, person)


def test_a_skipped_last_step_ends_the_job(start: Start) -> None:
    job = start("one", [[True]])
    steering.skip(first_step(job), by=None, reason=REASON)
    assert again(job).state == Job.State.DONE


def test_a_step_that_waits_for_another_job_can_be_skipped(start: Start) -> None:
    job, inner = start("one", [[True]]), start("inner", [[True]])
    play_for(first_step(job), lambda context: context.wait_for("inner"))
    run(first_step(job))
    steering.skip(first_step(job), by=None, reason=REASON)
    run(first_step(inner))
    assert states(job) == ["skipped"]


def test_stopping_takes_running_steps_from_their_workers(start: Start, person: User) -> None:
    job = start("one", [[True, True]])
    context = StepContext(claim(first_step(job)))
    steering.cancel(job, by=person)
    with pytest.raises(LeaseLost):
        context.save({"part": 1})
    assert states(job) == ["cancelled", "cancelled"]
    assert again(job).state == Job.State.CANCELLED
    assert history(job) == [("stopped", "", person)]


def test_stopping_gives_back_what_the_pipeline_says(start: Start) -> None:
    job = start("one", [[True]], pipeline="given-back")
    steering.cancel(job, by=None)
    assert [job.subject] == CANCELLED


def test_a_stopped_job_goes_on_where_it_was(
    start: Start, person: User, django_capture_on_commit_callbacks: Capture
) -> None:
    job = start("one", [[True, True], [True]])
    first, second = job.steps.all()
    run(first)
    StepContext(claim(second)).save({"part": 1})
    steering.cancel(job, by=None)
    with django_capture_on_commit_callbacks(execute=True):
        steering.resume(job, by=person)
    assert states(job) == ["done", "due"]
    assert StepContext(claim(second)).load() == {"part": 1}
    assert history(job)[-1] == ("resumed", "", person)
    assert queued() == [second.pk]


def test_a_failed_job_that_was_stopped_and_resumed_is_failed_again(start: Start) -> None:
    job = start("one", [[True]])
    failed(job)
    steering.cancel(job, by=None)
    steering.resume(job, by=None)
    assert again(job).state == Job.State.FAILED


def test_stopping_a_job_tells_the_steps_that_wait_for_it(
    start: Start, django_capture_on_commit_callbacks: Capture
) -> None:
    job, inner = start("one", [[True]]), start("inner", [[True]])
    play_for(first_step(job), lambda context: context.wait_for("inner"))
    step = run(first_step(job))
    with django_capture_on_commit_callbacks(execute=True):
        steering.cancel(inner, by=None)
    assert queued() == [step.pk]
    assert "inner: stopped" in run(step).error


def ended(start: Start) -> Step:
    job = start("ended", [[True, False]])
    required, optional = job.steps.all()
    play_for(optional, raising(PersonMustActError("Refused.")))
    run(required)
    return run(optional)


def stopped(start: Start) -> Step:
    job = start("stopped", [[True]])
    steering.cancel(job, by=None)
    return first_step(job)


def running(start: Start) -> Step:
    return claim(first_step(start("running", [[True]])))


def waiting(start: Start) -> Step:
    return first_step(start("waiting", [[True]]))


STEPS_ARE = "Steps are retried or skipped while their job runs or after it failed."


@pytest.mark.parametrize(
    ("step_of", "message"),
    [
        (waiting, "step 0.0: it is waiting; it can be retried only after it failed."),
        (running, "step 0.0: it is running; it can be retried only after it failed."),
        (ended, f"step 0.1: its job is done. {STEPS_ARE}"),
        (stopped, f"step 0.0: its job is stopped. {STEPS_ARE}"),
    ],
)
def test_a_retry_is_refused(start: Start, step_of: Callable[[Start], Step], message: str) -> None:
    refused(lambda step: steering.retry(step, by=None), step_of(start), message)


@pytest.mark.parametrize(
    ("step_of", "message"),
    [
        (running, "step 0.0: it is running; it can be skipped only while it waits or after it failed."),
        (ended, f"step 0.1: its job is done. {STEPS_ARE}"),
        (stopped, f"step 0.0: its job is stopped. {STEPS_ARE}"),
    ],
)
def test_a_skip_is_refused(start: Start, step_of: Callable[[Start], Step], message: str) -> None:
    refused(lambda step: steering.skip(step, by=None, reason=REASON), step_of(start), message)


def test_a_skip_without_a_real_reason_is_refused(start: Start) -> None:
    message = "step 0.0: say in at least 10 characters why it is left out."
    refused(lambda step: steering.skip(step, by=None, reason="  because "), waiting(start), message)


def test_a_job_that_has_ended_cannot_be_stopped(start: Start) -> None:
    refused(
        lambda step: steering.cancel(step.job, by=None), ended(start), "ended: it is done; there is nothing to stop."
    )
    message = "stopped: it is stopped; there is nothing to stop."
    refused(lambda step: steering.cancel(step.job, by=None), stopped(start), message)


def test_only_a_stopped_job_can_be_resumed(start: Start) -> None:
    refused(lambda step: steering.resume(step.job, by=None), ended(start), "ended: it is done, not stopped.")
    refused(lambda step: steering.resume(step.job, by=None), waiting(start), "waiting: it is running, not stopped.")


def test_a_job_whose_stop_gave_its_release_back_is_not_resumed(start: Start) -> None:
    job = start("one", [[True]], pipeline="given-back")
    steering.cancel(job, by=None)
    message = "one: stopping it gave its release back. Start it anew from there."
    refused(lambda step: steering.resume(step.job, by=None), first_step(job), message)


def refused(act: Callable[[Step], None], step: Step, message: str) -> None:
    """Expect this refusal, and that nothing was changed by it."""
    before = list(Step.objects.values()), list(Job.objects.values())
    with pytest.raises(JobRefusedError) as caught:
        act(step)
    assert str(caught.value) == message
    assert (list(Step.objects.values()), list(Job.objects.values())) == before
