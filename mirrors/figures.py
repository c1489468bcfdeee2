"""Each mirror in numbers, and all of them together: what the page of mirrors says."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, Max, Min, OuterRef, Q, Sum

from catalog.models import Asset
from mirrors.checks.budget import budget_of, cycle_days
from mirrors.hidden import in_draft
from mirrors.models import PUBLIC, Examination, Mirror, MirrorDay, MirrorProbe, Replica

DAYS = 30
BROKEN = (Replica.State.DAMAGED, Replica.State.MISSING)
WAITING = (Replica.State.PENDING, Replica.State.STORED)
PUBLIC_COPY = Q(asset__item__version__state__in=PUBLIC)


@dataclass(frozen=True)
class Figures:
    """One mirror in numbers; `waiting` and `bad` are copies of public files. None is what nobody knows yet.

    `cycle_days` is how long reading all of it once takes at its budget of a day; None where nothing is read again.
    """

    mirror: Mirror
    copies: int = 0
    verified: int = 0
    within_policy: int = 0
    waiting: int = 0
    bad: int = 0
    versions: int = 0
    used_bytes: int = 0
    daily_read_bytes: int = 0
    cycle_days: int | None = None
    last_verified_at: datetime | None = None
    oldest_proof_at: datetime | None = None
    answered_at: datetime | None = None
    latency_ms: int | None = None
    probe: MirrorProbe | None = None
    examination: Examination | None = None
    days: tuple[MirrorDay | None, ...] = ()


def figures(*, now: datetime) -> list[Figures]:
    """Give the enabled mirrors in the order of the registry; six queries however many there are.

    `days` are the last 30 days in UTC, today last; None for a day without a probe.
    """
    counted, probes, days = counts(now), newest_probes(), probed_days(now.date())
    answered = dict(
        MirrorProbe.objects.filter(result=MirrorProbe.Result.PASSED)
        .order_by()
        .values_list("mirror")
        .annotate(last=Max("at"))
    )
    examined = {one.mirror_id: one for one in Examination.objects.newest()}
    found = []
    for mirror in Mirror.objects.filter(is_enabled=True):
        one = Figures(mirror, **counted.get(mirror.pk, {}))
        probe, budget_bytes = probes.get(mirror.pk), budget_of(mirror)
        found.append(
            replace(
                one,
                daily_read_bytes=budget_bytes,
                cycle_days=cycle_days(one.used_bytes, budget_bytes),
                answered_at=answered.get(mirror.pk),
                latency_ms=probe.latency_ms if probe else None,
                probe=probe,
                examination=examined.get(mirror.pk),
                days=tuple(days.get((mirror.pk, day)) for day in last_days(now.date())),
            )
        )
    return found


def counts(now: datetime) -> dict[int, dict[str, Any]]:
    """Count the copies of each mirror; what was never stored is only waiting."""
    verified, fresh = Q(state=Replica.State.VERIFIED), now - timedelta(days=settings.DFC_RECHECK_DAYS)
    stored = ~Q(state__in=[Replica.State.PENDING, Replica.State.REMOVED])
    rows = (
        Replica.objects.order_by()
        .values("mirror")
        .annotate(
            copies=Count("pk", filter=stored),
            verified=Count("pk", filter=verified),
            within_policy=Count("pk", filter=verified & Q(verified_at__gte=fresh)),
            waiting=Count("pk", filter=Q(state__in=WAITING) & PUBLIC_COPY),
            bad=Count("pk", filter=Q(state__in=BROKEN) & PUBLIC_COPY),
            versions=Count("asset__item__version", filter=verified, distinct=True),
            used_bytes=Sum("asset__size_bytes", filter=stored, default=0),
            last_verified_at=Max("verified_at", filter=verified),
            oldest_proof_at=Min("verified_at", filter=verified),
        )
    )
    return {row["mirror"]: {name: fact for name, fact in row.items() if name != "mirror"} for row in rows}


def newest_probes() -> dict[int, MirrorProbe]:
    """Give the newest probe of each mirror that really asked; an empty mirror has nothing to be asked for."""
    asked = MirrorProbe.objects.exclude(result=MirrorProbe.Result.UNASKED)
    last = asked.order_by().values("mirror").annotate(last=Max("pk")).values("last")
    return {probe.mirror_id: probe for probe in MirrorProbe.objects.filter(pk__in=last)}


def last_days(today: date) -> list[date]:
    return [today - timedelta(days=back) for back in reversed(range(DAYS))]


def probed_days(today: date) -> dict[tuple[int, date], MirrorDay]:
    days = MirrorDay.objects.filter(on__gt=today - timedelta(days=DAYS), probes__gt=0)
    return {(day.mirror_id, day.on): day for day in days}


def unreachable_files(*, now: datetime) -> int:
    """Count the public files of which nobody can be sent to any copy at this moment."""
    fresh = now - timedelta(days=settings.DFC_REPLICA_AGE_DAYS)
    good = Replica.objects.filter(
        ~in_draft(),
        asset=OuterRef("pk"),
        state=Replica.State.VERIFIED,
        verified_at__gte=fresh,
        mirror__is_enabled=True,
        mirror__is_sandbox=False,
        mirror__state=Mirror.State.ANSWERS,
    )
    return Asset.objects.filter(~Exists(good), item__version__state__in=PUBLIC).count()
