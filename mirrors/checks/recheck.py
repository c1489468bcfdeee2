"""Look at copies again: those due by age, those that a curator asks for, and all of a mirror where one is missing.

Of what is due by age a few of each mirror are queued, and each that ended lets the next of its mirror follow. So a
slow mirror, or one of very many files, stands before the workers with a few steps and holds up nobody else's.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from mirrors.checks.budget import ReadAt, budget_of, read_on, within
from mirrors.checks.due import answering, due_copies
from mirrors.checks.incidents import mirror_is_silent
from mirrors.checks.public import caller, read_public
from mirrors.connect import connect
from mirrors.errors import AbsentError, MirrorSettlingError, MirrorUnavailableError, NotQueueableError
from mirrors.models import Check, Deposit, Mirror, Replica
from mirrors.offer import address_of
from mirrors.verify import Progress, check_replica, not_seen_yet
from releases.errors import NotAllowedError
from releases.ingest.ask import Caller
from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Job

AHEAD = 4  # re-reads of a mirror that are queued or under way, of those that are due by age
MOST_COPIES = 500  # the same, with those of a version that became public
AT_ONCE = 50  # re-reads that are begun while a mirror's row is held
PIPELINE = "recheck-copy"
AGAIN = timedelta(days=1)  # after which a re-read that failed is tried again, unless a person has done so


def expand_queue(_period: int) -> Sequence[StepSpec]:
    """One step a mirror that answers; none of them is waited for by another."""
    return [StepSpec("mirrors.checks.recheck.queue_due", one.pk, one.name, is_required=False) for one in answering()]


def queue_due(step: StepContext, mirror_id: int) -> None:
    """Start the first of the re-reads that are due at a mirror, as far as its budget goes. Safe to run twice."""
    step.progress(done_units=queue_some(mirror_id, now=timezone.now()))


def expand_reread(version_id: int) -> Sequence[StepSpec]:
    """One step for each place of a version at a service of others."""
    elsewhere = Deposit.objects.filter(version=version_id).exclude(mirror__kind=Mirror.Kind.LOCAL)
    return [
        StepSpec("mirrors.checks.recheck.queue_deposit", one.pk, str(one), is_required=False)
        for one in elsewhere.select_related("version__dataset", "mirror").order_by("pk")
    ]


def queue_deposit(step: StepContext, deposit_id: int) -> None:
    """Start the re-reads of one deposit at once, as far as the mirror's budget goes. Safe to run twice.

    What is not public yet has its own job later; what is left over waits for its turn among all that is due.
    """
    deposit, count = Deposit.objects.get(pk=deposit_id), 0
    ours = Q(asset__item__version=deposit.version_id)
    while more := queue_some(deposit.mirror_id, ours, now=timezone.now(), ahead=MOST_COPIES):
        count += more
        step.progress(done_units=count)


def queue_some(mirror_id: int, of: Q | None = None, *, now: datetime, ahead: int = AHEAD, besides: int = 0) -> int:
    """Start some of the re-reads that are due, each as a job of its own, until `ahead` of them wait; gives how many.

    The mirror's row is held meanwhile, so that two who queue at the same time do not both spend what is left. The
    re-read of the copy `besides`, if one is named, is as good as ended.
    """
    with transaction.atomic():
        mirror = answering().select_for_update(no_key=True).filter(pk=mirror_id).first()
        if mirror is None:
            return 0
        waiting = waiting_at(mirror, besides)
        left_bytes = budget_of(mirror) - read_on(mirror, now.date()) - waiting["size_bytes"]
        room = min(AT_ONCE, ahead - waiting["copies"])
        due = due_copies(mirror, now=now).filter(of or Q()).exclude(pk__in=begun(now))
        ready = due.select_related("asset", "mirror")[: max(0, room)]
        chosen = list(within(ready, left_bytes, lambda one: one.asset.size_bytes))
        for replica in chosen:
            start_recheck(replica, now=now)
    return len(chosen)


def waiting_at(mirror: Mirror, besides: int) -> dict[str, int]:
    """Count the copies and bytes of a mirror whose re-read is queued or under way."""
    queued = Job.objects.filter(pipeline=PIPELINE, state=Job.State.OPEN).exclude(subject=besides)
    copies = Replica.objects.filter(mirror=mirror, pk__in=queued.values("subject"))
    return copies.aggregate(copies=Count("pk"), size_bytes=Sum("asset__size_bytes", default=0))


def begun(now: datetime) -> QuerySet[Job, Any]:
    """Give the copies whose re-read is under way, or failed so lately that a person should look first."""
    failed = Q(state=Job.State.FAILED, ended_at__gt=now - AGAIN)
    return Job.objects.filter(Q(state=Job.State.OPEN) | failed, pipeline=PIPELINE).values("subject")


def expand_copy(replica_id: int) -> Sequence[StepSpec]:
    replica = Replica.objects.select_related("asset", "mirror").get(pk=replica_id)
    return [StepSpec("mirrors.checks.recheck.recheck_copy", replica_id, str(replica))]


def recheck_copy(step: StepContext, replica_id: int) -> None:
    """Re-read one copy in full, and let the next that is due at its mirror follow.

    A mirror that does not answer leaves every list, and the copy keeps its state.
    """
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
    queue_some(replica.mirror_id, now=timezone.now(), besides=replica_id)


def became_public_lately(replica: Replica, *, now: datetime) -> bool:
    """Tell whether a copy's deposit was made public so lately that its mirror need not show it to everybody yet."""
    deposits = Deposit.objects.filter(mirror=replica.mirror_id, version__items__assets=replica.asset_id)
    return deposits.filter(described_at__gt=now - timedelta(seconds=replica.mirror.settle_s)).exists()


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
        yield partial(read_as_public, asks, replica)


def read_as_public(asks: Caller, replica: Replica, start: int, length: int) -> Iterator[bytes]:
    """Read a copy at its public address, where a mirror need not show at once what it made public just now."""
    try:
        yield from read_public(asks, address_of(replica), start, length)
    except AbsentError:
        if became_public_lately(replica, now=timezone.now()):
            raise not_seen_yet(replica) from None
        raise


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
        if Job.objects.filter(pipeline=PIPELINE, subject=replica.pk, state=Job.State.OPEN).exists():
            return False
        engine.start(f"{PIPELINE}:{replica.pk}:{now:%Y%m%dT%H%M%S%f}", PIPELINE, replica.pk, now=now)
    return True
