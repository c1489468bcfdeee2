"""What a step function is given: its checkpoint, its progress, its effects, all written under the fence."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import DateTimeField, Value
from django.db.models.functions import Greatest
from django.db.utils import DatabaseError

from releases.jobs.advance import advance, lock_job
from releases.jobs.clock import clock, lease
from releases.jobs.errors import AwaitedJobFailedError, LeaseLost, StepAwaits, StepPaused, StepYielded
from releases.models import Effect, Job, Step

logger = logging.getLogger(__name__)

WRITE_EVERY_S = 1.0
BEATS_PER_LEASE = 4
stopping = threading.Event()  # set when this process was asked to stop: steps yield at their next write


def ask_to_stop(*_signal: object) -> None:
    """Let the running step yield at its next checkpoint. Usable as a signal's answer."""
    stopping.set()


def at_least(until_at: datetime) -> Greatest:
    """Lengthen a lease to that instant; one that lasts longer already stays as it is."""
    return Greatest("lease_until_at", Value(until_at, output_field=DateTimeField()))


class StepContext:
    """One attempt of one step. Every write is conditional on the fence of this attempt.

    `save`, `progress` and `effect` raise LeaseLost when the step was taken away or its job was stopped, and
    StepYielded when this worker is being stopped; a step function lets both pass.
    """

    def __init__(self, step: Step) -> None:
        self.job_key = step.job.key
        self.attempt = step.attempts
        self._step = step
        self._checkpoint = step.checkpoint
        self._pending: dict[str, int] = {}
        self._written_at = float("-inf")
        self._is_complete = False
        self._lost = threading.Event()

    def load(self) -> dict[str, Any]:
        """Give the last saved checkpoint, `{}` at first."""
        loaded: dict[str, Any] = json.loads(self._checkpoint or "{}")
        return loaded

    def save(self, checkpoint: dict[str, Any], *, is_headway: bool = False) -> None:
        """Keep a JSON checkpoint; a later attempt loads it.

        `is_headway` says that this attempt brought the work forward: attempts before it are not held against the
        step any more, so that long work outlives any number of kills, and one that never gets on is still given up.
        """
        text = json.dumps(checkpoint)
        self._write(checkpoint=text, **({"attempts": 1} if is_headway else {}))
        self._checkpoint = text
        self._stop_point()

    def progress(
        self,
        *,
        done_bytes: int | None = None,
        total_bytes: int | None = None,
        done_units: int | None = None,
        total_units: int | None = None,
    ) -> None:
        """Say how far it is, in bytes or units; written at most once a second, the last one always."""
        given = {
            "done_bytes": done_bytes,
            "total_bytes": total_bytes,
            "done_units": done_units,
            "total_units": total_units,
        }
        self._pending |= {name: value for name, value in given.items() if value is not None}
        if time.monotonic() - self._written_at >= WRITE_EVERY_S:
            self._flush()
            self._stop_point()

    @contextmanager
    def finish(self) -> Iterator[None]:
        """Commit local results in the same transaction that marks the step done."""
        with transaction.atomic():
            yield
            self._end()

    def complete(self) -> None:
        """Mark the step done unless `finish` did; called by the engine when the function returns."""
        if not self._is_complete:
            with transaction.atomic():
                self._end()

    def effect(self, name: str, *, find: Callable[[], str | None], call: Callable[[], str], timeout_s: float) -> str:
        """Call the outside once: committed intent → call → id. Gives the id. Not inside a transaction.

        `call` ends within `timeout_s`, and one lease later `find` sees what it made. Nobody looks before that: the
        lease lasts as long, and an attempt that follows a failed call or a stopped job is put back until then.
        After it, an intent without an id means that the call may have happened, so `find` is asked before another
        call. The id is kept even when the lease was lost during the call, for then too it has happened.
        """
        intent = Effect.objects.filter(step=self._step, name=name).first()
        if intent is not None and intent.external_id:
            return intent.external_id
        found = None if intent is None else self._search(intent, find, timeout_s)
        if found is None:
            self._stop_point()
            self._intend(name, timeout_s)
            found = call()
        Effect.objects.filter(step=self._step, name=name, external_id="").update(
            external_id=found, settled_at=clock.now()
        )
        return found

    def wait_for(self, job_key: str) -> None:
        """Return when that job is done; give the worker free while it is open.

        Raises AwaitedJobFailedError when it failed or was stopped: retry this step when that one is mended.
        """
        job = Job.objects.get(key=job_key)
        if job.state == Job.State.OPEN:
            raise StepAwaits(job.pk)
        if job.state != Job.State.DONE:
            errors = " ".join(job.steps.exclude(error="").values_list("error", flat=True)[:3])
            raise AwaitedJobFailedError(
                f"{job_key}: {job.get_state_display().lower()}. {errors} Mend that first, then retry here.",
                job=job_key,
            )

    @contextmanager
    def held(self, *, has_heartbeat: bool) -> Iterator[None]:
        """Renew the lease from a thread while the step runs; keep its last progress however it ends."""
        done = threading.Event()
        beat = threading.Thread(target=self._beat, args=(done,), name=f"lease-{self._step.pk}", daemon=True)
        if has_heartbeat:
            beat.start()
        try:
            yield
        finally:
            done.set()
            if has_heartbeat:
                beat.join()
            if self._pending:
                self._own().update(**self._pending)

    def _beat(self, done: threading.Event) -> None:
        try:
            while not done.wait(settings.DFC_LEASE_S / BEATS_PER_LEASE):
                self._beat_once()
        finally:
            connection.close()

    def _beat_once(self) -> None:
        """Renew once; a database that does not answer is tried again at the next beat."""
        try:
            if not self._own().update(lease_until_at=at_least(clock.now() + lease())):
                self._lost.set()
        except DatabaseError:
            logger.warning("step %s: lease not renewed this time", self._step.pk)

    def _own(self) -> Any:
        return Step.objects.filter(pk=self._step.pk, fence=self._step.fence, state=Step.State.RUNNING)

    def _write(self, **facts: Any) -> None:
        if self._lost.is_set() or self._own().update(**facts, **self._pending) != 1:
            raise LeaseLost
        self._pending = {}
        self._written_at = time.monotonic()

    def _flush(self) -> None:
        if self._pending:
            self._write()

    def _search(self, intent: Effect, find: Callable[[], str | None], timeout_s: float) -> str | None:
        """Ask `find`, but not while the earlier call may be under way or not yet be seen."""
        over_at = intent.intent_at + timedelta(seconds=timeout_s) + lease()
        if clock.now() < over_at:
            raise StepPaused(over_at)
        return find()

    def _intend(self, name: str, timeout_s: float) -> None:
        """Commit the intent of a call, together with a lease that outlives it."""
        now = clock.now()
        with transaction.atomic(durable=True):
            self._write(lease_until_at=at_least(now + timedelta(seconds=timeout_s) + lease()))
            Effect.objects.update_or_create(step=self._step, name=name, defaults={"intent_at": now})

    def _stop_point(self) -> None:
        if stopping.is_set():
            raise StepYielded

    def _end(self) -> None:
        """Mark done under the fence and bring the job forward, in the caller's transaction.

        The job's row is locked before the step's, as people's buttons do, or PostgreSQL would see a deadlock.
        """
        lock_job(self._step.job_id)
        self._write(state=Step.State.DONE, lease_until_at=None, ended_at=clock.now(), error="")
        self._is_complete = True
        advance(self._step.job_id)
