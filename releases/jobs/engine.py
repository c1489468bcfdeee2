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
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from catalog.errors import NotYetError, PersonMustActError, StewardshipError, TryLaterError
from catalog.storable import storable
from releases.jobs import registry
from releases.jobs.advance import advance, lock_job, note, open_stage
from releases.jobs.clock import backoff, clock, lease
from releases.jobs.context import StepContext, stopping
from releases.jobs.errors import LeaseLost, StepAwaits, StepPaused, StepStopped, StepYielded
from releases.jobs.wake import wake_all
from releases.models import Job, Step, StepEvent

logger = logging.getLogger(__name__)

RUNNABLE = (Step.State.DUE, Step.State.RUNNING)


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
            job.refresh_from_db()
    return job


def unheld(now: datetime) -> Q:
    """Tell the steps that may run and that nobody holds, by columns of the step alone.

    PostgreSQL checks the conditions of an UPDATE again after it waited for the row, but not those that lead
    through another table: with `job__state` among them two workers could claim the same step.
    """
    return Q(state=Step.State.DUE, due_at__lte=now) | Q(state=Step.State.RUNNING, lease_until_at__lte=now)


def claim(step_id: int) -> Step | None:
    """Take the lease of a step, or None: not due, held, ended, its job is closed, or its attempts are used up."""
    now = clock.now()
    step = Step.objects.filter(unheld(now), pk=step_id, job__state=Job.State.OPEN).first()
    if step is None:
        return None
    if step.attempts >= settings.DFC_ATTEMPTS:
        give_up(step)
        return None
    taken = Step.objects.filter(unheld(now), pk=step_id, fence=step.fence).update(
        state=Step.State.RUNNING,
        fence=F("fence") + 1,
        attempts=F("attempts") + 1,
        lease_until_at=now + lease(),
        started_at=step.started_at or now,
        error="",
    )
    if not taken:
        return None
    return Step.objects.select_related("job").filter(pk=step_id, fence=step.fence + 1).first()


def give_up(step: Step) -> None:
    """End a step whose worker was killed in its last attempt; a killed attempt never comes to say so itself.

    Raises the fence as a claim does, so that a worker which only seemed dead writes nothing either.
    """
    now = clock.now()
    message = (
        f"The worker was killed in attempt {step.attempts} of this step, the last one. "
        "Look at memory and the log of the workers, then retry."
    )
    with transaction.atomic():
        lock_job(step.job_id)
        ended = Step.objects.filter(unheld(now), pk=step.pk, fence=step.fence).update(
            state=Step.State.FAILED, fence=F("fence") + 1, lease_until_at=None, ended_at=now, error=message
        )
        if ended:
            note(step, StepEvent.Kind.FAILED, message)
            advance(step.job_id)


def leave(step: Step, state: str, **facts: Any) -> bool:
    """End one attempt under its fence; False means that the lease was lost."""
    mine = Step.objects.filter(pk=step.pk, fence=step.fence, state=Step.State.RUNNING)
    return mine.update(state=state, lease_until_at=None, **facts) == 1


def run_step(step_id: int, *, has_heartbeat: bool = True) -> bool:
    """Run one attempt of a step if it can be claimed; False if not. What the queue's task calls.

    Without heartbeat the lease is not renewed: only for a process that runs steps alone.
    """
    step = None if stopping.is_set() else claim(step_id)
    if step is None:
        return False
    attempt(step, has_heartbeat=has_heartbeat)
    return True


def attempt(step: Step, *, has_heartbeat: bool) -> None:
    """Run one claimed attempt to its end: done, failed, tried again later, waiting, or given back."""
    context = StepContext(step)
    try:
        with context.held(has_heartbeat=has_heartbeat):
            registry.step_function(step.function)(context, step.subject)
            context.complete()
    except LeaseLost:
        logger.info("step %s: lease lost, nothing written", step.pk)
    except StepYielded:
        put_back(step, clock.now())
    except StepPaused as pause:
        put_back(step, pause.until_at)
    except StepAwaits as waiting:
        park(step, waiting.job_id)
    except StepStopped:
        raise
    except NotYetError as error:
        put_back(step, clock.now() + pause_after(step, error), said(error))
    except PersonMustActError as error:
        fail(step, said(error))
    except Exception as error:
        if not isinstance(error, StewardshipError):
            logger.exception("step %s (%s) crashed", step.pk, step.function)
        try_again(step, error)


