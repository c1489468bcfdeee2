"""The durable engine: rows are the truth, queue messages are hints.

Rules, in the order in which they are kept:
1. A job is found by its business key; starting it twice is the same as once.
2. A step runs only under a lease, taken by one conditional UPDATE that raises the fence.
3. Every later write carries the fence: a worker that lost its lease writes nothing.
4. Claims are counted, so that a step that kills its worker ends as "failed, needs a person".
5. A stage opens in the transaction that ends the last required step of the one before.
6. What nobody holds is woken again by `reconcile`; a lost or doubled message costs time, never work.
"""

import logging
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from catalog.errors import PersonMustActError, StewardshipError
from releases.jobs import registry
from releases.jobs.advance import advance, lock_job, note, open_stage
from releases.jobs.clock import backoff, clock, lease
from releases.jobs.context import StepContext, stopping
from releases.jobs.errors import LeaseLost, StepAwaits, StepStopped, StepYielded
from releases.jobs.wake import wake_all
from releases.models import Job, Step, StepEvent

logger = logging.getLogger(__name__)

CLAIMABLE = (Step.State.DUE, Step.State.RUNNING)


def start(key: str, pipeline: str, subject: int, *, now: Any = None) -> Job:
    """Give the job with that business key, creating it and opening its first stage if there is none.

    Rows are written in the caller's transaction; workers are woken when it commits.
    Raises PipelineError for a pipeline that is not declared, and whatever its first stage refuses.
    """
    registry.pipeline(pipeline)
    with transaction.atomic():
        job, is_new = Job.objects.get_or_create(
            key=key, defaults={"pipeline": pipeline, "subject": subject, "created_at": now or clock.now()}
        )
        if is_new:
            open_stage(job, 0)
    return job


def claim(step_id: int) -> Step | None:
    """Take the lease of a step, or None: not due, held, ended, its job is closed, or its attempts are used up."""
    now = clock.now()
    step = Step.objects.select_related("job").filter(pk=step_id).first()
    if step is None or not is_claimable(step):
        return None
    if step.attempts >= settings.DFC_ATTEMPTS:
        give_up(step)
        return None
    taken = Step.objects.filter(
        Q(state=Step.State.DUE, due_at__lte=now) | Q(state=Step.State.RUNNING, lease_until_at__lte=now),
        pk=step_id,
        fence=step.fence,
        job__state=Job.State.OPEN,
    ).update(
        state=Step.State.RUNNING,
        fence=F("fence") + 1,
        attempts=F("attempts") + 1,
        lease_until_at=now + lease(),
        started_at=step.started_at or now,
        error="",
    )
    return Step.objects.select_related("job").get(pk=step_id) if taken else None


def is_claimable(step: Step) -> bool:
    now = clock.now()
    if step.state == Step.State.DUE:
        return step.due_at <= now
    held = step.lease_until_at is not None and step.lease_until_at > now
    return step.state == Step.State.RUNNING and not held


def give_up(step: Step) -> None:
    """End a step whose worker was killed too often; a killed attempt never comes to say so itself."""
    with transaction.atomic():
        message = (
            f"The worker was killed {step.attempts} times while running this step, so it is not tried again. "
            "Look at memory and the log of the workers, then retry."
        )
        if leave(step, Step.State.FAILED, error=message):
            note(step, StepEvent.Kind.FAILED, message)
            advance(step.job_id)


def leave(step: Step, state: str, **facts: Any) -> bool:
    """End one attempt under its fence; False means that the lease was lost."""
    fields: dict[str, Any] = {"state": state, "lease_until_at": None, **facts}
    if state in (Step.State.DONE, Step.State.FAILED):
        fields["ended_at"] = clock.now()
    return Step.objects.filter(pk=step.pk, fence=step.fence, state__in=CLAIMABLE).update(**fields) == 1


