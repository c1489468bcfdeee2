"""Tile items from the declared output `items.geojson`.

A FeatureCollection (RFC 7946) with one feature a tile:
- `id`: the tile's name, `A-Z a-z 0-9 . _ -`, at most 80 characters, once;
- `geometry`: WGS 84, valid, not empty;
- `properties`: `datetime`, or `start_datetime` and `end_datetime`, RFC 3339 with an offset;
- `links`: what we do not hold (`rel`, `href`, `type`, `title_en`, `title_fr`), such as `via` to another's server.
A finding refuses the whole file; nothing of it is kept.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import shapely
from shapely.geometry.base import BaseGeometry

from catalog.models import Item, ItemLink, Version
from releases.errors import BuildFailedError

NAME = "items.geojson"
TILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
MAX_BYTES = 64 * 1024 * 1024
LINK_FIELDS = ("rel", "href", "type", "title_en", "title_fr")
BATCH = 2_000


@dataclass(frozen=True)
class Tile:
    """One tile, checked."""

    name: str
    shape: BaseGeometry
    starts_at: datetime
    ends_at: datetime
    links: tuple[Mapping[str, str], ...]


def read_tiles(path: Path) -> list[Tile]:
    """Read a whole `items.geojson`; raises BuildFailedError naming the first feature that is wrong, and how."""
    if path.stat().st_size > MAX_BYTES:
        raise refused(f"it has more than {MAX_BYTES} bytes. Split the dataset")
    try:
        features = list(json.loads(path.read_text(encoding="utf-8"))["features"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise refused("it is no GeoJSON FeatureCollection") from error
    tiles, seen = [], set()
    for number, feature in enumerate(features, start=1):
        tile = read_tile(feature, number)
        if tile.name in seen:
            raise refused(f"tile {tile.name} comes twice")
        seen.add(tile.name)
        tiles.append(tile)
    return tiles


def refused(finding: str) -> BuildFailedError:
    return BuildFailedError(f"{NAME}: {finding}. Correct the recipe and build again.")


def read_tile(feature: Any, number: int) -> Tile:
    name = feature.get("id") if isinstance(feature, dict) else None
    if not isinstance(name, str) or not TILE.fullmatch(name):
        raise refused(f"feature {number} has no id that can name a tile (A-Z a-z 0-9 . _ -)")
    if feature.get("assets"):
        raise refused(f"tile {name} names files; files of single tiles cannot be sealed yet. Leave `assets` empty")
    properties = feature.get("properties") or {}
    starts_at = read_instant(name, properties, "start_datetime")
    ends_at = read_instant(name, properties, "end_datetime")
    if starts_at > ends_at:
        raise refused(f"tile {name} ends before it starts")
    links = tuple(read_link(name, link) for link in feature.get("links") or [])
    return Tile(name, read_shape(name, feature.get("geometry")), starts_at, ends_at, links)


def read_instant(name: str, properties: Mapping[str, Any], field: str) -> datetime:
    text: Any = properties.get(field) or properties.get("datetime")
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise refused(f"tile {name} has no {field} or datetime in RFC 3339") from error
    if moment.tzinfo is None:
        raise refused(f"tile {name}: {field} {text} has no offset; write it with Z")
    return moment.astimezone(UTC)


def read_shape(name: str, geometry: Any) -> BaseGeometry:
    try:
        shape = shapely.from_geojson(json.dumps(geometry))
    except (ValueError, TypeError, shapely.errors.ShapelyError) as error:
        raise refused(f"tile {name} has no GeoJSON geometry") from error
    if shape is None or shape.is_empty or not shape.is_valid:
        raise refused(f"tile {name}: its geometry is empty or not valid")
    west, south, east, north = shape.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:  # noqa: PLR2004  degrees
        raise refused(f"tile {name} leaves the world; write longitude before latitude, in degrees")
    return shape


def read_link(name: str, link: Any) -> Mapping[str, str]:
    values: dict[str, Any] = {field: link.get(field) for field in LINK_FIELDS} if isinstance(link, dict) else {}
    if not all(isinstance(value, str) and value for value in values.values()) or not values:
        raise refused(f"tile {name} has a link without one of {', '.join(LINK_FIELDS)}")
    if urlsplit(values["href"]).scheme not in {"http", "https"}:
        raise refused(f"tile {name}: {values['href'][:80]!r} is no web address")
    return values


def write_tiles(version: Version, tiles: list[Tile]) -> None:
    """Put the tile items of a draft in the place of those of an earlier build, in the caller's transaction."""
    version.items.exclude(tile="").delete()
    for start in range(0, len(tiles), BATCH):
        part = tiles[start : start + BATCH]
        items = Item.objects.bulk_create(item_row(version, one) for one in part)
        ItemLink.objects.bulk_create(
            link for item, one in zip(items, part, strict=True) for link in link_rows(item, one)
        )


def item_row(version: Version, tile: Tile) -> Item:
    west, south, east, north = tile.shape.bounds
    return Item(
        version=version,
        item_id=f"{version.dataset.identifier}_{version.shown}_{tile.name}",
        tile=tile.name,
        footprint_wkb=shapely.to_wkb(tile.shape),
        west=west,
        south=south,
        east=east,
        north=north,
        starts_at=tile.starts_at,
        ends_at=tile.ends_at,
    )


def link_rows(item: Item, tile: Tile) -> Iterator[ItemLink]:
    for link in tile.links:
        yield ItemLink(
            item=item,
            rel=link["rel"],
            href=link["href"],
            media_type=link["type"],
            title_en=link["title_en"],
            title_fr=link["title_fr"],
        )
