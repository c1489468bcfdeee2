"""Look at copies again: those due by age, those that a curator asks for, and all of a mirror where one is missing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from mirrors.checks.incidents import mirror_is_silent
from mirrors.checks.public import caller, read_public
from mirrors.connect import OPENED_KINDS, connect
from mirrors.errors import MirrorSettlingError, MirrorUnavailableError, NotQueueableError
from mirrors.models import Check, Mirror, Replica
from mirrors.offer import address_of
from mirrors.verify import PUBLICLY, Progress, ReadAt, check_replica
from releases.errors import NotAllowedError
from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Job

MOST_COPIES = 500
GIB = 1 << 30


def due_copies(*, now: datetime) -> list[Replica]:
    """Give the copies to be read again in full, the oldest first, up to DFC_RECHECK_GIB in all.

    They are those whose proof is older than DFC_RECHECK_DAYS, and at the services of others also those that were not
    read through their public address for DFC_REREAD_DAYS, or never. One copy is always given, however large; copies
    at a mirror that is silent or paused wait until it answers.
    """
    before, budget_bytes = now - timedelta(days=settings.DFC_RECHECK_DAYS), settings.DFC_RECHECK_GIB * GIB
    answering = Mirror.objects.filter(is_enabled=True, state=Mirror.State.ANSWERS, kind__in=OPENED_KINDS)
    read = Check.objects.filter(replica=OuterRef("pk"), level=Check.Level.FULL, method__endswith=PUBLICLY)
    unread = ~Exists(read.filter(at__gte=now - timedelta(days=settings.DFC_REREAD_DAYS)))
    remote = ~Q(mirror__kind=Mirror.Kind.LOCAL) & unread
    old = Replica.objects.proved().filter(Q(verified_at__lt=before) | remote, mirror__in=answering)
    chosen: list[Replica] = []
    for replica in old.select_related("asset", "mirror").order_by("verified_at", "pk")[:MOST_COPIES]:
        budget_bytes -= replica.asset.size_bytes
        if chosen and budget_bytes < 0:
            break
        chosen.append(replica)
    return chosen


def expand_queue(period: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.checks.recheck.queue_due", period, "L4")]


def queue_due(step: StepContext, _period: int) -> None:
    """Start the re-read of every copy that is due, each as a job of its own. Safe to run twice."""
    now = timezone.now()
    due = due_copies(now=now)
    step.progress(total_units=len(due))
    for done, replica in enumerate(due, start=1):
        start_recheck(replica, now=now)
        step.progress(done_units=done)


def expand_copy(replica_id: int) -> Sequence[StepSpec]:
    replica = Replica.objects.select_related("asset", "mirror").get(pk=replica_id)
    return [StepSpec("mirrors.checks.recheck.recheck_copy", replica_id, str(replica))]


def recheck_copy(step: StepContext, replica_id: int) -> None:
    """Re-read one copy in full; a mirror that does not answer leaves every list, and the copy keeps its state."""
    replica = Replica.objects.select_related("asset", "mirror").get(pk=replica_id)
    step.progress(total_bytes=replica.asset.size_bytes)
    try:
        look_again(
            replica, Check.Level.FULL, now=timezone.now(), progress=lambda done: step.progress(done_bytes=done)
        )
    except MirrorSettlingError:
        raise
    except MirrorUnavailableError:
        return  # noted by look_again; the copy is due again when the mirror answers


def look_again(replica: Replica, level: int, *, now: datetime, progress: Progress | None = None) -> Check:
    """Check one copy, at a service of others through its public address.

    A mirror that does not answer leaves every list, and MirrorUnavailableError is raised on.
    """
    try:
        with reading(replica) as read_at:
            backend = connect(replica.mirror)
            return check_replica(replica, backend=backend, level=level, now=now, progress=progress, read_at=read_at)
    except MirrorSettlingError:
        raise
    except MirrorUnavailableError as error:
        mirror_is_silent(replica.mirror, str(error), now=now)
        raise


@contextmanager
def reading(replica: Replica) -> Iterator[ReadAt | None]:
    """Give how a copy is read as the public reads it; None where its directory is ours to read."""
    if replica.mirror.kind == Mirror.Kind.LOCAL:
        yield None
        return
    with caller() as asks:
        yield partial(read_public, asks, address_of(replica))


def expand_sweep(mirror_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.checks.recheck.sweep_mirror", mirror_id, Mirror.objects.get(pk=mirror_id).name)]


def sweep_mirror(step: StepContext, mirror_id: int) -> None:
    """Look whether each verified copy of a mirror is there at its size. Goes on where it stopped."""
    copies = Replica.objects.filter(mirror=mirror_id, state=Replica.State.VERIFIED).order_by("pk")
    step.progress(total_units=copies.count())
    left = copies.filter(pk__gt=step.load().get("after", 0)).select_related("asset", "mirror")
    for done, replica in enumerate(left.iterator(), start=1):
        try:
            look_again(replica, Check.Level.SIZE, now=timezone.now())
        except MirrorSettlingError:
            pass  # no verdict yet; its own recheck comes when it is due
        except MirrorUnavailableError:
            return
        step.save({"after": replica.pk})
        step.progress(done_units=done)


def request_recheck(replica: Replica, *, by: Any, now: datetime) -> None:
    """Queue a full re-read of one copy.

    Raises NotAllowedError; NotQueueableError (nothing is stored, the mirror is out of service, or it is queued).
    """
    if not by.has_perm("mirrors.verify_replica"):
        raise NotAllowedError(
            _("%(person)s: may not queue copies. Ask an administrator for the permission “%(needed)s”.")
            % {"person": by, "needed": "verify_replica"},
            person=str(by),
        )
    if replica.state in {Replica.State.PENDING, Replica.State.REMOVED}:
        raise NotQueueableError(_("%(copy)s: nothing is stored there yet. Wait for its deposit.") % {"copy": replica})
    if not Mirror.objects.in_service().filter(pk=replica.mirror_id).exists():
        raise NotQueueableError(_("%(copy)s: the mirror is out of service. Bring it back first.") % {"copy": replica})
    if not start_recheck(replica, now=now):
        raise NotQueueableError(
            _("%(copy)s: it is queued already. Its check appears in the history.") % {"copy": replica}
        )


def start_recheck(replica: Replica, *, now: datetime) -> bool:
    """Start the re-read of one copy as a durable job; False if one is under way."""
    with transaction.atomic():
        Replica.objects.select_for_update().get(pk=replica.pk)
        if Job.objects.filter(pipeline="recheck-copy", subject=replica.pk, state=Job.State.OPEN).exists():
            return False
        engine.start(f"recheck-copy:{replica.pk}:{now:%Y%m%dT%H%M%S%f}", "recheck-copy", replica.pk, now=now)
    return True
