"""Which copies of which files people may be sent to now: rows to candidates to a ranking."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import quote

from django.conf import settings
from django.db.models import Max, Q

from catalog.models import Asset
from mirrors.hidden import in_draft
from mirrors.models import Check, Mirror, Replica
from mirrors.selection import CLOCK_SKEW, PROVING_LEVELS, Candidate, Client, Ranking, rank

PROVED = Q(checks__result=Check.Result.PASSED, checks__level__in=PROVING_LEVELS)
FAILED = ~Q(checks__result=Check.Result.PASSED) & Q(checks__isnull=False)
FULL = Q(checks__result=Check.Result.PASSED, checks__level=Check.Level.FULL)


def candidates(assets: Iterable[Asset], *, now: datetime) -> dict[int, list[Candidate]]:
    """Give the copies of each asset by its key, in one query; what lies in a sandbox is none.

    Proofs dated in the future are passed over, so that a checker's wrong clock cannot hide the proofs after it.
    """
    timely = Q(checks__at__lte=now + CLOCK_SKEW)
    replicas = (
        Replica.objects.filter(asset__in=[asset.pk for asset in assets], mirror__is_sandbox=False)
        .select_related("mirror")
        .annotate(
            proved_at=Max("checks__at", filter=PROVED & timely),
            full_at=Max("checks__at", filter=FULL & timely),
            failed_at=Max("checks__at", filter=FAILED),
            is_in_draft=in_draft(),
        )
        .order_by("mirror_id")
    )
    found: dict[int, list[Candidate]] = defaultdict(list)
    for replica in replicas:
        found[replica.asset_id].append(candidate(replica))
    return found


def address_of(replica: Replica) -> str:
    """Give the public address of a copy; that of a local mirror follows its row, which may be moved."""
    mirror = replica.mirror
    return f"{mirror.public_url}/{quote(replica.locator)}" if mirror.kind == Mirror.Kind.LOCAL else replica.url


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
        url=address_of(replica),
        is_enabled=mirror.is_enabled,
        mirror_state=mirror.state,
        offers_web_seed=mirror.offers_web_seed,
        state=replica.state,
        proved_at=proved_at,
        proved_level=int(level) if proved_at else None,
        failed_at=getattr(replica, "failed_at", None),
        is_in_draft=getattr(replica, "is_in_draft", False),
    )


def offers(assets: Iterable[Asset], *, now: datetime, client: Client | None = None) -> dict[int, Ranking]:
    """Rank the copies of each asset for a client; an asset without copies has an empty ranking."""
    wanted = list(assets)
    found = candidates(wanted, now=now)
    return {asset.pk: ranked(asset, found.get(asset.pk, []), client or Client(), now) for asset in wanted}


def lasting_offers(assets: Iterable[Asset], *, now: datetime) -> dict[int, Ranking]:
    """Rank the copies of each asset for what is kept for long, as the catalogue is.

    A mirror that is silent at the moment stays in: its copies are as good as before, and who reads the catalogue
    next week has other mirrors to fall back to.
    """
    wanted = list(assets)
    found = candidates(wanted, now=now)
    return {asset.pk: ranked(asset, map(awake, found.get(asset.pk, [])), Client(), now) for asset in wanted}


def awake(one: Candidate) -> Candidate:
    return replace(one, mirror_state=Mirror.State.ANSWERS) if one.mirror_state == Mirror.State.SILENT else one


def ranked(asset: Asset, found: Iterable[Candidate], client: Client, now: datetime) -> Ranking:
    age = timedelta(days=settings.DFC_REPLICA_AGE_DAYS)
    return rank(list(found), client, file=asset.sha256, now=now, age=age)


def web_seeds(asset: Asset, *, now: datetime) -> list[str]:
    """Give the addresses that a torrent of this file may name at this moment (BEP 19)."""
    return [one.url for one in offers([asset], now=now)[asset.pk].offered if one.offers_web_seed]
