"""Which copies of which files people may be sent to now: rows to candidates to a ranking."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import quote

from django.conf import settings
from django.db.models import Max, Q

from catalog.models import Asset
from mirrors.models import Check, Replica
from mirrors.selection import CLOCK_SKEW, PROVING_LEVELS, Candidate, Client, Ranking, rank

PROVED = Q(checks__result=Check.Result.PASSED, checks__level__in=PROVING_LEVELS)
FAILED = ~Q(checks__result=Check.Result.PASSED) & Q(checks__isnull=False)
FULL = Q(checks__result=Check.Result.PASSED, checks__level=Check.Level.FULL)


def candidates(assets: Iterable[Asset], *, now: datetime) -> dict[int, list[Candidate]]:
    """Give the copies of each asset by its key, in one query.

    Proofs dated in the future are passed over, so that a checker's wrong clock cannot hide the proofs after it.
    """
    timely = Q(checks__at__lte=now + CLOCK_SKEW)
    replicas = (
        Replica.objects.filter(asset__in=[asset.pk for asset in assets])
        .select_related("mirror")
        .annotate(
            proved_at=Max("checks__at", filter=PROVED & timely),
            full_at=Max("checks__at", filter=FULL & timely),
            failed_at=Max("checks__at", filter=FAILED),
        )
        .order_by("mirror_id")
    )
    found: dict[int, list[Candidate]] = defaultdict(list)
    for replica in replicas:
        found[replica.asset_id].append(candidate(replica))
    return found


def candidate(replica: Replica) -> Candidate:
    mirror = replica.mirror
    proved_at: datetime | None = getattr(replica, "proved_at", None)
    full_at: datetime | None = getattr(replica, "full_at", None)
    level = Check.Level.FULL if full_at == proved_at else Check.Level.CHECKSUM
    return Candidate(
        mirror=mirror.slug,
        mirror_name=mirror.name,
        operator=mirror.operator,
        jurisdiction=mirror.jurisdiction,
        tier=mirror.tier,
        url=f"{mirror.public_url}/{quote(replica.locator)}" if mirror.kind == mirror.Kind.LOCAL else replica.url,
        is_enabled=mirror.is_enabled,
        offers_web_seed=mirror.offers_web_seed,
        state=replica.state,
        proved_at=proved_at,
        proved_level=int(level) if proved_at else None,
        failed_at=getattr(replica, "failed_at", None),
    )


def offers(assets: Iterable[Asset], *, now: datetime, client: Client | None = None) -> dict[int, Ranking]:
    """Rank the copies of each asset for a client; an asset without copies has an empty ranking."""
    wanted = list(assets)
    found = candidates(wanted, now=now)
    age = timedelta(days=settings.DFC_REPLICA_AGE_DAYS)
    return {
        asset.pk: rank(found.get(asset.pk, []), client or Client(), file=asset.sha256, now=now, age=age)
        for asset in wanted
    }


def web_seeds(asset: Asset, *, now: datetime) -> list[str]:
    """Give the addresses that a torrent of this file may name at this moment (BEP 19)."""
    return [one.url for one in offers([asset], now=now)[asset.pk].offered if one.offers_web_seed]
