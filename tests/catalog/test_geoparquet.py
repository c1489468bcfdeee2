"""GeoParquet files: the same bytes each time, valid metadata, and read back equal by three readers of others."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import geopandas
import jsonschema
import pyarrow.parquet as pq
import stac_geoparquet.arrow
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog import geoparquet, stac
from tests.catalog.entries import COLLECTION, DATA, ITEM, KEYS, MIRRORS, START, items

SCHEMAS = Path(__file__).parents[1] / "data"
TIMES = ("datetime", "start_datetime", "end_datetime", "created")


def write(path: Path, entries: Sequence[stac.ItemEntry], keys: Sequence[str] = KEYS) -> int:
    collections = {COLLECTION.id: stac.document(stac.collection(COLLECTION))}
    return geoparquet.write_items(path, entries, asset_keys=keys, mirrors=MIRRORS, collections=collections)


def plain(value: Any) -> Any:
    """Leave out what is null and read instants: Parquet has a place for each key, JSON for what is there."""
    if isinstance(value, dict):
        found = {key: instant(one) if key in TIMES else plain(one) for key, one in value.items()}
        return {key: one for key, one in found.items() if one is not None}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def read_back(path: Path) -> Iterator[dict[str, Any]]:
    yield from stac_geoparquet.arrow.stac_table_to_items(pq.read_table(path))


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(items(), min_size=1, max_size=5))
def test_stac_geoparquet_reads_back_the_items_that_pystac_builds(
    tmp_path: Path, entries: list[stac.ItemEntry]
) -> None:
    path = tmp_path / "items.parquet"
    write(path, entries)
    ours = [plain(stac.document(stac.item(entry))) for entry in entries]
    assert [plain(one) for one in read_back(path)] == ours


def test_the_same_entries_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, [ITEM, replace(ITEM, id="other")])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_metadata_is_valid_and_says_what_is_inside(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    write(path, [ITEM, replace(ITEM, id="other", bbox_wgs84=(-142.0, 40.0, -50.0, 80.0))])
    metadata = pq.read_metadata(path).metadata
    geo, described = json.loads(metadata[b"geo"]), json.loads(metadata[b"stac-geoparquet"])
    for name, document in (("geoparquet-1.1.0.json", geo), ("stac-geoparquet-metadata.json", described)):
        jsonschema.validate(document, json.loads((SCHEMAS / name).read_text(encoding="utf-8")))
    assert geo["columns"]["geometry"]["bbox"] == [-142.0, 40.0, -50.0, 83.0]
    assert geo["columns"]["geometry"]["geometry_types"] == ["Polygon"]
    assert geo["columns"]["geometry"]["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert list(described["collections"]) == [COLLECTION.id]


def test_duckdb_finds_by_box_doi_and_mirror(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    far = replace(ITEM, id="far", bbox_wgs84=(0.0, 0.0, 1.0, 1.0), doi="10.5072/far")
    write(path, [ITEM, far])
    query = 'SELECT id, assets.data.alternate.origin.href, assets.data."file:size" FROM read_parquet(?) WHERE {}'
    inside = duckdb.execute(query.format("bbox.xmin < -100"), [str(path)]).fetchall()
    assert inside == [(ITEM.id, DATA.alternates[0].href, DATA.size_bytes)]
    assert duckdb.execute(query.format("\"sci:doi\" = '10.5072/far'"), [str(path)]).fetchall()[0][0] == "far"


def test_geopandas_reads_by_the_box_column(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    far = replace(ITEM, id="far", bbox_wgs84=(0.0, 0.0, 1.0, 1.0))
    write(path, [ITEM, far])
    frame = geopandas.read_parquet(path, bbox=(-120, 45, -100, 60))
    assert list(frame["id"]) == [ITEM.id]
    assert frame.crs == "OGC:CRS84"
    assert frame.geometry.iloc[0].bounds == (-141.0, 41.0, -52.0, 83.0)


def test_items_without_any_asset_are_read_back_with_empty_assets(tmp_path: Path) -> None:
    path = tmp_path / "tiles.parquet"
    write(path, [replace(ITEM, assets=(), ends_at=START)], keys=())
    assert "assets" not in pq.read_schema(path).names
    assert [one["assets"] for one in read_back(path)] == [{}]


def test_nothing_is_written_for_nothing(tmp_path: Path) -> None:
    assert write(tmp_path / "none.parquet", []) == 0
    assert not (tmp_path / "none.parquet").exists()


def test_many_rows_come_in_groups_and_memory_holds_one(tmp_path: Path) -> None:
    path = tmp_path / "many.parquet"
    rows = geoparquet.ROWS_PER_GROUP * 2 + 1
    assert write(path, [replace(ITEM, id=str(number)) for number in range(rows)]) == rows
    sizes = [pq.read_metadata(path).row_group(group).num_rows for group in range(3)]
    assert sizes == [geoparquet.ROWS_PER_GROUP, geoparquet.ROWS_PER_GROUP, 1]
