"""What the public sees of second thoughts: the tombstone of a withdrawn version, the reason of a deprecation."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from catalog.models import Asset, Version
from dfc_site.entries import citation_of
from mirrors.read import mirrors_of_version
from releases.models import Decision
from swarm.read import torrents_of

FILES_SHOWN = 100


@dataclass(frozen=True)
class Event:
    """One line of a version's history."""

    title: str | Promise
    at: datetime
    is_bad: bool = False


def tombstone(request: HttpRequest, found: Version) -> HttpResponse:
    """Answer 410 with what remains of a withdrawn version: when and why, what to use instead, and the digests."""
    return render(request, "pages/withdrawn.html", context_of(found), status=410)


def context_of(found: Version) -> dict[str, Any]:
    decision = Decision.objects.taken_of(found, Decision.Kind.WITHDRAW)
    assets = Asset.objects.filter(item__version=found).order_by("item__tile", "pk")
    files = list(assets[:FILES_SHOWN])
    torrents = torrents_of(files)
    return {
        "version": found,
        "dataset": found.dataset,
        "decision": decision,
        "proposer": public_name(decision.proposer) if decision else "",
        "seconder": public_name(decision.seconder) if decision and decision.seconder else "",
        "instead": instead_of(found, decision),
        "files": [(one, torrents.get(one.pk)) for one in files],
        "unlisted": assets.count() - len(files),
        "total_bytes": assets.aggregate(total=Sum("size_bytes"))["total"] or 0,
        "citation": citation_of(found, get_language() or "en"),
        "mirrors": mirrors_of_version(found),
        "history": history_of(found, decision),
        "section": "datasets",
    }


def notice_of(found: Version) -> dict[str, Any]:
    """Give what the page of a deprecated version says about it; nothing for any other."""
    if found.state != Version.State.DEPRECATED:
        return {}
    decision = Decision.objects.taken_of(found, Decision.Kind.DEPRECATE)
    return {"decision": decision, "instead": instead_of(found, decision)}


def instead_of(found: Version, decision: Decision | None) -> Version | None:
    """Give the version to use instead: the one that was named, while it is published, else the latest."""
    named = decision.replacement if decision else None
    if named is not None and named.state == Version.State.PUBLISHED:
        return named
    return Version.objects.exclude(pk=found.pk).latest_of(found.dataset)


def public_name(person: Any) -> str:
    """Give the name that a person has set to be seen, and nothing that leads to one who has not."""
    return person.get_full_name() or _("a curator")


def history_of(found: Version, decision: Decision | None) -> list[Event]:
    """Give what became of a version, the newest first."""
    events = [Event(gettext_lazy("Published"), found.published_at)] if found.published_at else []
    deprecated = Decision.objects.taken_of(found, Decision.Kind.DEPRECATE)
    if deprecated and deprecated.decided_at:
        events.append(Event(gettext_lazy("Deprecated"), deprecated.decided_at))
    if decision and decision.decided_at:
        events.append(Event(gettext_lazy("Withdrawal proposed"), decision.proposed_at))
        events.append(Event(gettext_lazy("Withdrawn"), decision.decided_at, is_bad=True))
    return sorted(events, key=lambda one: one.at)[::-1]
