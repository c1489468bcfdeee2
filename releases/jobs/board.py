"""What the publish board shows of a job: stages with their steps, in a few queries."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils.functional import Promise

from releases.jobs import registry
from releases.jobs.advance import ENDED, MENDABLE, MOVING
from releases.jobs.clock import clock
from releases.models import Job, Step

LEAST_S = 1.0


@dataclass(frozen=True)
class StepLine:
    """One step; `rate_bytes_s` and `seconds_left` are None where nothing can be said of them."""

    step: Step
    max_attempts: int
    rate_bytes_s: float | None
    seconds_left: float | None
    awaited: "Board | None"
    can_retry: bool
    can_skip: bool

    @property
    def is_waiting_to_retry(self) -> bool:
        return self.step.state == Step.State.DUE and bool(self.step.error)


@dataclass(frozen=True)
class StageLine:
    """One stage: `state` is waiting, running, done, failed or stopped; None for what is not known yet."""

    name: str
    title: str | Promise
    number: int
    state: str
    started_at: datetime | None
    ended_at: datetime | None
    done_bytes: int
    total_bytes: int
    steps: tuple[StepLine, ...]

    @property
    def duration_s(self) -> float | None:
        if self.started_at is None:
            return None
        return ((self.ended_at or clock.now()) - self.started_at).total_seconds()

    @property
    def done_steps(self) -> int:
        return sum(line.step.state in ENDED for line in self.steps)


@dataclass(frozen=True)
class Board:
    job: Job
    stages: tuple[StageLine, ...]
    needs_person: int


def board(job: Job) -> Board:
    """Read a job with its stages, those not yet open included, and the jobs that its steps wait for."""
    steps = list(job.steps.select_related("awaits", "job").order_by("stage", "position"))
    awaited = [step.awaits for step in steps if step.awaits is not None]
    below: dict[int, list[Step]] = {one.pk: [] for one in awaited}
    for step in Step.objects.filter(job__in=below).select_related("job").order_by("stage", "position"):
        below[step.job_id].append(step)
    inner = {one.pk: compose(one, below[one.pk], {}) for one in awaited}
    return compose(job, steps, inner)


def compose(job: Job, steps: list[Step], inner: dict[int, Board]) -> Board:
    stages = registry.pipeline(job.pipeline).stages
    lines = tuple(
        stage_line(job, place, stage, [step for step in steps if step.stage == place], inner)
        for place, stage in enumerate(stages)
    )
    failed = sum(step.state == Step.State.FAILED for step in steps) if job.state in MENDABLE else 0
    return Board(job=job, stages=lines, needs_person=failed + sum(one.needs_person for one in inner.values()))


def stage_line(job: Job, place: int, stage: registry.Stage, steps: list[Step], inner: dict[int, Board]) -> StageLine:
    state = stage_state(job, place, steps)
    return StageLine(
        name=stage.name,
        title=stage.title,
        number=place + 1,
        state=state,
        started_at=min(filter(None, (step.started_at for step in steps)), default=None),
        ended_at=max(filter(None, (step.ended_at for step in steps)), default=None) if state == "done" else None,
        done_bytes=sum(step.done_bytes for step in steps),
        total_bytes=sum(step.total_bytes or 0 for step in steps),
        steps=tuple(step_line(step, inner) for step in steps),
    )


def stage_state(job: Job, place: int, steps: Iterable[Step]) -> str:
    states = {step.state for step in steps}
    if Step.State.FAILED in states:
        return "failed"
    if job.state == Job.State.CANCELLED and states - set(ENDED):
        return "stopped"
    if states & set(MOVING):
        return "running"
    return "done" if place < job.stage or job.state == Job.State.DONE else "waiting"


def step_line(step: Step, inner: dict[int, Board]) -> StepLine:
    rate = rate_of(step)
    left = (step.total_bytes or 0) - step.done_bytes
    is_open = step.job.state in MENDABLE
    waits_to_retry = step.state == Step.State.DUE and bool(step.error)
    return StepLine(
        step=step,
        max_attempts=settings.DFC_ATTEMPTS,
        rate_bytes_s=rate,
        seconds_left=left / rate if rate and left > 0 else None,
        awaited=inner.get(step.awaits_id or 0),
        can_retry=is_open and (step.state == Step.State.FAILED or waits_to_retry),
        can_skip=is_open and (step.state == Step.State.FAILED or waits_to_retry),
    )


def rate_of(step: Step) -> float | None:
    if step.state != Step.State.RUNNING or step.started_at is None or not step.done_bytes:
        return None
    return step.done_bytes / max((clock.now() - step.started_at).total_seconds(), LEAST_S)
