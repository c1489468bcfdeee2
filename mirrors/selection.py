"""Which copies may be offered to a client, in which order, and why the others may not. Pure.

1. Offered is what is verified by a full re-read (L4) or the mirror's own checksum (L2), not older than the age
   limit, with nothing newer that failed, on an enabled mirror.
2. The mirror that the client asked for comes first; then tiers in their order.
3. Inside a tier the order is weighted by nothing but rendezvous hashing of client and file, so that one client
   stays with one mirror and many clients spread.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

TIERS = ("primary", "preservation", "strategic", "community")
PROVING_LEVELS = frozenset({2, 4})


@dataclass(frozen=True)
class Candidate:
    """One copy as far as choosing needs it; `proved_at` is of its newest successful L2 or L4 check."""

    mirror: str
    mirror_name: str
    operator: str
    jurisdiction: str
    tier: str
    url: str
    is_enabled: bool
    offers_web_seed: bool
    state: str
    proved_at: datetime | None
    proved_level: int | None
    failed_at: datetime | None


@dataclass(frozen=True)
class Exclusion:
    candidate: Candidate
    code: str
    reason: str


@dataclass(frozen=True)
class Ranking:
    """Copies in the order of preference, and each excluded one with its reason."""

    offered: tuple[Candidate, ...]
    excluded: tuple[Exclusion, ...]


@dataclass(frozen=True)
class Client:
    """Who asks: a stable key of its network, and the mirror that it wants, if any."""

    key: str = ""
    wanted: str = ""


def rank(candidates: Sequence[Candidate], client: Client, *, file: str, now: datetime, age: timedelta) -> Ranking:
    """Order the copies of one file for one client. Never raises; with no good copy, none is offered."""
    judged = [(one, exclusion(one, now, age)) for one in candidates]
    offered = [one for one, reason in judged if reason is None]
    return Ranking(
        offered=tuple(sorted(offered, key=lambda one: preference(one, client, file))),
        excluded=tuple(reason for _, reason in judged if reason is not None),
    )


def exclusion(one: Candidate, now: datetime, age: timedelta) -> Exclusion | None:
    """Say why a copy may not be offered; None if it may."""
    if not one.is_enabled:
        return Exclusion(one, "disabled", "the mirror is out of service")
    if one.state != "verified":
        return Exclusion(one, one.state, f"the copy is {one.state}")
    if one.proved_at is None:
        return Exclusion(one, "unproved", "no full re-read and no checksum of the mirror proves it")
    if one.failed_at is not None and one.failed_at >= one.proved_at:
        return Exclusion(one, "failed", "the newest check failed")
    if now - one.proved_at > age:
        return Exclusion(one, "due", "its last proof is too old")
    return None


def preference(one: Candidate, client: Client, file: str) -> tuple[bool, int, int]:
    tier = TIERS.index(one.tier) if one.tier in TIERS else len(TIERS)
    lot = hashlib.sha256(f"{client.key}\0{file}\0{one.mirror}".encode()).digest()
    return (one.mirror != client.wanted, tier, -int.from_bytes(lot[:8]))
