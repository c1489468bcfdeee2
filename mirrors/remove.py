"""Remove a version from a mirror where it is no longer wanted, and never the copies that it needs to be safe.

1. What is left has to be enough by the settings, counted in the transaction that takes the copies out of every list.
2. Only then bytes go, and not while a deposit or a repair still sends some: one that begins later finds the deposit
   removed and stops (mirrors/replicate.py). A kill between leaves copies that nobody is sent to, and a step that goes
   on.
3. Checks and incidents stay: they are what was true at their time.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from catalog.models import Version
from mirrors.backends.base import MirrorBackend
from mirrors.connect import connect
from mirrors.errors import MirrorSettlingError, UnsafeRemovalError
from mirrors.models import OWN_SLUG, PUBLIC, Deposit, Incident, Replica, ReplicaQuerySet
from mirrors.replicate import draft_of, find, mirrors_of
from mirrors.safety import safety_of
from releases.catalogue import request_edition
from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Step

PUT, REPAIR = "mirrors.replicate.put_replica", "mirrors.checks.repair.repair_copy"


def start_removal(deposit: Deposit, *, now: datetime) -> None:
    """Start the job that removes a deposit; a deposit that is filled again later can be removed again."""
    engine.start(f"remove-deposit:{deposit.pk}:{now:%Y%m%dT%H%M%S%f}", "remove-deposit", deposit.pk, now=now)


def expand_remove(deposit_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.remove.remove_deposit", deposit_id, str(find(deposit_id)))]


def remove_deposit(step: StepContext, deposit_id: int) -> None:
    """Take a version's copies at one mirror out of every list, then remove their bytes. Safe to run twice.

    Raises UnsafeRemovalError where a policy wants them again, the mirror is our own storage, or what would be left is
    too little.
    """
    deposit = find(deposit_id)
    backend = connect(deposit.mirror)
    name_places(deposit, backend)
    give_up(deposit, now=timezone.now())
    await_bytes(deposit)
    copies = copies_of(deposit)
    step.progress(total_units=copies.count())
    for done, copy in enumerate(copies.order_by("pk"), start=1):
        backend.retire(copy.locator)
        step.progress(done_units=done)


def copies_of(deposit: Deposit) -> ReplicaQuerySet:
    return Replica.objects.filter(mirror=deposit.mirror, asset__item__version=deposit.version)


def name_places(deposit: Deposit, backend: MirrorBackend) -> None:
    """Write where copies would lie that did not come, since some of their bytes may."""
    draft = draft_of(deposit)
    for copy in copies_of(deposit).filter(locator="").select_related("asset"):
        locator = backend.locator(draft, copy.asset.path)
        Replica.objects.filter(pk=copy.pk, locator="").update(locator=locator, url=backend.url(locator))


def await_bytes(deposit: Deposit) -> None:
    """Raise MirrorSettlingError while a step that began before the removal may still send bytes."""
    copies = copies_of(deposit)
    sending = Q(function=PUT, subject__in=copies.values("pk"))
    mending = Q(function=REPAIR, subject__in=Incident.objects.filter(replica__in=copies).values("pk"))
    if Step.objects.filter(sending | mending, state=Step.State.RUNNING).exists():
        raise MirrorSettlingError(
            f"{deposit.version}: bytes of it are on their way to {deposit.mirror.name}. They are removed when they "
            "have come.",
            after_s=deposit.mirror.settle_s,
        )


def give_up(deposit: Deposit, *, now: datetime) -> None:
    """Mark the copies as removed if that is safe; the version's row is held, so that two removals count in turn."""
    version = deposit.version
    with transaction.atomic():
        Version.objects.select_for_update().get(pk=version.pk)
        if Deposit.objects.filter(pk=deposit.pk, state=Deposit.State.REMOVED).exists():
            return
        refuse_unsafe(deposit, now=now)
        Deposit.objects.filter(pk=deposit.pk).update(state=Deposit.State.REMOVED)
        copies = copies_of(deposit)
        copies.update(state=Replica.State.REMOVED)
        Incident.objects.filter(replica__in=copies, ended_at=None).update(ended_at=now)
        if version.state in PUBLIC:
            request_edition(f"{version}: removed from {deposit.mirror.slug}", now=now)


def refuse_unsafe(deposit: Deposit, *, now: datetime) -> None:
    version, mirror = deposit.version, deposit.mirror
    if mirror.slug == OWN_SLUG:
        raise UnsafeRemovalError(f"{version}: our own storage keeps what is published. Leave it there.")
    if mirror in mirrors_of(version):
        raise UnsafeRemovalError(f"{version}: a policy wants it at {mirror.name} again. Stop this removal.")
    now_safe = safety_of([version.pk], now=now).get(version.pk)
    left = now_safe and now_safe.without(mirror.pk)
    if left and not left.is_enough:
        raise UnsafeRemovalError(
            f"{version}: without its copy at {mirror.name} too few whole copies would be left ({left.operators} "
            f"operators, {left.countries} countries). Bring it to another mirror first, then retry here."
        )
