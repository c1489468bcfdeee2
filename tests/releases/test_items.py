"""Tile items come from items.geojson whole, or the file is refused by the tile and the finding."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from releases.drafts.items import MAX_BYTES, read_tiles
from releases.errors import BuildFailedError

LINK = {
    "rel": "via",
    "href": "https://webtransfer.vancouver.ca/opendata/2022sid/B12.zip",
    "type": "application/zip",
    "title_en": "Image",
    "title_fr": "Image",
}
RING = [[-123.1, 49.2], [-123.0, 49.2], [-123.0, 49.3], [-123.1, 49.2]]


def feature(**other: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": "B12",
        "geometry": {"type": "Polygon", "coordinates": [RING]},
        "properties": {"datetime": "2022-03-01T12:00:00-08:00"},
        "assets": {},
        "links": [LINK],
        **other,
    }


def written(tmp_path: Path, *features: Any) -> Path:
    path = tmp_path / "items.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def test_a_tile_has_shape_instant_in_utc_and_links(tmp_path: Path) -> None:
    (tile,) = read_tiles(written(tmp_path, feature()))
    assert tile.name == "B12"
    assert tile.shape.bounds == (-123.1, 49.2, -123.0, 49.3)
    assert tile.starts_at == tile.ends_at
    assert tile.starts_at.isoformat() == "2022-03-01T20:00:00+00:00"
    assert tile.links == (LINK,)


def test_a_span_has_two_instants(tmp_path: Path) -> None:
    span = {"start_datetime": "2022-01-01T00:00:00Z", "end_datetime": "2022-12-31T00:00:00Z"}
    (tile,) = read_tiles(written(tmp_path, feature(properties=span)))
    assert (tile.starts_at.month, tile.ends_at.month) == (1, 12)


BACKWARDS = {"start_datetime": "2022-12-31T00:00:00Z", "end_datetime": "2022-01-01T00:00:00Z"}
WRONG: list[tuple[str, Callable[[], Any], str]] = [
    ("no id", lambda: feature(id=None), "feature 1 has no id"),
    ("id with a slash", lambda: feature(id="a/b"), "feature 1 has no id"),
    ("not a feature", lambda: 5, "feature 1 has no id"),
    ("files of its own", lambda: feature(assets={"data": "B12.tif"}), "tile B12 names files"),
    ("no time", lambda: feature(properties={}), "tile B12 has no start_datetime or datetime"),
    ("time as a number", lambda: feature(properties={"datetime": 2022}), "tile B12 has no start_datetime"),
    ("time without offset", lambda: feature(properties={"datetime": "2022-01-01T00:00:00"}), "has no offset"),
    ("time backwards", lambda: feature(properties=BACKWARDS), "tile B12 ends before it starts"),
    ("no geometry", lambda: feature(geometry=None), "tile B12"),
    ("broken geometry", lambda: feature(geometry={"type": "Polygon"}), "tile B12"),
    (
        "metres for degrees",
        lambda: feature(geometry={"type": "Point", "coordinates": [500_000, 5_000_000]}),
        "tile B12 leaves the world",
    ),
    ("link without a title", lambda: feature(links=[{"rel": "via", "href": "https://x.ca"}]), "link without one of"),
    ("link as text", lambda: feature(links=["https://x.ca"]), "link without one of"),
    ("link to a file", lambda: feature(links=[LINK | {"href": "file:///etc/passwd"}]), "is no web address"),
]


@pytest.mark.parametrize(("make", "finding"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_tile_is_refused_by_name_and_finding(tmp_path: Path, make: Callable[[], Any], finding: str) -> None:
    with pytest.raises(BuildFailedError) as refusal:
        read_tiles(written(tmp_path, make()))
    assert finding in str(refusal.value)
    assert str(refusal.value).endswith("Correct the recipe and build again.")


def test_a_tile_may_come_once(tmp_path: Path) -> None:
    with pytest.raises(BuildFailedError, match="tile B12 comes twice"):
        read_tiles(written(tmp_path, feature(), feature()))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"features": 5}', "no json"])
def test_what_is_no_collection_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "items.geojson"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BuildFailedError, match="no GeoJSON FeatureCollection"):
        read_tiles(path)


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "items.geojson"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(BuildFailedError, match="Split the dataset"):
        read_tiles(path)
