"""The evidence for one version: each file at each mirror, the whole history of each copy, and all of it as CSV."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import Count, Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from catalog.models import Asset, Version
from catalog.templatetags.parts import ICONS
from dfc_site.pages.withdrawn import tombstone
from mirrors.models import PUBLIC, Check, Mirror, Replica
from mirrors.read import (
    Copy,
    copies_of,
    incident_lines,
    incidents,
    is_due,
    method_words,
    mirrors_of_version,
    newest_checks,
)
from mirrors.redirect import find_version

FILES_A_PAGE, CHECKS_A_PAGE, INCIDENTS_SHOWN = 100, 100, 20
KINDS = {Replica.State.VERIFIED: "ok", Replica.State.DAMAGED: "bad", Replica.State.MISSING: "bad"}
COLUMNS = (
    *("at", "file", "sha256", "mirror", "operator", "jurisdiction"),
    *("level", "method", "result", "size_seen_bytes", "checksum_seen", "checker"),
)


@dataclass(frozen=True)
class Cell:
    """One file at one mirror: the state as kind and words, and the newest check; `copy` is None if it is not kept.

    `is_old`: its proof is older than the policy, so that it is grey until it was looked at again.
    """

    mirror: Mirror
    copy: Copy | None
    kind: str
    words: str | Promise
    is_old: bool = False

    @property
    def icon(self) -> str:
        return ICONS[self.kind]


@dataclass(frozen=True)
class Row:
    asset: Asset
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class CheckLine:
    check: Check
    method: str


def evidence(request: HttpRequest, identifier: str, number: str) -> HttpResponse:
    """Show the matrix, a page of files at a time; a withdrawn version has its tombstone instead."""
    found = find_version(identifier, number)
    if found.state not in PUBLIC:
        return tombstone(request, found)
    files = Asset.objects.filter(item__version=found).order_by("item__tile", "pk")
    page = Paginator(files, FILES_A_PAGE).get_page(request.GET.get("page"))
    mirrors = mirrors_of_version(found)
    happened = incidents().filter(replica__asset__item__version=found)
    context = {
        **common(found),
        "page": page,
        "mirrors": mirrors,
        "operators": sorted({one.operator for one in mirrors}),
        "rows": rows_of(list(page.object_list), mirrors, now=timezone.now()),
        "counts": counts_of(found),
        "levels": Check.Level,
        "incidents": incident_lines(happened[:INCIDENTS_SHOWN]),
    }
    return render(request, "pages/evidence.html", context)


def common(found: Version) -> dict[str, Any]:
    return {
        "section": "datasets",
        "version": found,
        "dataset": found.dataset,
        "policy_days": settings.DFC_RECHECK_DAYS,
        "now": timezone.now(),
    }


def rows_of(assets: Sequence[Asset], mirrors: Sequence[Mirror], *, now: datetime) -> list[Row]:
    copies = newest_checks(assets)
    return [
        Row(asset, tuple(cell_of(mirror, copies.get((asset.pk, mirror.pk)), now=now) for mirror in mirrors))
        for asset in assets
    ]


def cell_of(mirror: Mirror, copy: Copy | None, *, now: datetime) -> Cell:
    if copy is None:
        return Cell(mirror, None, "idle", _("Not kept"))
    if is_due(copy.replica, now=now):
        return Cell(mirror, copy, "idle", _("Check due"), is_old=True)
    kind = KINDS.get(Replica.State(copy.replica.state), "idle")
    return Cell(mirror, copy, kind, copy.replica.get_state_display())


def counts_of(found: Version) -> dict[str, int]:
    """Count the copies of a version's files: all, those that are verified, and the files that have none of these."""
    states = dict(copies_of(found).order_by().values_list("state").annotate(count=Count("pk")))
    verified = Replica.objects.filter(asset=OuterRef("pk"), state=Replica.State.VERIFIED)
    lost = Asset.objects.filter(~Exists(verified), item__version=found)
    return {"all": sum(states.values()), "verified": states.get(Replica.State.VERIFIED, 0), "lost": lost.count()}


def history(request: HttpRequest, identifier: str, number: str, copy: int) -> HttpResponse:
    """Show every check of one copy, the newest first, and its incidents."""
    found = find_version(identifier, number)
    replica = copies_of(found).select_related("asset", "mirror").filter(pk=copy).first()
    if replica is None or found.state not in PUBLIC:
        raise Http404
    page = Paginator(replica.checks.all(), CHECKS_A_PAGE).get_page(request.GET.get("page"))
    context = {
        **common(found),
        "copy": replica,
        "page": page,
        "lines": [CheckLine(one, method_words(one.method)) for one in page.object_list],
        "incidents": incident_lines(incidents().filter(replica=replica)[:INCIDENTS_SHOWN]),
    }
    return render(request, "pages/evidence_history.html", context)


def all_checks(request: HttpRequest, identifier: str, number: str) -> HttpResponseBase:
    """Give every check of every copy of a version as CSV (RFC 4180), the oldest first; the memory used stays flat."""
    found = find_version(identifier, number)
    if found.state not in PUBLIC:
        return tombstone(request, found)
    name = f"{found.dataset.identifier}_{found.shown}_checks.csv"
    answer = StreamingHttpResponse(csv_lines(found), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


class Echo:
    """A file that gives back what is written to it, so that a row can be sent as soon as it is there."""

    def write(self, text: str) -> str:
        return text


def csv_lines(found: Version) -> Iterator[str]:
    writer = csv.writer(Echo())
    yield writer.writerow(COLUMNS)
    checks = Check.objects.filter(replica__asset__item__version=found).order_by("at", "pk")
    for check in checks.select_related("replica__asset", "replica__mirror").iterator(chunk_size=500):
        asset, mirror = check.replica.asset, check.replica.mirror
        place = (asset.path, asset.sha256, mirror.slug, mirror.operator, mirror.jurisdiction)
        seen = (check.size_seen_bytes, check.checksum_seen, check.checker)
        at = check.at.isoformat(timespec="seconds")
        yield writer.writerow((at, *place, check.level, check.method, check.result, *seen))
