"""Which copies may be offered to a client, in which order, and why the others may not. Pure.

1. Offered is what is verified by a full re-read (L4) or the mirror's own checksum (L2), not older than the age
   limit, with nothing newer that failed, on an enabled mirror that answers and is not paused, and there in no draft.
   A proof dated in the future is none: some checker's clock is wrong, and the copy would never be due again.
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
CLOCK_SKEW = timedelta(minutes=5)


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
    mirror_state: str
    offers_web_seed: bool
    state: str
    proved_at: datetime | None
    proved_level: int | None
    failed_at: datetime | None
    is_in_draft: bool = False


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
    closed = closure(one)
    if closed:
        return Exclusion(one, *closed)
    if one.state != "verified":
        return Exclusion(one, one.state, f"the copy is {one.state}")
    if one.proved_at is None or one.proved_level not in PROVING_LEVELS:
        return Exclusion(one, "unproved", "no full re-read and no checksum of the mirror proves it")
    finding = doubt(one.proved_at, one.failed_at, now, age)
    if finding:
        return Exclusion(one, *finding)
    return Exclusion(one, "silent", "the mirror does not answer") if one.mirror_state == "silent" else None


def closure(one: Candidate) -> tuple[str, str] | None:
    """Say why nobody may be sent to the place of a copy, whatever it is like; None if people may."""
    if not one.is_enabled:
        return "disabled", "the mirror is out of service"
    if one.mirror_state == "paused":
        return "paused", "the mirror is paused by its operator"
    return ("draft", "it lies in a draft that is not public yet") if one.is_in_draft else None


def doubt(proved_at: datetime, failed_at: datetime | None, now: datetime, age: timedelta) -> tuple[str, str] | None:
    """Say why a proof does not hold at this moment; None if it does."""
    if failed_at is not None and failed_at >= proved_at:
        return "failed", "the newest check failed"
    if proved_at - now > CLOCK_SKEW:
        return "future", "its last proof is dated in the future"
    if now - proved_at > age:
        return "due", "its last proof is too old"
    return None


def preference(one: Candidate, client: Client, file: str) -> tuple[bool, int, int]:
    tier = TIERS.index(one.tier) if one.tier in TIERS else len(TIERS)
    lot = hashlib.sha256(f"{client.key}\0{file}\0{one.mirror}".encode()).digest()
    return (one.mirror != client.wanted, tier, -int.from_bytes(lot[:8]))
