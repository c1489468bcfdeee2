"""How a job moves when one of its steps has ended: the next stage opens, or the job ends."""

from collections.abc import Sequence
from typing import Any

from django.db.models import F

from releases.jobs import registry
from releases.jobs.clock import clock
from releases.jobs.wake import wake_all
from releases.models import Job, Step, StepEvent

ENDED = (Step.State.DONE, Step.State.SKIPPED)
MOVING = (Step.State.DUE, Step.State.RUNNING, Step.State.AWAITING)
MENDABLE = (Job.State.OPEN, Job.State.FAILED)  # where a person can retry or skip a step


def open_stage(job: Job, position: int) -> None:
    """Write the steps of a stage; if none of them is required the next opens too, and past the last the job ends."""
    stages = registry.pipeline(job.pipeline).stages
    for place in range(position, len(stages)):
        specs = registry.expand(job.pipeline, place, job.subject)
        Job.objects.filter(pk=job.pk).update(stage=place)
        write_steps(job, place, specs)
        if any(spec.is_required for spec in specs):
            return
    Job.objects.filter(pk=job.pk).update(stage=len(stages))
    advance(job.pk)


def write_steps(job: Job, place: int, specs: Sequence[registry.StepSpec]) -> None:
    now = clock.now()
    steps = Step.objects.bulk_create(
        Step(
            job=job,
            stage=place,
            position=order,
            function=spec.function,
            subject=spec.subject,
            label=spec.label[:255],
            is_required=spec.is_required,
            due_at=now,
            woken_at=now,
        )
        for order, spec in enumerate(specs)
    )
    wake_all([step.pk for step in steps])


def lock_job(job_id: int) -> Job:
    """Hold the job's row until the transaction ends; an UPDATE does so on SQLite and PostgreSQL alike."""
    Job.objects.filter(pk=job_id).update(stage=F("stage"))
    return Job.objects.get(pk=job_id)


def advance(job_id: int) -> None:
    """Bring a job forward after one of its steps ended: open the next stage, or end the job.

    Must run in the transaction that ended the step.
    """
    job = lock_job(job_id)
    if job.state != Job.State.OPEN:
        return
    steps = list(job.steps.all())
    current = [step for step in steps if step.stage == job.stage]
    if any(step.is_required and step.state not in ENDED for step in current):
        end_if_stuck(job, steps)
    elif job.stage + 1 < len(registry.pipeline(job.pipeline).stages):
        open_stage(job, job.stage + 1)
    elif all(step.state not in MOVING for step in steps):
        end_job(job, Job.State.DONE)


def end_if_stuck(job: Job, steps: list[Step]) -> None:
    """Fail a job when a required step has failed and no other step of it can still move."""
    if any(step.state in MOVING for step in steps):
        return
    if any(step.is_required and step.state == Step.State.FAILED for step in steps):
        end_job(job, Job.State.FAILED)


def end_job(job: Job, state: str) -> None:
    """End a job, and make due again what waits for it."""
    now = clock.now()
    Job.objects.filter(pk=job.pk, state=Job.State.OPEN).update(state=state, ended_at=now)
    waiting = Step.objects.filter(awaits=job, state=Step.State.AWAITING)
    woken = list(waiting.values_list("pk", flat=True))
    waiting.update(state=Step.State.DUE, due_at=now, woken_at=now)
    wake_all(woken)


def note(step: Step, kind: str, reason: str = "", by: Any = None) -> None:
    StepEvent.objects.create(
        job=step.job, step=step, kind=kind, reason=reason, attempt=step.attempts, by=by, at=clock.now()
    )
