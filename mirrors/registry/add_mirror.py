"""Add a mirror to the registry, with the policy that sends every dataset to it."""

import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from mirrors.connect import OPENED_KINDS
from mirrors.errors import MirrorRefusedError
from mirrors.models import Mirror, MirrorQuerySet, Policy
from mirrors.registry.examinations import start_examination
from mirrors.registry.mirror_entry import Finding, MirrorEntry
from mirrors.registry.mirror_kinds import FINDINGS

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
COUNTRY = re.compile(r"[A-Z]{2}")
TEXTS = (
    "name",
    "operator",
    "location",
    "endpoint",
    "public_url",
    "bucket",
    "prefix",
    "region",
    "storage_class",
    "collection",
)


def add_mirror(entry: MirrorEntry, *, now: datetime) -> Mirror:
    """Check and write a mirror, and have it examined.

    Raises MirrorRefusedError naming what is wrong with which field.
    """
    found = next(findings_of(entry), None)
    if found is not None:
        raise MirrorRefusedError(_("Mirror %(slug)s: %(finding)s") % {"slug": repr(entry.slug), "finding": found[1]})
    with transaction.atomic():
        columns = asdict(entry) | {"name": entry.name or entry.slug, "public_url": entry.public_url.rstrip("/")}
        columns.pop("is_required")
        mirror = Mirror.objects.create(**columns, added_at=now)
        if entry.is_required is not None:
            Policy.objects.create(mirror=mirror, is_required=entry.is_required)
        start_examination(mirror, now=now)
    return mirror


def findings_of(entry: MirrorEntry, *, besides: Mirror | None = None) -> Iterator[Finding]:
    """Give what is wrong with an entry, as field and sentence; `besides` is the row that it changes."""
    others = Mirror.objects.exclude(pk=besides.pk) if besides and besides.pk else Mirror.objects.all()
    yield from slug_findings(entry, others)
    yield from kind_findings(entry)
    yield from owner_findings(entry)
    yield from length_findings(entry)
    yield from number_findings(entry)
    if entry.kind in FINDINGS:
        yield from FINDINGS[entry.kind](entry, others)


def slug_findings(entry: MirrorEntry, others: MirrorQuerySet) -> Iterator[Finding]:
    if not SLUG.fullmatch(entry.slug):
        yield "slug", _("its short name may have only a-z, 0-9 and hyphens. Write it like storage-01.")
    elif others.filter(slug=entry.slug).exists():
        yield "slug", _("a mirror of that name is registered already. Choose another name.")


def kind_findings(entry: MirrorEntry) -> Iterator[Finding]:
    if entry.kind not in OPENED_KINDS:
        yield (
            "kind",
            _("this installation cannot open mirrors of kind %(kind)s. Choose one of %(kinds)s.")
            % {"kind": repr(entry.kind), "kinds": ", ".join(OPENED_KINDS)},
        )
    if entry.tier not in Mirror.Tier.values:
        yield (
            "tier",
            _("%(tier)s is no tier. Use one of %(tiers)s.")
            % {"tier": repr(entry.tier), "tiers": ", ".join(Mirror.Tier.values)},
        )


def owner_findings(entry: MirrorEntry) -> Iterator[Finding]:
    if not entry.operator.strip():
        yield "operator", _("it has no operator. Say who runs it; copies are counted by operator.")
    if not COUNTRY.fullmatch(entry.jurisdiction):
        yield (
            "jurisdiction",
            _("%(country)s is no country code of ISO 3166-1. Write it like CA.")
            % {"country": repr(entry.jurisdiction)},
        )


def length_findings(entry: MirrorEntry) -> Iterator[Finding]:
    for name in TEXTS:
        most = getattr(Mirror._meta.get_field(name), "max_length", None)  # noqa: SLF001  Django's documented way
        if most is not None and len(getattr(entry, name)) > most:
            yield (
                name,
                _("its %(name)s has more than %(most)s characters. Shorten it.") % {"name": name, "most": most},
            )


def number_findings(entry: MirrorEntry) -> Iterator[Finding]:
    if entry.settle_s < 0:
        yield "settle_s", _("its settle time is below nothing. Write it in seconds, like 30.")
    if entry.capacity_bytes is not None and entry.capacity_bytes < 0:
        yield (
            "capacity_bytes",
            _("its capacity of %(bytes)s bytes is below nothing. Leave it out if there is no limit.")
            % {"bytes": entry.capacity_bytes},
        )
    if entry.daily_read_bytes is not None and entry.daily_read_bytes < 0:
        yield (
            "daily_read_bytes",
            _("%(bytes)s bytes a day are below nothing. Write 0 if nothing is to be read again by itself.")
            % {"bytes": entry.daily_read_bytes},
        )
