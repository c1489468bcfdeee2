"""What a step function may rely on: checkpoints, progress, a lease that outlives its calls, effects once."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from catalog.errors import TryLaterError
from releases.jobs import context as context_module
from releases.jobs import engine, steering
from releases.jobs.context import StepContext, ask_to_stop
from releases.jobs.errors import LeaseLost, StepPaused, StepYielded
from releases.models import Effect, Step
from tests.chaos.scripted import claim, first_step, play_for, run
from tests.releases.conftest import Moment, Start

pytestmark = pytest.mark.django_db
CALL_S = 60


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


class Service:
    """An outside without idempotency keys: each call makes one thing more."""

    def __init__(self, *, after_call: BaseException | None = None) -> None:
        self.made: list[str] = []
        self.searches = 0
        self.after_call = after_call

    def call(self) -> str:
        self.made.append(f"id-{len(self.made) + 1}")
        if self.after_call is not None:
            raise self.after_call
        return self.made[-1]

    def find(self) -> str | None:
        self.searches += 1
        return self.made[-1] if self.made else None

    def use(self, context: StepContext) -> str:
        return context.effect("draft", find=self.find, call=self.call, timeout_s=CALL_S)


def lease_of(step: Step) -> datetime:
    step.refresh_from_db()
    assert step.lease_until_at is not None
    return step.lease_until_at


def test_a_checkpoint_survives_the_worker(start: Start, moment: Moment, settings: Any) -> None:
    step = first_step(start("one", [[True]]))
    first = StepContext(claim(step))
    assert first.load() == {}
    first.save({"upload": "a1", "parts": [1, 2]})
    assert first.load() == {"upload": "a1", "parts": [1, 2]}
    moment.forward(settings.DFC_LEASE_S)
    assert StepContext(claim(step)).load() == {"upload": "a1", "parts": [1, 2]}


def test_a_checkpoint_that_the_fence_refused_is_not_loaded(start: Start, moment: Moment, settings: Any) -> None:
    step = first_step(start("one", [[True]]))
    old = StepContext(claim(step))
    moment.forward(settings.DFC_LEASE_S)
    claim(step)
    with pytest.raises(LeaseLost):
        old.save({"part": 9})
    assert old.load() == {}


def shown(step: Step) -> tuple[int, int | None, int, int | None]:
    step.refresh_from_db()
    return step.done_units, step.total_units, step.done_bytes, step.total_bytes


def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only the first progress and the last be written, however slow the machine is."""
    monkeypatch.setattr(context_module, "WRITE_EVERY_S", 1e9)


def test_work_that_gets_on_outlives_more_kills_than_there_are_attempts(
    start: Start, moment: Moment, settings: Any
) -> None:
    settings.DFC_ATTEMPTS = 2
    step = first_step(start("one", [[True]]))
    for turn in range(4):
        StepContext(claim(step)).save({"turn": turn}, is_headway=True)
        moment.forward(settings.DFC_LEASE_S + 1)
    StepContext(claim(step)).save({"turn": 4})
    moment.forward(settings.DFC_LEASE_S + 1)
    assert engine.claim(step.pk) is None
    step.refresh_from_db()
    assert (step.state, step.attempts) == (Step.State.FAILED, 2)


