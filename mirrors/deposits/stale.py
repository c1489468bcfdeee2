"""Which records at mirrors and which DOIs are not as our rows say.

A row is marked by an empty digest, so that what is owed outlives a kill and is found by one cheap question.
Comparing costs many questions, and is done outside of every transaction.
"""

from collections.abc import Iterator

from django.db.models import Q, QuerySet

from catalog.models import Version
from mirrors.deposits.record import digest_of, record
from mirrors.doi import rows
from mirrors.models import Deposit, Doi, Mirror

RELATED = ("version__dataset__licence", "version__dataset__package", "mirror")


def public_deposits(dataset_id: int) -> QuerySet[Deposit]:
    """Give the deposits of a dataset that are public, of versions that are, at mirrors in service."""
    found = Deposit.objects.filter(version__dataset=dataset_id, state=Deposit.State.PUBLIC)
    in_service = found.filter(mirror__in=Mirror.objects.in_service()).exclude(version__state=Version.State.DRAFT)
    return in_service.select_related(*RELATED).order_by("pk")


def public_dois(dataset_id: int) -> QuerySet[Doi]:
    """Give the DOIs of a dataset whose version is public, and that of all versions if one of them is."""
    public = Version.objects.public().filter(dataset=dataset_id)
    named = Q(version__in=public.order_by()) | (Q(version=None) if public.exists() else Q(pk=None))
    return Doi.objects.filter(named, dataset=dataset_id).order_by("pk")


def stale_rows(dataset_id: int) -> Iterator[Deposit | Doi]:
    """Give the rows of which the mirror or the registrar has something else than our rows say at this moment."""
    for deposit in public_deposits(dataset_id):
        if deposit.described_digest != digest_of(record(deposit)):
            yield deposit
    for doi_id in public_dois(dataset_id).values_list("pk", flat=True):
        doi = rows.read(doi_id)
        if doi.state != rows.state_of(doi) or doi.described_digest != digest_of(rows.record_of(doi)):
            yield doi


def mark_stale(dataset_id: int) -> None:
    """Mark what is stale; what somebody described meanwhile stays as it is."""
    for row in stale_rows(dataset_id):
        type(row).objects.filter(pk=row.pk, described_digest=row.described_digest).update(described_digest="")
