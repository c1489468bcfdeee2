"""What the catalogue holds as STAC 1.1: one Collection a dataset, one version item a version, tile items of it.

Rules:
1. `href` of an asset is where it is best fetched; `alternate` (alternate-assets 1.2.0) names every proved copy by the
   mirror's slug, all of the same bytes.
2. `file:checksum` is the multihash of the sha256: `1220` and 64 hexadecimal digits (file 2.1.0).
3. What we do not hold is a link `rel=via`, never an asset.
4. An item of a span has `datetime` null with `start_datetime` and `end_datetime`; these two are always there.
5. Fields of our own begin with `d4c:`.
6. `sci:doi` of an item is the DOI of its version, that of a collection the DOI of all its versions; a collection
   without one has none (scientific 1.0.0).
Boxes are WGS 84 degrees: west, south, east, north. Texts are in one language; each has a catalogue of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pystac
import shapely

EXTENSIONS = "https://stac-extensions.github.io"
ALTERNATE = f"{EXTENSIONS}/alternate-assets/v1.2.0/schema.json"
FILE = f"{EXTENSIONS}/file/v2.1.0/schema.json"
SCIENTIFIC = f"{EXTENSIONS}/scientific/v1.0.0/schema.json"
VERSION = f"{EXTENSIONS}/version/v1.2.0/schema.json"
ITEM_EXTENSIONS = (ALTERNATE, FILE, SCIENTIFIC, VERSION)
COLLECTION_EXTENSIONS = (SCIENTIFIC, VERSION)
SHA256_MULTIHASH = "1220"
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Alternate:
    """One proved copy: the mirror's slug, its name for people, and the address there."""

    key: str
    name: str
    href: str


@dataclass(frozen=True)
class AssetEntry:
    key: str
    href: str
    title: str
    media_type: str
    role: str
    size_bytes: int
    sha256: str
    alternates: tuple[Alternate, ...] = ()


@dataclass(frozen=True)
class LinkEntry:
    rel: str
    href: str
    media_type: str
    title: str


@dataclass(frozen=True)
class ItemEntry:
    """One Item of a published version; `footprint_wkb` is a WGS 84 geometry, longitude before latitude."""

    id: str
    collection: str
    footprint_wkb: bytes
    bbox_wgs84: Box
    starts_at: datetime
    ends_at: datetime
    title: str
    description: str
    version: str
    is_deprecated: bool
    doi: str
    citation: str
    licence: str
    package: str
    dguid: str
    vintage: str
    published_at: datetime
    assets: tuple[AssetEntry, ...]
    links: tuple[LinkEntry, ...]


@dataclass(frozen=True)
class ProviderEntry:
    name: str
    role: str
    url: str


@dataclass(frozen=True)
class CollectionEntry:
    """One dataset with what its newest public version says; `doi` is that of all versions, empty if there is none."""

    id: str
    title: str
    description: str
    keywords: tuple[str, ...]
    licence: str
    providers: tuple[ProviderEntry, ...]
    bbox_wgs84: Box
    starts_at: datetime
    ends_at: datetime
    version: str
    doi: str
    citation: str
    package: str
    dguid: str
    region: str
    vintage: str
    links: tuple[LinkEntry, ...]


def instant(moment: datetime) -> str:
    """Write an instant as RFC 3339 in UTC with whole seconds, as everything in the catalogue."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def multihash(sha256: str) -> str:
    return SHA256_MULTIHASH + sha256


def moment_of(entry: ItemEntry) -> datetime | None:
    """Give the `datetime` of an item: its one instant, or None for a span."""
    return entry.starts_at if entry.starts_at == entry.ends_at else None


def properties(entry: ItemEntry) -> dict[str, Any]:
    """Give the properties of an item beside `datetime`, in the order of the columns of the Parquet files."""
    return {
        "start_datetime": instant(entry.starts_at),
        "end_datetime": instant(entry.ends_at),
        "created": instant(entry.published_at),
        "title": entry.title,
        "description": entry.description,
        "license": entry.licence,
        "version": entry.version,
        "deprecated": entry.is_deprecated,
        "sci:doi": entry.doi,
        "sci:citation": entry.citation,
        "d4c:package": entry.package,
        "d4c:dguid": entry.dguid,
        "d4c:vintage": entry.vintage,
    }


def item(entry: ItemEntry) -> pystac.Item:
    """Build the STAC Item of an entry."""
    made = pystac.Item(
        id=entry.id,
        geometry=shapely.geometry.mapping(shapely.from_wkb(entry.footprint_wkb)),
        bbox=list(entry.bbox_wgs84),
        datetime=moment_of(entry),
        properties=properties(entry),
        stac_extensions=list(ITEM_EXTENSIONS),
        collection=entry.collection,
    )
    for one in entry.assets:
        made.add_asset(one.key, asset(one))
    made.add_links([link(one) for one in entry.links])
    return made


def asset(entry: AssetEntry) -> pystac.Asset:
    extra: dict[str, Any] = {"file:size": entry.size_bytes, "file:checksum": multihash(entry.sha256)}
    if entry.alternates:
        extra["alternate"] = {one.key: {"href": one.href, "alternate:name": one.name} for one in entry.alternates}
    return pystac.Asset(
        href=entry.href, title=entry.title, media_type=entry.media_type, roles=[entry.role], extra_fields=extra
    )


def link(entry: LinkEntry) -> pystac.Link:
    return pystac.Link(rel=entry.rel, target=entry.href, media_type=entry.media_type, title=entry.title)


def collection(entry: CollectionEntry) -> pystac.Collection:
    """Build the STAC Collection of an entry."""
    spatial = pystac.SpatialExtent([list(entry.bbox_wgs84)])
    temporal = pystac.TemporalExtent([[entry.starts_at, entry.ends_at]])
    made = pystac.Collection(
        id=entry.id,
        title=entry.title,
        description=entry.description,
        keywords=list(entry.keywords) or None,
        license=entry.licence,
        providers=[provider(one) for one in entry.providers],
        extent=pystac.Extent(spatial, temporal),
        stac_extensions=list(COLLECTION_EXTENSIONS),
        extra_fields={
            "version": entry.version,
            **({"sci:doi": entry.doi} if entry.doi else {}),
            "sci:citation": entry.citation,
            "d4c:package": entry.package,
            "d4c:dguid": entry.dguid,
            "d4c:region": entry.region,
            "d4c:vintage": entry.vintage,
        },
    )
    made.add_links([link(one) for one in entry.links])
    return made


def provider(entry: ProviderEntry) -> pystac.Provider:
    return pystac.Provider(name=entry.name, roles=[pystac.ProviderRole(entry.role)], url=entry.url or None)


def document(made: pystac.Item | pystac.Collection) -> dict[str, Any]:
    """Give the JSON of an Item or Collection, its links as they were given."""
    return made.to_dict(include_self_link=True, transform_hrefs=False)


def collections_document(entries: Sequence[CollectionEntry]) -> dict[str, Any]:
    """Give all Collections in one document, in the shape of a STAC API's `/collections`."""
    return {"collections": [document(collection(entry)) for entry in entries], "links": []}