def test_progress_is_written_seldom_and_at_the_end(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    seldom(monkeypatch)
    step = first_step(start("one", [[True]]))
    context = StepContext(claim(step))
    context.progress(total_units=3, total_bytes=300)
    assert shown(step) == (0, 3, 0, 300)
    context.progress(done_units=1, done_bytes=100)
    context.progress(done_units=2)
    assert shown(step) == (0, 3, 0, 300)
    context.complete()
    assert shown(step) == (2, 3, 100, 300)


def test_a_checkpoint_carries_the_progress_said_before_it(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    seldom(monkeypatch)
    step = first_step(start("one", [[True]]))
    context = StepContext(claim(step))
    context.progress(done_bytes=1)
    context.progress(done_bytes=2)
    context.save({})
    assert shown(step) == (0, None, 2, None)


def test_the_last_progress_of_a_failed_attempt_is_kept(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    seldom(monkeypatch)
    step = first_step(start("one", [[True]]))

    def breaks_off(context: StepContext) -> None:
        for done in range(5):
            context.progress(done_units=done, total_units=9)
        raise TryLaterError("The line broke.")

    play_for(step, breaks_off)
    assert run(step).error == "The line broke."
    assert shown(step) == (4, 9, 0, None)


def test_progress_yields_when_the_worker_is_stopped(start: Start) -> None:
    context = StepContext(claim(first_step(start("one", [[True]]))))
    ask_to_stop()
    with pytest.raises(StepYielded):
        context.progress(done_units=1)


def test_finish_commits_local_rows_with_the_step_or_neither(start: Start) -> None:
    step = first_step(start("one", [[True]]))

    def breaks_off(context: StepContext) -> None:
        with context.finish():
            Step.objects.filter(pk=step.pk).update(label="half")
            raise TryLaterError("Not yet.")

    def ends_well(context: StepContext) -> None:
        with context.finish():
            Step.objects.filter(pk=step.pk).update(label="whole")

    play_for(step, breaks_off)
    assert (run(step).label, step.state) == ("step 0.0", Step.State.DUE)
    Step.objects.update(due_at=step.job.created_at)
    play_for(step, ends_well)
    assert (run(step).label, step.state) == ("whole", Step.State.DONE)


@pytest.mark.parametrize("late", ["save", "fail"])
def test_what_a_step_does_after_it_has_finished_changes_nothing(start: Start, late: str) -> None:
    step = first_step(start("one", [[True]]))

    def goes_on(context: StepContext) -> None:
        with context.finish():
            pass
        if late == "save":
            context.save({"too": "late"})
        raise TryLaterError("Too late.")

    play_for(step, goes_on)
    assert (run(step).state, step.checkpoint, step.error) == (Step.State.DONE, "", "")


def test_a_heartbeat_never_shortens_a_lease(start: Start, moment: Moment, settings: Any) -> None:
    step = first_step(start("one", [[True]]))
    context = StepContext(claim(step))
    Service().use(context)
    promised = moment.now + timedelta(seconds=CALL_S + settings.DFC_LEASE_S)
    assert lease_of(step) == promised
    context._beat_once()
    assert lease_of(step) == promised
    moment.forward(CALL_S + 1)
    context._beat_once()
    assert lease_of(step) == promised + timedelta(seconds=1)


@pytest.mark.django_db(transaction=True)
def test_a_running_step_keeps_its_lease_through_the_heartbeat(start: Start, settings: Any) -> None:
    settings.DFC_LEASE_S = 0.4
    step = first_step(start("one", [[True]]))
    leases = []

    def long(_context: StepContext) -> None:
        for _ in range(3):
            leases.append(lease_of(step))
            while lease_of(step) == leases[-1]:
                threading.Event().wait(0.01)

    play_for(step, long)
    engine.run_step(step.pk)
    assert leases == sorted(set(leases))
    step.refresh_from_db()
    assert (step.state, step.fence) == (Step.State.DONE, 1)


def test_a_step_that_was_stopped_and_resumed_is_lost_to_its_old_worker(start: Start) -> None:
    job = start("one", [[True]])
    context = StepContext(claim(first_step(job)))
    steering.cancel(job, by=None)
    steering.resume(job, by=None)
    with pytest.raises(LeaseLost):
        context.save({"by": "old"})
    context._beat_once()
    step = first_step(job)
    assert (step.state, step.checkpoint, step.lease_until_at) == (Step.State.DUE, "", None)


def test_the_intent_stands_before_the_call_and_the_id_after_it(start: Start, moment: Moment) -> None:
    step = first_step(start("one", [[True]]))
    during: list[Effect] = []

    def call() -> str:
        during.append(Effect.objects.get())
        return "doi-7"

    context = StepContext(claim(step))
    assert context.effect("draft", find=lambda: None, call=call, timeout_s=CALL_S) == "doi-7"
    assert (during[0].intent_at, during[0].external_id) == (moment.now, "")
    assert Effect.objects.get().external_id == "doi-7"
    assert context.effect("draft", find=lambda: None, call=lambda: "another", timeout_s=CALL_S) == "doi-7"


@pytest.mark.django_db(transaction=True)
def test_a_call_inside_a_transaction_is_refused_for_its_intent_could_be_rolled_back(start: Start) -> None:
    service = Service()
    context = StepContext(claim(first_step(start("one", [[True]]))))
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        service.use(context)
    assert service.made == []
    assert not connection.in_atomic_block


def after_a_kill(start: Start, moment: Moment, settings: Any, service: Service) -> StepContext:
    """Kill a worker in its call; gives the attempt that follows."""
    step = first_step(start("one", [[True]]))
    with pytest.raises(Killed):
        service.use(StepContext(claim(step)))
    service.after_call = None
    moment.forward(CALL_S + settings.DFC_LEASE_S - 1)
    assert engine.claim(step.pk) is None
    moment.forward(1)
    return StepContext(claim(step))


def test_after_a_crash_in_the_call_it_is_found_and_not_called_again(
    start: Start, moment: Moment, settings: Any
) -> None:
    service = Service(after_call=Killed())
    context = after_a_kill(start, moment, settings, service)
    assert service.use(context) == "id-1"
    assert (service.made, service.searches) == (["id-1"], 1)


def test_after_a_crash_before_the_call_it_is_searched_and_then_called(
    start: Start, moment: Moment, settings: Any
) -> None:
    service = Service(after_call=Killed())
    context = after_a_kill(start, moment, settings, service)
    service.made.clear()
    assert service.use(context) == "id-1"
    assert (service.made, service.searches) == (["id-1"], 1)
    assert Effect.objects.get().intent_at == moment.now


def test_a_call_that_failed_is_searched_only_when_it_is_surely_over(
    start: Start, moment: Moment, settings: Any
) -> None:
    service = Service(after_call=TryLaterError("No answer in time."))
    step = first_step(start("one", [[True]]))
    play_for(step, lambda context: check(service.use(context)))
    over = moment.now + timedelta(seconds=CALL_S + settings.DFC_LEASE_S)
    moment.now = run(step).due_at
    assert moment.now < over
    assert (run(step).due_at, step.attempts, service.searches) == (over, 1, 0)
    moment.now = over
    service.after_call = None
    assert run(step).state == Step.State.DONE
    assert (service.made, service.searches) == (["id-1"], 1)


def check(found: str) -> None:
    assert found == "id-1"


def test_a_job_stopped_and_resumed_during_a_call_does_not_call_again(
    start: Start, moment: Moment, settings: Any
) -> None:
    job = start("one", [[True]])
    service = Service()
    first = StepContext(claim(first_step(job)))

    def stopped_meanwhile() -> str:
        steering.cancel(job, by=None)
        steering.resume(job, by=None)
        with pytest.raises(StepPaused):
            service.use(StepContext(claim(first_step(job))))
        return service.call()

    assert first.effect("draft", find=service.find, call=stopped_meanwhile, timeout_s=CALL_S) == "id-1"
    with pytest.raises(LeaseLost):
        first.complete()
    assert service.use(StepContext(claim_again(first_step(job), moment, settings))) == "id-1"
    assert service.made == ["id-1"]


def claim_again(step: Step, moment: Moment, settings: Any) -> Step:
    moment.forward(settings.DFC_LEASE_S)
    return claim(step)


def test_no_call_begins_when_the_lease_is_lost(start: Start, moment: Moment, settings: Any) -> None:
    service, step = Service(), first_step(start("one", [[True]]))
    context = StepContext(claim(step))
    claim_again(step, moment, settings)
    with pytest.raises(LeaseLost):
        service.use(context)
    assert service.made == []
    assert not Effect.objects.exists()


def test_no_call_begins_when_the_worker_is_stopped(start: Start) -> None:
    service = Service()
    context = StepContext(claim(first_step(start("one", [[True]]))))
    ask_to_stop()
    with pytest.raises(StepYielded):
        service.use(context)
    assert service.made == []
    assert not Effect.objects.exists()
