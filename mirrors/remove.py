"""Remove a version from a mirror where it is no longer wanted, and never the copies that it needs to be safe.

1. What is left has to be enough by the settings, counted in the transaction that takes the copies out of every list.
2. Only then bytes go. A kill between leaves copies that nobody is sent to, and a step that goes on.
3. Checks and incidents stay: they are what was true at their time.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from catalog.models import Version
from mirrors.connect import connect
from mirrors.errors import UnsafeRemovalError
from mirrors.models import OWN_SLUG, PUBLIC, Deposit, Incident, Replica
from mirrors.replicate import find, mirrors_of
from mirrors.safety import safety_of
from releases.catalogue import request_edition
from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec


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
    give_up(deposit, now=timezone.now())
    backend = connect(deposit.mirror)
    copies = Replica.objects.filter(mirror=deposit.mirror, asset__item__version=deposit.version)
    step.progress(total_units=copies.count())
    for done, copy in enumerate(copies.exclude(locator="").order_by("pk"), start=1):
        backend.retire(copy.locator)
        step.progress(done_units=done)


def give_up(deposit: Deposit, *, now: datetime) -> None:
    """Mark the copies as removed if that is safe; the version's row is held, so that two removals count in turn."""
    version = deposit.version
    with transaction.atomic():
        Version.objects.select_for_update().get(pk=version.pk)
        if Deposit.objects.filter(pk=deposit.pk, state=Deposit.State.REMOVED).exists():
            return
        refuse_unsafe(deposit, now=now)
        Deposit.objects.filter(pk=deposit.pk).update(state=Deposit.State.REMOVED)
        copies = Replica.objects.filter(mirror=deposit.mirror, asset__item__version=version)
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
