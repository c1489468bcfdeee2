"""The reviewer's page: what changed since the version before, by tabs, with the decision beside it."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _

from catalog.footprint import draw_pair
from catalog.models import Version
from releases.admin.pages import context_of, find, page_of, rail_of, require_view
from releases.models import Release, ReviewDiff
from releases.next_acts import next_of
from releases.review import newest_diff
from releases.reviews import shown_diff as shown


def diff_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one tab of the difference, `?tab=`; `?json` gives its whole text, of which the digest is."""
    require_view(request)
    release = find(pk)
    diff = newest_diff(release)
    if diff is None:
        return HttpResponseRedirect(page_of(release))
    if "json" in request.GET:
        return as_json(release, diff)
    document = shown.document_of(diff)
    wanted = request.GET.get("tab", "")
    tab = wanted if wanted in shown.TABS else "summary"
    context = context_of(
        request,
        title=_("Review: %(release)s") % {"release": release},
        release=release,
        rail=rail_of(release),
        tab=tab,
        tab_template=f"admin/releases/diff_{tab}.html",
        tabs=tabs_of(document),
        changes=shown.overview(document),
        **content_of(tab, document),
        **pictures_of(tab, release, diff),
        **next_of(release, request.user),
    )
    return render(request, "admin/releases/diff.html", context)


def as_json(release: Release, diff: ReviewDiff) -> HttpResponse:
    response = HttpResponse(diff.body, content_type="application/json")
    name = f"{release.version.dataset.identifier}_{release.version.shown}_difference.json"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def tabs_of(document: Mapping[str, Any]) -> list[tuple[str, Any, int]]:
    counts = shown.counts_of(document)
    return [(name, title, counts.get(name, 0)) for name, title in shown.TABS.items()]


def content_of(tab: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Give what one tab shows."""
    comparison = document["comparison"]
    return {
        "reasons": shown.reasons_shown(document) if tab == "summary" else [],
        "files": shown.files_shown(document) if tab == "files" else [],
        "tables": shown.tables_shown(document) if tab in {"schema", "statistics", "rows"} else [],
        "texts": shown.texts_shown(document) if tab == "metadata" else [],
        "facts": shown.facts_shown(document) if tab == "metadata" else [],
        "recipe": comparison["recipe"],
        "footprint": comparison["footprint"],
        "tiles": comparison["tiles"],
    }


def pictures_of(tab: str, release: Release, diff: ReviewDiff) -> dict[str, Any]:
    """Draw both outlines in one frame; a first edition has only its own."""
    if tab != "map":
        return {}
    before, after = (outline_of(version) for version in (diff.against, release.version))
    return {"picture": draw_pair(before, after)}


def outline_of(version: Version | None) -> bytes | None:
    item = version.items.filter(tile="").first() if version else None
    return bytes(item.footprint_wkb) if item else None
