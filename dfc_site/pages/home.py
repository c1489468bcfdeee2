"""The first page: what there is, and a search that takes whatever people arrive with. Its address is its state."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from django.core.paginator import Paginator
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, get_language_from_request, override

from catalog.models import Alias, Asset, DataPackage, Dataset, Version
from catalog.places import place_name, region_name
from catalog.search import (
    LISTED,
    Filters,
    asset_with,
    best_of,
    digest_in,
    named_version,
    public_datasets,
    search,
)
from dfc_site.entries import latest
from dfc_site.pages.atlas import HEIGHT, WIDTH, dot
from dfc_site.pages.totals import totals
from mirrors.safety import NOTHING, Safety, safety_of
from swarm.read import assets_with

PAGE_SIZE = 20
QUERY_LENGTH = 300
YEAR = re.compile(r"[1-9][0-9]{3}")
Match = tuple[int, int, str]  # the keys of a dataset and of its data package, and its region


@dataclass(frozen=True)
class Hit:
    """One dataset of the list, with the version that its link leads to."""

    dataset: Dataset
    version: Version
    safety: Safety
    place: str


@dataclass(frozen=True)
class Dot:
    """The place of one dataset on the map."""

    x: float
    y: float
    grade: str
    title: str


@dataclass(frozen=True)
class Choice:
    """One box of a filter: its value, its words, how many datasets it would show, and whether it is ticked."""

    value: str
    words: str
    datasets: int
    is_chosen: bool


def front(request: HttpRequest) -> HttpResponse:
    """Send people to the language that their browser asks for."""
    with override(get_language_from_request(request)):
        return HttpResponseRedirect(reverse("home"))


def home(request: HttpRequest) -> HttpResponse:
    """List and search; what names one thing (a digest, a DOI, an identifier) leads straight to it."""
    query = request.GET.get("q", "").replace("\0", "")[:QUERY_LENGTH].strip()
    address = address_of(query) if query else None
    if address:
        return HttpResponseRedirect(address)
    filters, packages = read_filters(request.GET), list(DataPackage.objects.all())
    matches = matches_of(query, filters)
    chosen = chosen_of(matches, filters, packages)
    page = Paginator([key for key, _, _ in chosen], PAGE_SIZE).get_page(request.GET.get("page"))
    hits = hits_of(list(page.object_list))
    context = {
        "query": query,
        "digest": digest_in(query),
        "filters": filters,
        "is_narrowed": filters != Filters(),
        "page": page,
        "hits": hits,
        "map": {"width": WIDTH, "height": HEIGHT, "dots": dots_of(hits)},
        "packages": package_choices(matches, filters, packages),
        "regions": region_choices(matches, filters, packages),
        "totals": totals(now=timezone.now()),
        "feed_address": reverse("feed", args=[get_language() or "en"]),
        "section": "datasets",
    }
    return render(request, "pages/home.html", context)


def read_filters(given: QueryDict) -> Filters:
    """Read filters from an address; what is no year is passed over."""
    first, last = (given.get(name, "").strip() for name in ("from", "to"))
    return Filters(
        packages=tuple(sorted(set(given.getlist("package")) - {""})),
        regions=tuple(sorted(set(given.getlist("region")) - {""})),
        first_year=int(first) if YEAR.fullmatch(first) else None,
        last_year=int(last) if YEAR.fullmatch(last) else None,
    )


def address_of(query: str) -> str | None:
    """Give the address of the one thing that a query names whole; None where it has to be searched for."""
    version = named_version(query)
    if version is not None:
        return reverse("version", args=[version.dataset.identifier, version.shown])
    asset = file_with(digest_in(query))
    if asset is not None:
        shown = asset.item.version
        return f"{reverse('version', args=[shown.dataset.identifier, shown.shown])}#{anchor_of(asset)}"
    dataset = public_datasets().filter(identifier=query).first() or former_dataset(query)
    return reverse("dataset", args=[dataset.identifier]) if dataset else None


def former_dataset(query: str) -> Dataset | None:
    """Give the public dataset that had this identifier before it was renamed."""
    alias = Alias.objects.filter(identifier=query).first()
    return public_datasets().filter(pk=alias.dataset_id).first() if alias else None


def file_with(digest: str) -> Asset | None:
    """Give the public file with this sha256, sha1, md5 or info-hash."""
    if not digest:
        return None
    return asset_with(digest) or best_of(assets_with(digest))


def anchor_of(asset: Asset) -> str:
    return "files" if asset.item.tile else f"file-{asset.key}"


def matches_of(query: str, filters: Filters) -> list[Match]:
    """Give what fits query and years, in order; one reading of the rows serves list, total and all boxes."""
    found = search(query, replace(filters, packages=(), regions=()))
    return list(found.values_list("pk", "package", "region"))


def chosen_of(matches: Sequence[Match], filters: Filters, packages: Sequence[DataPackage]) -> Sequence[Match]:
    """Keep what fits the boxes that are ticked; a group without a tick takes everything."""
    if filters.packages:
        wanted = {one.pk for one in packages if one.slug in filters.packages}
        matches = [match for match in matches if match[1] in wanted]
    if filters.regions:
        matches = [match for match in matches if match[2] in filters.regions]
    return matches


def package_choices(matches: Sequence[Match], filters: Filters, packages: Sequence[DataPackage]) -> list[Choice]:
    found = Counter(key for _, key, _ in chosen_of(matches, replace(filters, packages=()), packages))
    numbers = {one.slug: found[one.pk] for one in packages}
    return choices([(one.slug, one.title) for one in packages], numbers, filters.packages)


def region_choices(matches: Sequence[Match], filters: Filters, packages: Sequence[DataPackage]) -> list[Choice]:
    found = Counter(region for _, _, region in chosen_of(matches, replace(filters, regions=()), packages))
    regions = {*found, *filters.regions} - {""}
    names = sorted((region_name(one, get_language() or "en"), one) for one in regions)
    return choices([(region, name) for name, region in names], found, filters.regions)


def choices(named: Iterable[tuple[str, str]], numbers: Mapping[str, int], chosen: tuple[str, ...]) -> list[Choice]:
    """Give the boxes that would show something, and those that are ticked."""
    found = (Choice(value, words, numbers.get(value, 0), value in chosen) for value, words in named)
    return [one for one in found if one.datasets or one.is_chosen]


def hits_of(keys: Sequence[int]) -> list[Hit]:
    """Give the datasets of one page of the list, in its order."""
    rows = Dataset.objects.select_related("package", "licence").defer("folded_names", "folded_texts").in_bulk(keys)
    found = [rows[key] for key in keys if key in rows]
    newest = newest_versions(rows)
    safety = safety_of([version.pk for version in newest.values()], now=timezone.now())
    language = get_language() or "en"
    return [
        Hit(one, version, safety.get(version.pk, NOTHING), place_name(one.region, one.dguid, language))
        for one in found
        if (version := newest.get(one.pk))
    ]


def dots_of(hits: Iterable[Hit]) -> list[Dot]:
    """Give the dots of those that have a place; the ones that need somebody lie on top."""
    found = []
    for hit in hits:
        one = hit.dataset
        place = dot(one.west, one.south, one.east, one.north)
        if place:
            found.append(Dot(*place, grade=hit.safety.grade, title=one.title))
    return sorted(found, key=lambda one: ("safe", "help", "risk").index(one.grade))


def newest_versions(dataset_ids: Iterable[int]) -> dict[int, Version]:
    """Give for each dataset the version that `latest` means, else the newest deprecated one; in one query."""
    versions = Version.objects.filter(dataset__in=list(dataset_ids), state__in=LISTED).order_by("precedence")
    by_dataset: dict[int, list[Version]] = {}
    for version in versions:
        by_dataset.setdefault(version.dataset_id, []).append(version)
    return {dataset: latest(many) for dataset, many in by_dataset.items()}


def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer `ok` when the database answers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ok\n", content_type="text/plain")
