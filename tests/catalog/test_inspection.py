"""What is wrong with a GeoParquet file is found; a good one has nothing to say."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import shapely
from pyarrow import parquet

from catalog.geoparquet import write_items
from catalog.inspection import inspect
from tests.catalog.entries import ITEM

FOUND = next(Path("examples/vancouver-orthoimagery-index/sources").glob("*.parquet"))
GOOD: dict[str, Any] = {
    "version": "1.1.0",
    "primary_column": "geometry",
    "columns": {
        "geometry": {
            "encoding": "WKB",
            "geometry_types": ["Polygon"],
            "bbox": [0, 0, 1, 1],
            "covering": {"bbox": {"xmin": ["bbox", "xmin"]}},
        }
    },
}


def written(tmp_path: Path, geo: Any, shapes: list[Any] | None = None) -> Path:
    path = tmp_path / "x.parquet"
    wkb = [None if one is None else shapely.to_wkb(one) for one in shapes or [shapely.box(0, 0, 1, 1)]]
    metadata = {} if geo is None else {"geo": geo if isinstance(geo, str) else json.dumps(geo)}
    parquet.write_table(pa.table({"geometry": pa.array(wkb, pa.binary())}).replace_schema_metadata(metadata), path)
    return path


def codes(path: Path) -> list[str]:
    return [one.code for one in inspect(path)]


def test_the_index_found_in_the_wild_has_its_four_defects() -> None:
    assert codes(FOUND) == ["geo-version", "primary-is-point", "no-box-column", "no-box"]
    assert inspect(FOUND)[0].found == "1.1.0-dev"
    assert (inspect(FOUND)[1].found, inspect(FOUND)[1].instead) == ("geo_point_2d", "geom")


def test_our_own_catalogue_has_none(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    write_items(path, [ITEM], asset_keys=["data"], mirrors=["origin"], collections={})
    assert codes(path) == []


def test_a_good_file_and_one_without_geometry_have_none(tmp_path: Path) -> None:
    assert codes(written(tmp_path, GOOD)) == []
    assert codes(written(tmp_path, None)) == []


@pytest.mark.parametrize(
    ("geo", "code"),
    [
        (GOOD | {"version": "2.0-dev"}, "geo-version"),
        (GOOD | {"primary_column": "shape"}, "primary-absent"),
        (GOOD | {"columns": GOOD["columns"] | {"other": {"encoding": "WKB"}}}, "column-absent"),
        ("no json", "geo-unreadable"),
        ({"version": "1.1.0"}, "geo-unreadable"),
        ([], "geo-unreadable"),
    ],
)
def test_each_wrong_metadata_is_named(tmp_path: Path, geo: Any, code: str) -> None:
    assert code in codes(written(tmp_path, geo))


def test_empty_and_invalid_geometries_are_counted(tmp_path: Path) -> None:
    bow = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    found = {one.code: one.found for one in inspect(written(tmp_path, GOOD, [bow, None, shapely.Polygon()]))}
    assert found == {"geometry-missing": "2", "geometry-invalid": "1"}


def test_what_is_no_parquet_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 not really")
    assert codes(path) == ["not-parquet"]
