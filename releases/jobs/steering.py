"""What people can do to jobs: retry, skip with a reason, stop, go on. Each is one compare-and-set with its event."""

from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _

from releases.jobs import registry
from releases.jobs.advance import MENDABLE, MOVING, advance, lock_job, note
from releases.jobs.clock import clock
from releases.jobs.errors import JobRefusedError
from releases.jobs.wake import wake_all
from releases.models import Job, Step, StepEvent

SHORTEST_REASON = 10


def retry(step: Step, *, by: Any) -> None:
    """Let a failed step, or one that waits for its next try, run now with fresh attempts.

    Raises JobRefusedError for a step in any other state, and for one of a job that has ended well or was stopped.
    """
    now = clock.now()
    with transaction.atomic():
        job = mendable_job(step)
        moved = Step.objects.filter(
            Q(state=Step.State.FAILED) | Q(state=Step.State.DUE) & ~Q(error=""), pk=step.pk
        ).update(state=Step.State.DUE, attempts=0, due_at=now, woken_at=now, ended_at=None)
        if not moved:
            raise refused(step, _("%(step)s: it is %(state)s; it can be retried only after it failed."))
        Job.objects.filter(pk=job.pk).update(state=Job.State.OPEN, ended_at=None)
        note(step, StepEvent.Kind.RETRIED, by=by)
        wake_all([step.pk])


def skip(step: Step, *, by: Any, reason: str) -> None:
    """Leave a step out, with a reason that stays in the history.

    Raises JobRefusedError for a short reason, for a step that runs, is done or is skipped already, and for one of
    a job that has ended well or was stopped.
    """
    reason = reason.strip()
    if len(reason) < SHORTEST_REASON:
        raise JobRefusedError(
            _("%(step)s: say in at least %(count)s characters why it is left out.")
            % {"step": step.label, "count": SHORTEST_REASON}
        )
    with transaction.atomic():
        mendable_job(step)
        moved = Step.objects.filter(
            pk=step.pk, state__in=[Step.State.FAILED, Step.State.DUE, Step.State.AWAITING]
        ).update(state=Step.State.SKIPPED, skip_reason=reason, fence=F("fence") + 1, ended_at=clock.now())
        if not moved:
            raise refused(
                step, _("%(step)s: it is %(state)s; it can be skipped only while it waits or after it failed.")
            )
        Job.objects.filter(pk=step.job_id).update(state=Job.State.OPEN, ended_at=None)
        note(step, StepEvent.Kind.SKIPPED, reason, by)
        advance(step.job_id)


def cancel(job: Job, *, by: Any) -> None:
    """Stop a job: what runs stops at its next write, what waits is not begun.

    Raises JobRefusedError for a job that has ended well or was stopped already.
    """
    with transaction.atomic():
        found = lock_job(job.pk)
        if found.state not in MENDABLE:
            raise JobRefusedError(
                _("%(job)s: it is %(state)s; there is nothing to stop.")
                % {"job": job.key, "state": found.get_state_display().lower()}
            )
        Job.objects.filter(pk=job.pk).update(state=Job.State.CANCELLED, ended_at=clock.now())
        job.steps.filter(state__in=MOVING).update(
            state=Step.State.CANCELLED, lease_until_at=None, fence=F("fence") + 1, ended_at=clock.now()
        )
        note_job(job, StepEvent.Kind.STOPPED, by)
        on_cancelled = registry.pipeline(job.pipeline).on_cancelled
        if on_cancelled is not None:
            on_cancelled(job.subject)
    wake_waiting(job)


def resume(job: Job, *, by: Any) -> None:
    """Let a stopped job go on where it was; raises JobRefusedError for any other, or where stopping undid it."""
    if registry.pipeline(job.pipeline).on_cancelled is not None:
        raise JobRefusedError(
            _("%(job)s: stopping it gave its release back. Start it anew from there.") % {"job": job.key}
        )
    now = clock.now()
    with transaction.atomic():
        found = lock_job(job.pk)
        if found.state != Job.State.CANCELLED:
            raise JobRefusedError(
                _("%(job)s: it is %(state)s, not stopped.")
                % {"job": job.key, "state": found.get_state_display().lower()}
            )
        Job.objects.filter(pk=job.pk).update(state=Job.State.OPEN, ended_at=None)
        stopped = job.steps.filter(state=Step.State.CANCELLED)
        woken = list(stopped.values_list("pk", flat=True))
        stopped.update(state=Step.State.DUE, attempts=0, due_at=now, woken_at=now, ended_at=None, awaits=None)
        note_job(job, StepEvent.Kind.RESUMED, by)
        wake_all(woken)
        advance(job.pk)


def wake_waiting(job: Job) -> None:
    """Let the steps that wait for a stopped job find out, so that they can say so."""
    now = clock.now()
    waiting = Step.objects.filter(awaits=job, state=Step.State.AWAITING)
    woken = list(waiting.values_list("pk", flat=True))
    waiting.update(state=Step.State.DUE, due_at=now, woken_at=now)
    wake_all(woken)


def note_job(job: Job, kind: str, by: Any) -> None:
    StepEvent.objects.create(job=job, kind=kind, by=by, at=clock.now())


def mendable_job(step: Step) -> Job:
    """Lock a step's job; raises JobRefusedError unless it runs or has failed."""
    job = lock_job(step.job_id)
    if job.state not in MENDABLE:
        raise JobRefusedError(
            _("%(step)s: its job is %(state)s. Steps are retried or skipped while their job runs or after it failed.")
            % {"step": step.label, "state": job.get_state_display().lower()}
        )
    return job


def refused(step: Step, sentence: str) -> JobRefusedError:
    """Fill a sentence about a step with its name and the state that it has now."""
    step.refresh_from_db()
    return JobRefusedError(sentence % {"step": step.label, "state": step.get_state_display().lower()})
