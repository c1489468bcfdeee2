"""Write Items as STAC GeoParquet: GeoParquet 1.1 with a box column as covering, and stac-geoparquet 1.0.0 metadata.

Rules:
1. Rows are written in the order in which they come, in groups of at most ROWS_PER_GROUP; memory holds one group.
2. The same entries give the same bytes.
3. Parquet has no empty struct. Where no item has an asset the column `assets` is left out, and readers give `{}`;
   where some items lack one, its sub-struct is null there (docs/decisions/0006 says why).
4. Instants are timestamps in microseconds, UTC; geometry is WKB in OGC:CRS84 (the default of GeoParquet).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import shapely
from pyarrow import parquet

from catalog.stac import ITEM_EXTENSIONS, AssetEntry, ItemEntry, moment_of, multihash

GEOPARQUET_VERSION = "1.1.0"
STAC_GEOPARQUET_VERSION = "1.0.0"  # both the published schema and all readers know this one alone
STAC_VERSION = "1.1.0"
ROWS_PER_GROUP = 10_000
CORNERS = ("xmin", "ymin", "xmax", "ymax")
INSTANT = pa.timestamp("us", tz="UTC")
TEXTS = pa.list_(pa.string())
BOX = pa.struct([(corner, pa.float64()) for corner in CORNERS])
LINK = pa.struct([("href", pa.string()), ("rel", pa.string()), ("type", pa.string()), ("title", pa.string())])
COPY = pa.struct([("href", pa.string()), ("alternate:name", pa.string())])

Column = Callable[[ItemEntry], Any]
COLUMNS: Mapping[str, tuple[pa.DataType, Column]] = {
    "type": (pa.string(), lambda _: "Feature"),
    "stac_version": (pa.string(), lambda _: STAC_VERSION),
    "stac_extensions": (TEXTS, lambda _: list(ITEM_EXTENSIONS)),
    "id": (pa.string(), lambda one: one.id),
    "collection": (pa.string(), lambda one: one.collection),
    "geometry": (pa.binary(), lambda one: one.footprint_wkb),
    "bbox": (BOX, lambda one: dict(zip(CORNERS, one.bbox_wgs84, strict=True))),
    "datetime": (INSTANT, moment_of),
    "start_datetime": (INSTANT, lambda one: one.starts_at),
    "end_datetime": (INSTANT, lambda one: one.ends_at),
    "created": (INSTANT, lambda one: one.published_at.replace(microsecond=0)),
    "title": (pa.string(), lambda one: one.title),
    "description": (pa.string(), lambda one: one.description),
    "license": (pa.string(), lambda one: one.licence),
    "version": (pa.string(), lambda one: one.version),
    "deprecated": (pa.bool_(), lambda one: one.is_deprecated),
    "sci:doi": (pa.string(), lambda one: one.doi),
    "sci:citation": (pa.string(), lambda one: one.citation),
    "d4c:package": (pa.string(), lambda one: one.package),
    "d4c:dguid": (pa.string(), lambda one: one.dguid),
    "d4c:vintage": (pa.string(), lambda one: one.vintage),
    "links": (
        pa.list_(LINK),
        lambda one: [
            {"href": link.href, "rel": link.rel, "type": link.media_type, "title": link.title} for link in one.links
        ],
    ),
}


def write_items(
    target: Path,
    entries: Iterable[ItemEntry],
    *,
    asset_keys: Sequence[str],
    mirrors: Sequence[str],
    collections: Mapping[str, Mapping[str, Any]],
) -> int:
    """Write a file and give the number of its rows; nothing is written for none.

    `asset_keys` and `mirrors` are all keys of assets and alternates that occur; `collections` are the STAC
    Collections, by id, that the file carries along for readers without our portal.
    """
    groups = grouped(entries)
    first = next(groups, None)
    if first is None:
        return 0
    described = Described()
    schema = schema_of(asset_keys, mirrors)
    rows = 0
    with parquet.ParquetWriter(target, schema, compression="zstd", store_schema=False) as writer:
        for group in chained(first, groups):
            described.see(group)
            writer.write_batch(batch_of(group, schema), row_group_size=ROWS_PER_GROUP)
            rows += len(group)
        writer.add_key_value_metadata(metadata(described, collections))
    return rows


def grouped(entries: Iterable[ItemEntry]) -> Iterator[list[ItemEntry]]:
    rest = iter(entries)
    while group := list(islice(rest, ROWS_PER_GROUP)):
        yield group


def chained(first: list[ItemEntry], rest: Iterator[list[ItemEntry]]) -> Iterator[list[ItemEntry]]:
    yield first
    yield from rest


def asset_type(mirrors: Sequence[str]) -> pa.StructType:
    fields = [
        ("href", pa.string()),
        ("title", pa.string()),
        ("type", pa.string()),
        ("roles", TEXTS),
        ("file:size", pa.int64()),
        ("file:checksum", pa.string()),
    ]
    copies = [("alternate", pa.struct([(slug, COPY) for slug in mirrors]))] if mirrors else []
    return pa.struct([*fields, *copies])


def schema_of(asset_keys: Sequence[str], mirrors: Sequence[str]) -> pa.Schema:
    fields = [pa.field(name, kind) for name, (kind, _) in COLUMNS.items()]
    if asset_keys:
        fields.append(pa.field("assets", pa.struct([(key, asset_type(mirrors)) for key in asset_keys])))
    return pa.schema(fields)


def batch_of(group: Sequence[ItemEntry], schema: pa.Schema) -> pa.RecordBatch:
    columns = [pa.array([read(one) for one in group], kind) for kind, read in COLUMNS.values()]
    if "assets" in schema.names:
        columns.append(pa.array([assets_of(one) for one in group], schema.field("assets").type))
    return pa.record_batch(columns, schema=schema)


def assets_of(entry: ItemEntry) -> dict[str, Any]:
    return {one.key: asset_row(one) for one in entry.assets}


def asset_row(one: AssetEntry) -> dict[str, Any]:
    row: dict[str, Any] = {
        "href": one.href,
        "title": one.title,
        "type": one.media_type,
        "roles": [one.role],
        "file:size": one.size_bytes,
        "file:checksum": multihash(one.sha256),
    }
    if one.alternates:
        row["alternate"] = {copy.key: {"href": copy.href, "alternate:name": copy.name} for copy in one.alternates}
    return row


class Described:
    """What the metadata says of all rows: the kinds of geometry and the box around them."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self.boxes: list[tuple[float, float, float, float]] = []

    def see(self, group: Sequence[ItemEntry]) -> None:
        self.kinds |= {shapely.from_wkb(one.footprint_wkb).geom_type for one in group}
        self.boxes = [around([*self.boxes, *(one.bbox_wgs84 for one in group)])]


def around(boxes: Sequence[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)


def metadata(described: Described, collections: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    geometry = {
        "encoding": "WKB",
        "geometry_types": sorted(described.kinds),
        "bbox": list(described.boxes[0]),
        "covering": {"bbox": {corner: ["bbox", corner] for corner in CORNERS}},
    }
    geo = {"version": GEOPARQUET_VERSION, "primary_column": "geometry", "columns": {"geometry": geometry}}
    stac = {"version": STAC_GEOPARQUET_VERSION, "collections": dict(collections)}
    return {"geo": canonical(geo), "stac-geoparquet": canonical(stac)}


def canonical(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