def run_step(step_id: int, *, has_heartbeat: bool = True) -> bool:
    """Run one attempt of a step if it can be claimed; False if not. What the queue's task calls.

    Without heartbeat the lease is not renewed: only for a process that runs steps alone.
    """
    step = None if stopping.is_set() else claim(step_id)
    if step is None:
        return False
    context = StepContext(step)
    try:
        with context.held(has_heartbeat=has_heartbeat):
            registry.step_function(step.function)(context, step.subject)
            context.complete()
    except LeaseLost:
        logger.info("step %s: lease lost, nothing written", step_id)
    except StepYielded:
        put_back(step)
    except StepAwaits as waiting:
        park(step, waiting.job_id)
    except StepStopped:
        raise
    except PersonMustActError as error:
        fail(step, str(error))
    except Exception as error:
        if not isinstance(error, StewardshipError):
            logger.exception("step %s (%s) crashed", step_id, step.function)
        try_again(step, error)
    return True


def put_back(step: Step) -> None:
    """Give a step back untried: the attempt is not counted, since only the worker had to stop."""
    leave(step, Step.State.DUE, due_at=clock.now(), attempts=F("attempts") - 1)


def park(step: Step, job_id: int) -> None:
    """Let a step wait for a job; if that has ended meanwhile, it is due again at once."""
    with transaction.atomic():
        job = lock_job(job_id)
        if job.state == Job.State.OPEN:
            leave(step, Step.State.AWAITING, awaits_id=job_id, attempts=F("attempts") - 1)
        else:
            leave(step, Step.State.DUE, due_at=clock.now(), attempts=F("attempts") - 1)
            wake_all([step.pk])


def fail(step: Step, message: str) -> None:
    with transaction.atomic():
        if leave(step, Step.State.FAILED, error=message):
            note(step, StepEvent.Kind.FAILED, message)
            advance(step.job_id)


def try_again(step: Step, error: Exception) -> None:
    """Put a failed attempt back with a pause, or end the step when its attempts are used up."""
    message = str(error) if isinstance(error, StewardshipError) else f"{type(error).__name__}: {error}"[:1000]
    if step.attempts >= settings.DFC_ATTEMPTS:
        fail(step, message)
        return
    with transaction.atomic():
        if leave(step, Step.State.DUE, due_at=clock.now() + backoff(step.attempts), error=message):
            note(step, StepEvent.Kind.FAILED, message)


def reconcile() -> int:
    """Wake again what is owed and nobody holds; gives how many steps were woken.

    Due steps, expired leases, and steps that wait for a job that has ended. A step is woken at most once
    per DFC_REWAKE_S, or the queue would fill with copies of one hint.
    """
    now = clock.now()
    Step.objects.filter(state=Step.State.AWAITING, job__state=Job.State.OPEN).exclude(
        awaits__state=Job.State.OPEN
    ).update(state=Step.State.DUE, due_at=now)
    owed = Step.objects.filter(
        Q(state=Step.State.DUE, due_at__lte=now) | Q(state=Step.State.RUNNING, lease_until_at__lte=now),
        Q(woken_at__isnull=True)
        | Q(woken_at__lte=now - timedelta(seconds=settings.DFC_REWAKE_S))
        | Q(woken_at__lt=F("due_at")),
        job__state=Job.State.OPEN,
    )
    woken = list(owed.order_by("due_at").values_list("pk", flat=True)[:500])
    Step.objects.filter(pk__in=woken).update(woken_at=now)
    wake_all(woken)
    return len(woken)


def due_steps() -> list[int]:
    """Give the steps that a worker could claim now, oldest first."""
    now = clock.now()
    claimable = Step.objects.filter(
        Q(state=Step.State.DUE, due_at__lte=now) | Q(state=Step.State.RUNNING, lease_until_at__lte=now),
        job__state=Job.State.OPEN,
    )
    return list(claimable.order_by("due_at", "pk").values_list("pk", flat=True)[:100])


def drain(max_seconds: float) -> int:
    """Run all that is or becomes due in this process, until nothing is open or time is up; gives the runs."""
    deadline, runs = time.monotonic() + max_seconds, 0
    while time.monotonic() < deadline:
        reconcile()
        due = due_steps()
        runs += sum(run_step(step_id, has_heartbeat=False) for step_id in due)
        if not due:
            if not Step.objects.filter(state__in=CLAIMABLE, job__state=Job.State.OPEN).exists():
                break
            time.sleep(0.05)
    return runs
