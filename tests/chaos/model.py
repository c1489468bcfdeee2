"""The durable engine in the plainest words, without a database: what rows have to look like after each event.

The state of a job is told from its steps alone (`settle`); a write counts only while its attempt is live.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from releases.models import Job, Step
from tests.chaos.scripted import STAGES, Shape, step_subject

LEASE = timedelta(seconds=30)
REWAKE = timedelta(seconds=10)
BACKOFF = timedelta(seconds=5)
CALL = timedelta(seconds=60)
ATTEMPTS = 3

ENDED = {Step.State.DONE, Step.State.SKIPPED}
MOVING = {Step.State.DUE, Step.State.RUNNING, Step.State.AWAITING}
MENDABLE = {Job.State.OPEN, Job.State.FAILED}


@dataclass(eq=False)
class Work:
    """A job."""

    subject: int
    shape: Shape
    state: str = Job.State.OPEN
    opened: int = 0
    rows: list["Row"] = field(default_factory=list)

    @property
    def key(self) -> str:
        return f"work-{self.subject}"

    @property
    def is_unfinished(self) -> bool:
        return any(row.is_required and row.state not in ENDED for row in self.rows)


@dataclass(eq=False)
class Row:
    """A step."""

    work: Work
    subject: int
    stage: int
    is_required: bool
    due_at: datetime
    state: str = Step.State.DUE
    fence: int = 0
    attempts: int = 0
    lease_until_at: datetime | None = None
    awaits: Work | None = None
    checkpoint: str = ""
    done_units: int = 0
    has_error: bool = False
    rows_written: int = 0
    intent_at: datetime | None = None
    is_settled: bool = False

    @property
    def is_uncertain(self) -> bool:
        """Tell whether a call to the outside was begun and nobody knows how it ended."""
        return self.intent_at is not None and not self.is_settled


class Model:
    """All jobs and steps, and the moment it is."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.works: list[Work] = []

    @property
    def rows(self) -> list[Row]:
        return [row for work in self.works for row in work.rows]

    def start(self, shape: Shape) -> Work:
        work = Work(len(self.works) + 1, shape)
        self.works.append(work)
        self.settle(work)
        return work

    def settle(self, work: Work) -> None:
        """Open stages while nothing required is unfinished; end the job when nothing of it moves."""
        while not work.is_unfinished and work.opened < STAGES:
            self.open_stage(work)
        if not any(row.state in MOVING for row in work.rows):
            work.state = Job.State.FAILED if work.is_unfinished else Job.State.DONE
            self.wake_waiting(work)

    def open_stage(self, work: Work) -> None:
        place = work.opened
        flags = work.shape[place] if place < len(work.shape) else ()
        work.rows += [
            Row(work, step_subject(work.subject, place, order), place, is_required, self.now)
            for order, is_required in enumerate(flags)
        ]
        work.opened += 1

    def wake_waiting(self, work: Work) -> None:
        for row in self.rows:
            if row.awaits is work and row.state == Step.State.AWAITING:
                row.state, row.due_at = Step.State.DUE, self.now

    def is_owed(self, row: Row) -> bool:
        """Tell whether a worker may take the step now."""
        if row.work.state != Job.State.OPEN:
            return False
        if row.state == Step.State.RUNNING:
            return row.lease_until_at is not None and row.lease_until_at <= self.now
        return row.state == Step.State.DUE and row.due_at <= self.now

    def claim(self, row: Row) -> bool:
        if not self.is_owed(row):
            return False
        row.fence += 1
        if row.attempts >= ATTEMPTS:
            self.fail(row)
            return False
        row.state, row.attempts, row.has_error = Step.State.RUNNING, row.attempts + 1, False
        row.lease_until_at = self.now + LEASE
        return True

    def lengthen(self, row: Row, by: timedelta) -> None:
        assert row.lease_until_at is not None
        row.lease_until_at = max(row.lease_until_at, self.now + by)

    def leave(self, row: Row, state: str) -> None:
        row.state, row.lease_until_at = state, None
        self.settle(row.work)

    def fail(self, row: Row) -> None:
        row.has_error = True
        self.leave(row, Step.State.FAILED)

    def give_back(self, row: Row, due_at: datetime) -> None:
        """Let a step go on later; the attempt was nobody's fault."""
        row.attempts -= 1
        row.due_at = due_at
        self.leave(row, Step.State.DUE)

    def try_again(self, row: Row) -> None:
        """Let a failed attempt be repeated; its pause has jitter, so `due_at` is left to the one who looks."""
        row.has_error = True
        self.leave(row, Step.State.FAILED if row.attempts >= ATTEMPTS else Step.State.DUE)

    def wait_for(self, row: Row, work: Work) -> None:
        if work.state == Job.State.DONE:
            self.leave(row, Step.State.DONE)
        elif work.state == Job.State.OPEN:
            row.attempts, row.awaits = row.attempts - 1, work
            self.leave(row, Step.State.AWAITING)
        else:
            self.fail(row)

    def retry(self, row: Row) -> bool:
        waits_to_retry = row.state == Step.State.DUE and row.has_error
        if row.work.state not in MENDABLE or not (row.state == Step.State.FAILED or waits_to_retry):
            return False
        row.work.state = Job.State.OPEN
        row.state, row.attempts, row.due_at = Step.State.DUE, 0, self.now
        return True

    def skip(self, row: Row) -> bool:
        waits = row.state in {Step.State.FAILED, Step.State.DUE, Step.State.AWAITING}
        if row.work.state not in MENDABLE or not waits:
            return False
        row.work.state = Job.State.OPEN
        row.fence += 1
        self.leave(row, Step.State.SKIPPED)
        return True

    def cancel(self, work: Work) -> bool:
        if work.state not in MENDABLE:
            return False
        work.state = Job.State.CANCELLED
        for row in work.rows:
            if row.state in MOVING:
                row.state, row.lease_until_at, row.fence = Step.State.CANCELLED, None, row.fence + 1
        self.wake_waiting(work)
        return True

    def resume(self, work: Work) -> bool:
        if work.state != Job.State.CANCELLED:
            return False
        work.state = Job.State.OPEN
        for row in work.rows:
            if row.state == Step.State.CANCELLED:
                row.state, row.attempts, row.due_at, row.awaits = Step.State.DUE, 0, self.now, None
        self.settle(work)
        return True
