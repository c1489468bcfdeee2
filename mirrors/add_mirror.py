"""Add a mirror to the registry, with the policy that sends every dataset to it."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db import transaction

from mirrors.connect import OPENED_KINDS
from mirrors.errors import MirrorRefusedError
from mirrors.models import Mirror, Policy

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
HOST = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?"
WEB_ADDRESS = re.compile(rf"(?!.*[?#])https?://{HOST}(?:/[!-~]*)?")  # as torrents take it: no blanks, no accents
COUNTRY = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True)
class MirrorEntry:
    """What a person says of a mirror; `is_required` None means that no policy is made."""

    slug: str
    kind: str
    endpoint: str
    public_url: str
    operator: str
    jurisdiction: str
    name: str = ""
    location: str = ""
    tier: str = Mirror.Tier.PRIMARY
    capacity_bytes: int | None = None
    is_required: bool | None = None


def add_mirror(entry: MirrorEntry, *, now: datetime) -> Mirror:
    """Check and write a mirror; raises MirrorRefusedError naming what is wrong with which field."""
    findings = (slug_finding, kind_finding, place_finding, owner_finding, length_finding, neighbour_finding)
    for find in findings:
        if finding := find(entry):
            raise MirrorRefusedError(f"Mirror {entry.slug!r}: {finding}")
    with transaction.atomic():
        mirror = Mirror.objects.create(
            slug=entry.slug,
            name=entry.name or entry.slug,
            kind=entry.kind,
            operator=entry.operator,
            jurisdiction=entry.jurisdiction,
            location=entry.location,
            tier=entry.tier,
            endpoint=entry.endpoint,
            public_url=entry.public_url.rstrip("/"),
            capacity_bytes=entry.capacity_bytes,
            added_at=now,
        )
        if entry.is_required is not None:
            Policy.objects.create(mirror=mirror, is_required=entry.is_required)
    return mirror


def slug_finding(entry: MirrorEntry) -> str:
    if not SLUG.fullmatch(entry.slug):
        return "its short name may have only a-z, 0-9 and hyphens. Write it like storage-01."
    if Mirror.objects.filter(slug=entry.slug).exists():
        return "a mirror of that name is registered already. Choose another name."
    return ""


def kind_finding(entry: MirrorEntry) -> str:
    if entry.kind not in OPENED_KINDS:
        return f"this installation cannot open mirrors of kind {entry.kind!r} yet. Use --kind local."
    if entry.tier not in Mirror.Tier.values:
        return f"{entry.tier!r} is no tier. Use one of {', '.join(Mirror.Tier.values)}."
    return ""


def place_finding(entry: MirrorEntry) -> str:
    if not Path(entry.endpoint).is_absolute() or not Path(entry.endpoint).is_dir():
        return f"{entry.endpoint!r} is no directory here. Make it, and name it by its absolute path."
    if not WEB_ADDRESS.fullmatch(entry.public_url):
        return f"{entry.public_url!r} is no web address. Write it like https://mirror.example.org/data."
    return ""


def owner_finding(entry: MirrorEntry) -> str:
    if not entry.operator.strip():
        return "it has no operator. Say who runs it; copies are counted by operator."
    if not COUNTRY.fullmatch(entry.jurisdiction):
        return f"{entry.jurisdiction!r} is no country code of ISO 3166-1. Write it like CA."
    return ""


def length_finding(entry: MirrorEntry) -> str:
    for name in ("name", "operator", "location", "endpoint", "public_url"):
        most = getattr(Mirror._meta.get_field(name), "max_length", None)  # noqa: SLF001  Django's documented way
        if most is not None and len(getattr(entry, name)) > most:
            return f"its {name} has more than {most} characters. Shorten it."
    if entry.capacity_bytes is not None and entry.capacity_bytes < 0:
        return f"its capacity of {entry.capacity_bytes} bytes is below nothing. Leave it out if there is no limit."
    return ""


def neighbour_finding(entry: MirrorEntry) -> str:
    """Refuse a directory that is another mirror's, or inside one: one disk would count as two copies."""
    ours = Path(entry.endpoint).resolve()
    for mirror in Mirror.objects.filter(kind=Mirror.Kind.LOCAL):
        theirs = Path(mirror.endpoint).resolve()
        if ours.is_relative_to(theirs) or theirs.is_relative_to(ours):
            return (
                f"{entry.endpoint!r} and the directory of mirror {mirror.slug!r} lie in each other, so that one copy "
                "would count as two. Choose a directory of its own."
            )
    return ""
