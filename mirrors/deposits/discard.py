"""Throw away a draft that is not to become public, so that it stands in no other version's way."""

from django.db import transaction
from django.db.models import Q

from mirrors.connect import connect, traits_of
from mirrors.errors import NotDiscardableError
from mirrors.models import Deposit, Replica
from mirrors.replicate import draft_of, name_of
from releases.models import Job, Release

JOBS = ("deposit", "open-deposit")


def discard_deposit(deposit: Deposit) -> None:
    """Throw a deposit's draft away at its mirror, and forget what the mirror called it. Safe to run twice.

    Raises NotDiscardableError where it is no draft, is still worked on, or has lent the version its DOI.
    """
    refuse_undiscardable(deposit)
    connect(deposit.mirror).discard(draft_of(deposit))
    with transaction.atomic():
        unpublished = Deposit.objects.filter(pk=deposit.pk).exclude(state=Deposit.State.PUBLIC)
        unpublished.update(state=Deposit.State.REMOVED, record_id="", doi="", concept_doi="")
        copies = Replica.objects.filter(mirror=deposit.mirror, asset__item__version=deposit.version)
        copies.there().update(state=Replica.State.REMOVED)


def refuse_undiscardable(deposit: Deposit) -> None:
    name = f"{deposit.version} at {deposit.mirror.name}"
    if not traits_of(deposit.mirror).has_drafts or deposit.state == Deposit.State.PUBLIC:
        raise NotDiscardableError(f"{name}: it is no draft. What is public there stays.")
    if not deposit.record_id:
        raise NotDiscardableError(f"{name}: there is no draft. Nothing has to be thrown away.")
    if is_worked_on(deposit):
        raise NotDiscardableError(f"{name}: it is being worked on. Stop that job on its board first.")
    if deposit.doi and deposit.doi.lower() == (deposit.version.doi or "").lower():
        raise NotDiscardableError(f"{name}: the draft has the version's DOI. Go on with its publication instead.")


def is_worked_on(deposit: Deposit) -> bool:
    """Tell whether a job may still put something into the draft, or make it public."""
    ours = Q(key__in=[f"{one}:{name_of(deposit)}" for one in JOBS])
    release = Release.objects.filter(version=deposit.version).values("pk")
    publishing = Q(pipeline="publish", subject__in=release)
    return Job.objects.filter(ours | publishing, state=Job.State.OPEN).exists()