def put_back(step: Step, due_at: datetime, why: str = "") -> None:
    """Give a step back until then: the attempt is not counted, since nothing was wrong with it."""
    leave(step, Step.State.DUE, due_at=due_at, attempts=F("attempts") - 1, error=why)


def park(step: Step, job_id: int) -> None:
    """Let a step wait for a job; if that has ended meanwhile, it is due again at once."""
    with transaction.atomic():
        job = lock_job(job_id)
        if job.state == Job.State.OPEN:
            leave(step, Step.State.AWAITING, awaits_id=job_id, attempts=F("attempts") - 1)
        else:
            leave(step, Step.State.DUE, due_at=clock.now(), attempts=F("attempts") - 1)
            wake_all([step.pk])


def said(error: Exception) -> str:
    """Give an error's words in characters that every database can hold."""
    words = str(error) if isinstance(error, StewardshipError) else f"{type(error).__name__}: {error}"[:1000]
    return storable(words)


def fail(step: Step, message: str) -> None:
    with transaction.atomic():
        lock_job(step.job_id)
        if leave(step, Step.State.FAILED, error=message, ended_at=clock.now()):
            note(step, StepEvent.Kind.FAILED, message)
            advance(step.job_id)


def try_again(step: Step, error: Exception) -> None:
    """Put a failed attempt back with a pause, or end the step when its attempts are used up.

    A failure that says how long to wait (`after_s`) is taken at its word, up to DFC_PATIENCE_S.
    """
    message = said(error)
    if step.attempts >= settings.DFC_ATTEMPTS:
        fail(step, message)
        return
    with transaction.atomic():
        if leave(step, Step.State.DUE, due_at=clock.now() + pause_after(step, error), error=message):
            note(step, StepEvent.Kind.FAILED, message)


def pause_after(step: Step, error: Exception) -> timedelta:
    asked_s = error.facts.get("after_s") if isinstance(error, TryLaterError) else None
    patience_s = min(float(asked_s), settings.DFC_PATIENCE_S) if isinstance(asked_s, int | float) else 0.0
    return max(backoff(step.attempts), timedelta(seconds=patience_s))


def reconcile() -> int:
    """Wake again what is owed and nobody holds; gives how many steps were woken.

    Due steps, expired leases, and steps that wait for a job that has ended. A step is woken at most once
    per DFC_REWAKE_S, or the queue would fill with copies of one hint.
    """
    now = clock.now()
    awaiting = Step.objects.filter(state=Step.State.AWAITING)
    over = awaiting.filter(job__state=Job.State.OPEN).exclude(awaits__state=Job.State.OPEN)
    awaiting.filter(pk__in=list(over.values_list("pk", flat=True))).update(state=Step.State.DUE, due_at=now)
    owed = Step.objects.filter(
        unheld(now),
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
    claimable = Step.objects.filter(unheld(clock.now()), job__state=Job.State.OPEN)
    return list(claimable.order_by("due_at", "pk").values_list("pk", flat=True)[:100])


def drain(max_seconds: float) -> int:
    """Run all that is or becomes due in this process, until nothing is open or time is up; gives the runs."""
    deadline, runs = time.monotonic() + max_seconds, 0
    while time.monotonic() < deadline:
        reconcile()
        due = due_steps()
        runs += sum(run_step(step_id, has_heartbeat=False) for step_id in due)
        if not due:
            if not Step.objects.filter(state__in=RUNNABLE, job__state=Job.State.OPEN).exists():
                break
            time.sleep(0.05)
    return runs
