"""How much there is, in five numbers with the moment when they were counted."""

from dataclasses import dataclass
from datetime import datetime

from django.core.cache import cache
from django.db.models import Count, Sum

from catalog.models import Asset, CatalogueChange, Version
from catalog.search import LISTED
from mirrors.hidden import in_draft
from mirrors.models import Replica

LASTS_S = 300


@dataclass(frozen=True)
class Totals:
    """`copies` are proved copies of files at mirrors in service; `size_bytes` counts each file once."""

    datasets: int
    versions: int
    files: int
    size_bytes: int
    copies: int
    operators: int
    counted_at: datetime


def totals(*, now: datetime) -> Totals:
    """Count, or give what was counted since the last change of the catalogue, at most LASTS_S ago."""
    change = CatalogueChange.objects.order_by("-pk").values_list("pk", flat=True).first()
    key = f"totals:{change}"
    found: Totals | None = cache.get(key)
    if found is None:
        found = count(now)
        cache.set(key, found, LASTS_S)
    return found


def count(now: datetime) -> Totals:
    versions = Version.objects.filter(state__in=LISTED).aggregate(
        datasets=Count("dataset", distinct=True), versions=Count("pk")
    )
    files = Asset.objects.filter(item__version__state__in=LISTED).aggregate(
        files=Count("pk"), size_bytes=Sum("size_bytes", default=0)
    )
    copies = (
        Replica.objects.proved()
        .filter(~in_draft())
        .aggregate(copies=Count("pk"), operators=Count("mirror__operator", distinct=True))
    )
    return Totals(**versions, **files, **copies, counted_at=now)
