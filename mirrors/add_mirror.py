"""Add a mirror to the registry, with the policy that sends every dataset to it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db import transaction
from django.utils.translation import gettext as _

from mirrors.connect import OPENED_KINDS
from mirrors.errors import MirrorRefusedError
from mirrors.models import Mirror, MirrorQuerySet, Policy

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
    found = next(findings_of(entry), None)
    if found is not None:
        raise MirrorRefusedError(_("Mirror %(slug)s: %(finding)s") % {"slug": repr(entry.slug), "finding": found[1]})
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


def findings_of(entry: MirrorEntry, *, besides: Mirror | None = None) -> Iterator[tuple[str, str]]:
    """Give what is wrong with an entry, as field and sentence; `besides` is the row that it changes."""
    others = Mirror.objects.exclude(pk=besides.pk) if besides and besides.pk else Mirror.objects.all()
    yield from slug_findings(entry, others)
    yield from kind_findings(entry)
    yield from place_findings(entry)
    yield from owner_findings(entry)
    yield from length_findings(entry)
    yield from neighbour_findings(entry, others)


def slug_findings(entry: MirrorEntry, others: MirrorQuerySet) -> Iterator[tuple[str, str]]:
    if not SLUG.fullmatch(entry.slug):
        yield "slug", _("its short name may have only a-z, 0-9 and hyphens. Write it like storage-01.")
    elif others.filter(slug=entry.slug).exists():
        yield "slug", _("a mirror of that name is registered already. Choose another name.")


def kind_findings(entry: MirrorEntry) -> Iterator[tuple[str, str]]:
    if entry.kind not in OPENED_KINDS:
        yield (
            "kind",
            _("this installation cannot open mirrors of kind %(kind)s yet. Choose “local”.")
            % {"kind": repr(entry.kind)},
        )
    if entry.tier not in Mirror.Tier.values:
        yield (
            "tier",
            _("%(tier)s is no tier. Use one of %(tiers)s.")
            % {"tier": repr(entry.tier), "tiers": ", ".join(Mirror.Tier.values)},
        )


def place_findings(entry: MirrorEntry) -> Iterator[tuple[str, str]]:
    if not Path(entry.endpoint).is_absolute() or not Path(entry.endpoint).is_dir():
        yield (
            "endpoint",
            _("%(folder)s is no directory here. Make it, and name it by its absolute path.")
            % {"folder": repr(entry.endpoint)},
        )
    if not WEB_ADDRESS.fullmatch(entry.public_url):
        yield (
            "public_url",
            _("%(address)s is no web address. Write it like https://mirror.example.org/data.")
            % {"address": repr(entry.public_url)},
        )


def owner_findings(entry: MirrorEntry) -> Iterator[tuple[str, str]]:
    if not entry.operator.strip():
        yield "operator", _("it has no operator. Say who runs it; copies are counted by operator.")
    if not COUNTRY.fullmatch(entry.jurisdiction):
        yield (
            "jurisdiction",
            _("%(country)s is no country code of ISO 3166-1. Write it like CA.")
            % {"country": repr(entry.jurisdiction)},
        )


def length_findings(entry: MirrorEntry) -> Iterator[tuple[str, str]]:
    for name in ("name", "operator", "location", "endpoint", "public_url"):
        most = getattr(Mirror._meta.get_field(name), "max_length", None)  # noqa: SLF001  Django's documented way
        if most is not None and len(getattr(entry, name)) > most:
            yield (
                name,
                _("its %(name)s has more than %(most)s characters. Shorten it.") % {"name": name, "most": most},
            )
    if entry.capacity_bytes is not None and entry.capacity_bytes < 0:
        yield (
            "capacity_bytes",
            _("its capacity of %(bytes)s bytes is below nothing. Leave it out if there is no limit.")
            % {"bytes": entry.capacity_bytes},
        )


def neighbour_findings(entry: MirrorEntry, others: MirrorQuerySet) -> Iterator[tuple[str, str]]:
    """Refuse a directory that is another mirror's, or inside one: one disk would count as two copies."""
    ours = Path(entry.endpoint).resolve()
    for mirror in others.filter(kind=Mirror.Kind.LOCAL):
        theirs = Path(mirror.endpoint).resolve()
        if ours.is_relative_to(theirs) or theirs.is_relative_to(ours):
            yield (
                "endpoint",
                _(
                    "%(folder)s and the directory of mirror %(mirror)s lie in each other, so that one copy would "
                    "count as two. Choose a directory of its own."
                )
                % {"folder": repr(entry.endpoint), "mirror": repr(mirror.slug)},
            )
