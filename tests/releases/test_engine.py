"""The engine against its model: whatever workers, people, the clock and the queue do, rows are what plain rules say.

Workers claim and go on when they like, so that any of them may be a zombie; messages are lost, doubled and late.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.test import TestCase
from django_q.models import OrmQ
from hypothesis import HealthCheck
from hypothesis import settings as Settings  # noqa: N812  pytest's fixture is called settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from catalog.errors import PersonMustActError, TryLaterError
from releases.jobs import engine, steering
from releases.jobs.clock import clock
from releases.jobs.context import StepContext
from releases.jobs.errors import JobRefusedError, LeaseLost, StepYielded
from releases.models import Job, Step
from tests.chaos import scripted
from tests.chaos.model import ATTEMPTS, BACKOFF, CALL, ENDED, LEASE, MOVING, REWAKE, Model, Row

INDEX = st.integers(0, 7)
SHAPES = st.lists(st.lists(st.booleans(), max_size=3), max_size=scripted.STAGES)
FULL_SHAPES = st.lists(st.lists(st.booleans(), min_size=1, max_size=3), min_size=2, max_size=scripted.STAGES)
PAUSES = st.sampled_from([timedelta(seconds=1), REWAKE, LEASE, CALL + LEASE])
FATES = st.sampled_from(["answers", "fails after", "fails before", "hangs after", "hangs before"])
JOBS = 5
STEPS = 50
LATE = 35
COMPARED = (
    "job__key",
    "awaits__key",
    "subject",
    "stage",
    "is_required",
    "state",
    "fence",
    "attempts",
    "lease_until_at",
    "checkpoint",
    "done_units",
)
TOLD = (*COMPARED, "due_at", "job__state", "job__ended_at")


class Hung(BaseException):
    """Leaves a worker in the middle of a call: it comes back later, or never."""


@dataclass(frozen=True)
class Claim:
    """A worker that holds, or only believes to hold, a step."""

    step: Step
    row: Row
    fence: int

    @property
    def is_live(self) -> bool:
        return self.row.fence == self.fence and self.row.state == Step.State.RUNNING


ERRORS = st.sampled_from(
    [TryLaterError("No answer."), KeyError("\0"), PersonMustActError("Refused. Mend it."), StepYielded()]
)


class EngineMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.real_clock, clock.read = clock.read, lambda: self.model.now
        self.savepoint = transaction.savepoint()
        self.claims: list[Claim] = []
        self.made_at: dict[int, datetime] = {}
        self.events, self.was_left_alone = 0, False
        self.fences: dict[int, int] = {}
        self.ended: dict[int, dict[str, Any]] = {}
        self.user = User.objects.create(username="steward")

    def teardown(self) -> None:
        clock.read = self.real_clock
        transaction.savepoint_rollback(self.savepoint)
        connection.run_on_commit.clear()
        scripted.SHAPES.clear()
        scripted.PLAYS.clear()

    # The queue and the clock

    @initialize(shape=FULL_SHAPES)
    def first_job(self, shape: list[list[bool]]) -> None:
        self.start(shape)

    @precondition(lambda self: len(self.model.works) < JOBS)
    @rule(shape=SHAPES)
    def another_job(self, shape: list[list[bool]]) -> None:
        self.start(shape)

    def start(self, shape: list[list[bool]]) -> None:
        """A double click is the same as one."""
        work = self.model.start(shape)
        scripted.SHAPES[work.subject] = shape
        with sent():
            for _ in range(2):
                engine.start(work.key, "scripted", work.subject)

    @precondition(lambda self: self.owed())
    @rule(n=INDEX)
    def message(self, n: int) -> None:
        self.hint(pick(self.owed(), n))

    @precondition(lambda self: self.model.rows)
    @rule(n=INDEX)
    def late_or_doubled_message(self, n: int) -> None:
        self.hint(pick(self.model.rows, n))

    def owed(self) -> list[Row]:
        """Give what a worker may take, last what called the outside and does not know how that ended."""
        rows = [row for row in self.model.rows if self.model.is_owed(row)]
        return sorted(rows, key=lambda row: row.is_uncertain)

    def hint(self, row: Row) -> None:
        """Let a worker hear of a step: it gets exactly what is owed."""
        expected = self.model.claim(row)
        with sent():
            taken = engine.claim(step_of(row).pk)
        assert (taken is not None) == expected
        if taken is not None:
            self.claims.append(Claim(taken, row, taken.fence))

    @precondition(lambda self: any(work.state == Job.State.OPEN for work in self.model.works))
    @rule(pause=PAUSES)
    def wait(self, pause: timedelta) -> None:
        self.model.now += pause

    @precondition(lambda self: self.claims)
    @rule(n=INDEX)
    def take_over(self, n: int) -> None:
        """Wait for the end of a lease, to the moment, and let another worker have the step."""
        row = pick(sorted(self.claims, key=lambda claim: claim.row.is_uncertain), n).row
        self.model.now = max(self.model.now, row.lease_until_at or self.model.now)
        self.hint(row)

    @precondition(lambda self: self.owed())
    @rule(pause=PAUSES)
    def reconcile(self, pause: timedelta) -> None:
        """Lose every message that was sent so far; the reconciler sends what is owed again, after a while."""
        OrmQ.objects.all().delete()
        self.model.now += pause
        with sent():
            woken = engine.reconcile()
        assert len(scripted.queued()) == woken
        owed = {row.subject for row in self.owed()}
        fresh = Step.objects.filter(subject__in=owed, woken_at__gt=self.model.now - REWAKE)
        assert fresh.count() == len(owed)
        if pause >= REWAKE:
            assert set(Step.objects.filter(pk__in=scripted.queued()).values_list("subject", flat=True)) >= owed

    # What workers do, live or not

    @precondition(lambda self: self.claims)
    @rule(n=INDEX, value=st.integers(1, 99), what=st.sampled_from(["save", "progress", "beat"]))
    def write(self, n: int, value: int, what: str) -> None:
        claim = pick(self.claims, n)
        context = StepContext(claim.step)
        if what == "beat":
            context._beat_once()
            if claim.is_live:
                self.model.lengthen(claim.row, LEASE)
        elif what == "save" and lands(claim, lambda: context.save({"part": value})):
            claim.row.checkpoint = f'{{"part": {value}}}'
        elif what == "progress" and lands(claim, lambda: context.progress(done_units=value)):
            claim.row.done_units = value

    def play(self, claim: Claim, what: scripted.Play, expect: Callable[[], object]) -> None:
        """Run what is left of an attempt, as the engine does with every step function; a zombie changes nothing."""
        was_live = claim.is_live
        scripted.PLAYS[claim.row.subject] = what
        with sent(), suppress(Hung):
            engine.attempt(claim.step, has_heartbeat=False)
            self.claims.remove(claim)
        if was_live:
            expect()

    @precondition(lambda self: self.claims)
    @rule(n=INDEX, has_rows=st.booleans())
    def end_well(self, n: int, has_rows: bool) -> None:  # noqa: FBT001  drawn by the rule
        claim = pick(self.claims, n)

        def finish(context: StepContext) -> None:
            if has_rows:
                with context.finish():
                    self.write_row(claim.row)

        def expect() -> None:
            claim.row.rows_written += has_rows
            self.model.leave(claim.row, Step.State.DONE)

        self.play(claim, finish, expect)
        assert LogEntry.objects.count() == sum(row.rows_written for row in self.model.rows)

    def write_row(self, row: Row) -> None:
        LogEntry.objects.create(
            user=self.user,
            content_type=ContentType.objects.get_for_model(Step),
            object_id=str(row.subject),
            object_repr="local row",
            action_flag=ADDITION,
        )

    @precondition(lambda self: self.claims)
    @rule(n=INDEX, error=ERRORS)
    def end_badly(self, n: int, error: BaseException) -> None:
        claim = pick(self.claims, n)
        expected: Callable[[Row], None] = self.tried_again
        if isinstance(error, PersonMustActError):
            expected = self.model.fail
        elif isinstance(error, StepYielded):
            expected = partial(self.model.give_back, due_at=self.model.now)
        self.play(claim, scripted.raising(error), lambda: expected(claim.row))

    def tried_again(self, row: Row) -> None:
        """Expect a pause that fits the attempts, and take its jitter from the row."""
        self.model.try_again(row)
        if row.state == Step.State.DUE:
            row.due_at = step_of(row).due_at
            least = BACKOFF * 2 ** (row.attempts - 1)
            assert least <= row.due_at - self.model.now <= least * 1.2

    @precondition(lambda self: self.claims)
    @rule(n=INDEX, other=INDEX)
    def wait_for_job(self, n: int, other: int) -> None:
        claim = pick(self.claims, n)
        later = [work for work in self.model.works if work.subject > claim.row.work.subject]
        if later:
            work = pick(later, other)
            expected = partial(self.model.wait_for, claim.row, work)
            self.play(claim, lambda context: context.wait_for(work.key), expected)

    @precondition(lambda self: self.claims)
    @rule(n=INDEX, fate=FATES, delay=st.sampled_from([CALL, CALL / 2]))
    def call_outside(self, n: int, fate: str, delay: timedelta) -> None:
        """Call a service whose answer may get lost, and which makes the thing though the caller is dead."""
        claim = pick(sorted(self.claims, key=lambda claim: claim.row.is_uncertain), n)
        expected = self.expected_of_call(claim.row, fate)

        def call() -> str:
            assert claim.row.subject not in self.made_at, "called twice"
            if fate not in {"fails before", "hangs before"}:
                self.made_at[claim.row.subject] = self.model.now + delay
            if "hangs" in fate:
                raise Hung
            if "fails" in fate:
                raise TryLaterError("No answer in time.")
            return "id"

        def use(context: StepContext) -> None:
            context.effect("call", find=lambda: self.find(claim.row), call=call, timeout_s=CALL.total_seconds())

        self.play(claim, use, expected)

    def find(self, row: Row) -> str | None:
        """Search the outside, which shows a new thing only one lease after it was made."""
        made_at = self.made_at.get(row.subject)
        return "id" if made_at is not None and made_at + LEASE <= self.model.now else None

    def expected_of_call(self, row: Row, fate: str) -> Callable[[], None]:
        """Say what a step that calls the outside has to come to; an id that was found is kept in any case."""
        if row.intent_at is not None and row.is_uncertain:
            over_at = row.intent_at + CALL + LEASE
            if self.model.now < over_at:
                return partial(self.model.give_back, row, over_at)
            row.is_settled = self.find(row) is not None
        if row.is_settled:
            return partial(self.model.leave, row, Step.State.DONE)
        return partial(self.called, row, fate)

    def called(self, row: Row, fate: str) -> None:
        row.intent_at = self.model.now
        self.model.lengthen(row, CALL + LEASE)
        if fate == "answers":
            row.is_settled = True
            self.model.leave(row, Step.State.DONE)
        elif "fails" in fate:
            self.tried_again(row)

    # What people do

    @precondition(lambda self: self.model.rows)
    @rule(n=INDEX, button=st.sampled_from(["retry", "skip", "cancel", "resume"]))
    def press(self, n: int, button: str) -> None:
        row = pick(self.model.rows, n)
        step = step_of(row)
        expected, act = {
            "retry": (partial(self.model.retry, row), partial(steering.retry, step)),
            "skip": (partial(self.model.skip, row), partial(steering.skip, step, reason="Its mirror closed.")),
            "cancel": (partial(self.model.cancel, row.work), partial(steering.cancel, step.job)),
            "resume": (partial(self.model.resume, row.work), partial(steering.resume, step.job)),
        }[button]
        self.pressed(expected(), partial(act, by=self.user))

    def pressed(self, expected: bool, press: Callable[[], None]) -> None:  # noqa: FBT001  plain answer of the model
        """Press a button: it is refused if and only if the model refuses it."""
        try:
            with sent():
                press()
        except JobRefusedError:
            assert not expected
        else:
            assert expected

    # What always holds

    @invariant()
    def rows_are_what_the_rules_say(self) -> None:
        self.events += 1
        steps = list(Step.objects.values(*TOLD))
        jobs = dict(Job.objects.values_list("key", "state"))
        assert jobs == {work.key: work.state for work in self.model.works}
        assert [told(step) for step in steps] == [modelled(row) for row in self.model.rows]
        self.fences_never_go_down_and_what_is_done_stays(steps)
        stages_open_in_order_and_ended_jobs_stand_still(steps)

    def fences_never_go_down_and_what_is_done_stays(self, steps: list[dict[str, Any]]) -> None:
        for row in steps:
            assert row["fence"] >= self.fences.get(row["subject"], 0)
            self.fences[row["subject"]] = row["fence"]
            kept = {name: row[name] for name in COMPARED}
            assert self.ended.get(row["subject"], kept) == kept
            if row["state"] in ENDED:
                self.ended[row["subject"]] = kept

    @precondition(lambda self: self.events >= LATE and not self.was_left_alone)
    @rule()
    def left_alone_every_job_ends(self) -> None:
        """Kill all workers and let others do what is owed; afterwards go back to where it was."""
        self.was_left_alone = True
        before, savepoint = self.model.now, transaction.savepoint()
        scripted.PLAYS.clear()
        for _ in range(60):
            self.model.now += CALL + LEASE
            with sent():
                engine.reconcile()
            for step_id in scripted.queued():
                with sent():
                    engine.run_step(step_id, has_heartbeat=False)
            if not Job.objects.filter(state=Job.State.OPEN).exists():
                break
        open_jobs = Job.objects.filter(state=Job.State.OPEN)
        failed = Job.objects.filter(state=Job.State.FAILED).exclude(steps__state=Step.State.FAILED)
        assert (list(open_jobs), list(failed)) == ([], [])
        transaction.savepoint_rollback(savepoint)
        self.model.now = before


def pick(choices: list[Any], n: int) -> Any:
    """Give one of them, the newest for 0."""
    return choices[-1 - n % len(choices)]


def step_of(row: Row) -> Step:
    return Step.objects.get(subject=row.subject)


def lands(claim: Claim, write: Callable[[], None]) -> bool:
    """Let a worker write; true if it did, and it does if and only if its claim is live."""
    try:
        write()
    except LeaseLost:
        assert not claim.is_live
        return False
    assert claim.is_live
    return True


def told(step: dict[str, Any]) -> tuple[Any, ...]:
    due_at = step["due_at"] if step["state"] == Step.State.DUE else None
    return *(step[name] for name in COMPARED), due_at


def modelled(row: Row) -> tuple[Any, ...]:
    due_at = row.due_at if row.state == Step.State.DUE else None
    awaits = row.awaits.key if row.awaits else None
    return row.work.key, awaits, *(getattr(row, name) for name in COMPARED[2:]), due_at


def stages_open_in_order_and_ended_jobs_stand_still(steps: list[dict[str, Any]]) -> None:
    last = {step["job__key"]: step["stage"] for step in steps}
    for step in steps:
        is_open = step["job__state"] == Job.State.OPEN
        assert step["state"] in ENDED or step["stage"] == last[step["job__key"]] or not step["is_required"]
        assert is_open == (step["job__ended_at"] is None)
        assert is_open or step["state"] not in MOVING


@contextmanager
def sent() -> Iterator[None]:
    """Put the messages of committed work into the real queue, as a commit would."""
    with TestCase.captureOnCommitCallbacks(execute=True):
        yield


def explore(examples: int) -> None:
    run_state_machine_as_test(
        EngineMachine,
        settings=Settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def plain_times(settings: Any, pipelines: None, db: None) -> None:
    """Give the engine the model's waiting times."""
    settings.DFC_LEASE_S = LEASE.total_seconds()
    settings.DFC_REWAKE_S = REWAKE.total_seconds()
    settings.DFC_BACKOFF_S = BACKOFF.total_seconds()
    settings.DFC_ATTEMPTS = ATTEMPTS


@pytest.mark.timeout(600)  # hypothesis looks long for the shortest story of a failure
def test_whatever_happens_the_rows_are_what_the_rules_say(plain_times: None) -> None:
    explore(40)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_whatever_happens_the_rows_are_what_the_rules_say_in_many_runs(plain_times: None) -> None:
    explore(2_000)
