"""How safe versions are: whole copies, who runs them and where, and when the newest proof was.

A copy counts as whole where a mirror holds every file of the version, each proved as mirrors/selection.py asks it of
what may be offered. Here the database counts, for any number of versions and files in two queries.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, F, Max, OuterRef, Q, Subquery, Sum

from catalog.models import Asset
from mirrors.hidden import in_draft
from mirrors.models import Check, Mirror, Replica, ReplicaQuerySet
from mirrors.selection import CLOCK_SKEW, PROVING_LEVELS


@dataclass(frozen=True)
class Holding:
    """What one mirror has of a version: how many files are proved there, and the newest of these proofs."""

    mirror_id: int
    operator: str
    country: str
    files: int
    proved_at: datetime


@dataclass(frozen=True)
class Safety:
    """The line of trust of one version; `holdings` are by mirror, also those that are not whole."""

    files: int
    size_bytes: int
    holdings: tuple[Holding, ...]

    @property
    def whole(self) -> list[Holding]:
        return [one for one in self.holdings if one.files == self.files]

    @property
    def copies(self) -> int:
        return len(self.whole)

    @property
    def operators(self) -> int:
        return len({one.operator for one in self.whole})

    @property
    def countries(self) -> int:
        return len({one.country for one in self.whole})

    @property
    def checked_at(self) -> datetime | None:
        return max((one.proved_at for one in self.whole), default=None)

    @property
    def home_copies(self) -> int:
        return sum(one.country == settings.DFC_HOME_JURISDICTION for one in self.whole)

    @property
    def is_enough(self) -> bool:
        """Tell whether as many operators, countries and copies at home hold it whole as the settings ask for."""
        return (
            self.operators >= settings.DFC_MIN_OPERATORS
            and self.countries >= settings.DFC_MIN_COUNTRIES
            and self.home_copies >= settings.DFC_MIN_HOME_COPIES
        )

    @property
    def grade(self) -> str:
        """Give `safe`, `help` (too few operators, countries or home copies) or `risk` (no whole copy)."""
        if self.is_enough:
            return "safe"
        return "help" if self.copies else "risk"

    def without(self, mirror_id: int) -> "Safety":
        """Give what would be left if one mirror gave its copies up."""
        return replace(self, holdings=tuple(one for one in self.holdings if one.mirror_id != mirror_id))


NOTHING = Safety(0, 0, ())


def safety_of(versions: Collection[int], *, now: datetime) -> dict[int, Safety]:
    """Give the safety of each version by its key; one without files has none and is left out."""
    files = Asset.objects.filter(item__version__in=versions).order_by().values_list("item__version")
    holdings = holdings_of(versions, now=now)
    return {
        version: Safety(count, size_bytes, tuple(holdings[version]))
        for version, count, size_bytes in files.annotate(Count("pk"), Sum("size_bytes"))
    }


def holdings_of(versions: Collection[int], *, now: datetime) -> dict[int, list[Holding]]:
    rows = (
        proved(Replica.objects.filter(asset__item__version__in=versions), now=now)
        .values_list("asset__item__version", "mirror", "mirror__operator", "mirror__jurisdiction")
        .annotate(Count("pk"), Max("proved_at"))
        .order_by("mirror")
    )
    found: dict[int, list[Holding]] = defaultdict(list)
    for version, *facts in rows:
        found[version].append(Holding(*facts))
    return found


def proved(replicas: ReplicaQuerySet, *, now: datetime) -> ReplicaQuerySet:
    """Keep the copies that may be offered at this moment, with `proved_at`: what `mirrors.offer.offers` offers."""
    checks = Check.objects.filter(replica=OuterRef("pk")).order_by("-at")
    proofs = checks.filter(result=Check.Result.PASSED, level__in=PROVING_LEVELS, at__lte=now + CLOCK_SKEW)
    failures = checks.exclude(result=Check.Result.PASSED)
    there = replicas.filter(
        ~in_draft(),
        state=Replica.State.VERIFIED,
        mirror__is_enabled=True,
        mirror__is_sandbox=False,
        mirror__state=Mirror.State.ANSWERS,
    ).annotate(
        proved_at=Subquery(proofs.values("at")[:1]),
        failed_at=Subquery(failures.values("at")[:1]),
    )
    not_failed = Q(failed_at__isnull=True) | Q(failed_at__lt=F("proved_at"))
    return there.filter(not_failed, proved_at__gte=now - timedelta(days=settings.DFC_REPLICA_AGE_DAYS))
