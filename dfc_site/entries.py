"""From rows of all apps to the entries of the catalogue, in one language and in one order.

Rows are read in pages of PAGE versions, so that memory stays flat however many there are.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import groupby

from django.conf import settings
from django.urls import reverse
from django.utils.translation import override

from catalog.citation import Citation, is_test_doi
from catalog.models import Asset, Dataset, Item, ItemLink, Version, VersionQuerySet
from catalog.stac import Alternate, AssetEntry, Box, CollectionEntry, ItemEntry, LinkEntry, ProviderEntry
from mirrors.models import Doi
from mirrors.offer import lasting_offers
from mirrors.selection import Ranking
from releases.models import SourceFile

PAGE = 200
JSON, GEOJSON, HTML = "application/json", "application/geo+json", "text/html"
LISTED = (Version.State.PUBLISHED, Version.State.DEPRECATED)


def listed_versions() -> VersionQuerySet:
    """Give every version that the catalogue lists, by dataset and precedence; the withdrawn leave it."""
    found = Version.objects.filter(state__in=LISTED).with_item_ids()
    found = found.select_related("dataset__package", "dataset__licence")
    return found.prefetch_related("dataset__providers").order_by("dataset__identifier", "precedence")


@dataclass(frozen=True)
class Neighbours:
    """The versions around one of the same dataset; `newest` is the latest."""

    before: Version | None
    after: Version | None
    newest: Version


def with_neighbours() -> Iterator[tuple[Version, Neighbours]]:
    rows = listed_versions().iterator(chunk_size=PAGE)
    for _, group in groupby(rows, key=lambda version: version.dataset_id):
        versions = list(group)
        newest = latest(versions)
        for before, version, after in zip([None, *versions], versions, [*versions[1:], None], strict=False):
            yield version, Neighbours(before, after, newest)


def latest(versions: Sequence[Version]) -> Version:
    """Choose as `Version.objects.latest_of` does, from rows at hand; a deprecated one if there is no other."""
    published = [one for one in versions if one.state == Version.State.PUBLISHED] or list(versions)
    return ([one for one in published if not one.prerelease] or published)[-1]


def pages(rows: Iterable[tuple[Version, Neighbours]]) -> Iterator[list[tuple[Version, Neighbours]]]:
    page = []
    for row in rows:
        page.append(row)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def version_items(language: str, *, now: datetime) -> Iterator[ItemEntry]:
    """Give the version item of every listed version."""
    with override(language):
        for page in pages(with_neighbours()):
            items = Item.objects.filter(version__in=[version.pk for version, _ in page], tile="")
            yield from entries_of(page, list(items), language, now=now)


def tile_items(version: Version, around: Neighbours, language: str, *, now: datetime) -> Iterator[ItemEntry]:
    """Give the tile items of one version, by tile."""
    with override(language):
        tiles = version.items.exclude(tile="").order_by("tile")
        for start in range(0, tiles.count(), PAGE * 10):
            yield from entries_of([(version, around)], list(tiles[start : start + PAGE * 10]), language, now=now)


def entries_of(
    page: Sequence[tuple[Version, Neighbours]], items: list[Item], language: str, *, now: datetime
) -> Iterator[ItemEntry]:
    by_version = {version.pk: (version, around) for version, around in page}
    place = {pk: number for number, pk in enumerate(by_version)}
    assets = assets_of(items)
    rankings = lasting_offers([one for many in assets.values() for one in many], now=now)
    links, sources = links_of(items, language), sources_of(by_version)
    for item in sorted(items, key=lambda one: (place[one.version_id], one.tile)):
        version, around = by_version[item.version_id]
        own = [asset_entry(version, one, rankings[one.pk]) for one in assets[item.pk]]
        more = links[item.pk] if item.tile else sources[version.pk]
        yield item_entry(version, item, own, [*common_links(version, around, language), *more], language)


def assets_of(items: Iterable[Item]) -> dict[int, list[Asset]]:
    found: dict[int, list[Asset]] = defaultdict(list)
    for asset in Asset.objects.filter(item__in=[item.pk for item in items]).order_by("pk"):
        found[asset.item_id].append(asset)
    return found


def links_of(items: Iterable[Item], language: str) -> dict[int, list[LinkEntry]]:
    found: dict[int, list[LinkEntry]] = defaultdict(list)
    for link in ItemLink.objects.filter(item__in=[item.pk for item in items]).order_by("pk"):
        title = link.title_fr if language == "fr" else link.title_en
        found[link.item_id].append(LinkEntry(link.rel, link.href, link.media_type, title))
    return found


def sources_of(versions: Iterable[int]) -> dict[int, list[LinkEntry]]:
    """Give the upstream files of versions as `via` links."""
    found: dict[int, list[LinkEntry]] = defaultdict(list)
    for one in (
        SourceFile.objects.filter(release__version__in=list(versions)).select_related("release").order_by("name")
    ):
        found[one.release.version_id].append(LinkEntry("via", one.url, one.media_type, one.name))
    return found


def asset_entry(version: Version, asset: Asset, ranking: Ranking) -> AssetEntry:
    """Name the copies in one order for all; a file without a proved copy has our door, which says so."""
    copies = sorted(ranking.offered, key=lambda one: one.mirror)
    door = f"{settings.DFC_SITE_URL}/d/{version.dataset.identifier}/{version.shown}/{asset.path}"
    return AssetEntry(
        key=asset.key,
        href=ranking.offered[0].url if ranking.offered else door,
        title=asset.path,
        media_type=asset.media_type,
        role=asset.role,
        size_bytes=asset.size_bytes,
        sha256=asset.sha256,
        alternates=tuple(Alternate(one.mirror, one.mirror_name, one.url) for one in copies),
    )


def citation_of(version: Version, language: str) -> Citation:
    title = version.dataset.title_fr if language == "fr" else version.dataset.title_en
    return Citation(title=title, version=version.shown, year=version.year, doi=version.doi or "", language=language)


def dataset_citation(version: Version, language: str, concept: Doi | None) -> Citation:
    """Cite a dataset as a whole, with `version` as its newest: by the DOI of all versions if that leads somewhere."""
    dataset = version.dataset
    with override(language):
        address = f"{settings.DFC_SITE_URL}{reverse('dataset', args=[dataset.identifier])}"
    leads = concept is not None and concept.registered_at and not is_test_doi(concept.name)
    doi = concept.name if concept is not None and leads else ""
    return Citation(dataset.title, version="", year=version.year, doi=doi, language=language, address=address)


def item_entry(
    version: Version, item: Item, assets: Sequence[AssetEntry], links: Sequence[LinkEntry], language: str
) -> ItemEntry:
    dataset = version.dataset
    title = f"{dataset.title}, {version.shown}" + (f", {item.tile}" if item.tile else "")
    return ItemEntry(
        id=item.item_id,
        collection=dataset.identifier,
        footprint_wkb=bytes(item.footprint_wkb),
        bbox_wgs84=(item.west, item.south, item.east, item.north),
        starts_at=item.starts_at,
        ends_at=item.ends_at,
        title=title,
        description=dataset.description,
        version=version.number,
        is_deprecated=version.state == Version.State.DEPRECATED,
        doi=version.doi or "",
        citation=citation_of(version, language).text,
        licence=dataset.licence.spdx_id,
        package=dataset.package.slug,
        dguid=dataset.dguid,
        vintage=dataset.vintage,
        published_at=version.published_at or version.dataset.created_at,
        assets=tuple(assets),
        links=tuple(links),
    )


def collection_href(dataset: Dataset, language: str) -> str:
    return f"{settings.DFC_SITE_URL}{reverse('stac-collection', args=[dataset.identifier])}?lang={language}"


def item_href(version: Version, language: str) -> str:
    address = reverse("stac-item", args=[version.dataset.identifier, version.item_id])
    return f"{settings.DFC_SITE_URL}{address}?lang={language}"


def page_href(version: Version, language: str) -> str:
    with override(language):
        return f"{settings.DFC_SITE_URL}{reverse('version', args=[version.dataset.identifier, version.shown])}"


def common_links(version: Version, around: Neighbours, language: str) -> list[LinkEntry]:
    """Give the links that stay true wherever the document lies: they are whole addresses."""
    dataset = version.dataset
    links = [
        LinkEntry("collection", collection_href(dataset, language), JSON, dataset.title),
        LinkEntry("cite-as", f"https://doi.org/{version.doi}", HTML, version.doi or ""),
        LinkEntry("license", dataset.licence.url, HTML, dataset.licence.title),
        LinkEntry("alternate", page_href(version, language), HTML, f"{dataset.title}, {version.shown}"),
        LinkEntry("latest-version", item_href(around.newest, language), GEOJSON, around.newest.shown),
    ]
    for rel, other in (("predecessor-version", around.before), ("successor-version", around.after)):
        if other is not None:
            links.append(LinkEntry(rel, item_href(other, language), GEOJSON, other.shown))
    return links


def start_of(day: date | None) -> datetime:
    return datetime.combine(day or date(1, 1, 1), time.min, tzinfo=UTC)


def collections(language: str) -> Iterator[CollectionEntry]:
    """Give the Collection of every dataset with a listed version."""
    with override(language):
        for page in pages(with_neighbours()):
            newest = [around.newest for _, around in page if around.after is None]
            concepts = {one.dataset_id: one for one in Doi.objects.concepts_of([one.dataset for one in newest])}
            for version in newest:
                yield collection_entry(version, language, concepts.get(version.dataset_id))


def collection_entry(version: Version, language: str, concept: Doi | None) -> CollectionEntry:
    """Describe a dataset, with `version` as its newest; its DOI is that of all versions, and never that of one."""
    dataset = version.dataset
    citation = dataset_citation(version, language, concept)
    return CollectionEntry(
        id=dataset.identifier,
        title=dataset.title,
        description=dataset.description,
        keywords=tuple(dataset.keywords),
        licence=dataset.licence.spdx_id,
        providers=tuple(ProviderEntry(one.name, one.role, one.url) for one in dataset.providers.all()),
        bbox_wgs84=box_of(dataset),
        starts_at=start_of(dataset.starts_on),
        ends_at=start_of(dataset.ends_on),
        version=version.number,
        doi=dataset.concept_doi,
        citation=citation.text,
        package=dataset.package.slug,
        dguid=dataset.dguid,
        region=dataset.region,
        vintage=dataset.vintage,
        links=tuple(collection_links(version, language, citation)),
    )


def box_of(dataset: Dataset) -> Box:
    west, south, east, north = dataset.west, dataset.south, dataset.east, dataset.north
    if west is None or south is None or east is None or north is None:
        return (-180.0, -90.0, 180.0, 90.0)
    return (west, south, east, north)


def collection_links(version: Version, language: str, citation: Citation) -> list[LinkEntry]:
    dataset = version.dataset
    return [
        LinkEntry("self", collection_href(dataset, language), JSON, dataset.title),
        LinkEntry("cite-as", citation.url, HTML, citation.doi or dataset.title),
        LinkEntry("license", dataset.licence.url, HTML, dataset.licence.title),
        LinkEntry("alternate", page_href(version, language), HTML, f"{dataset.title}, {version.shown}"),
        LinkEntry("item", item_href(version, language), GEOJSON, version.shown),
    ]
