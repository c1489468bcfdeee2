"""The index of Vancouver's 2022 orthoimagery: one tile a row, repaired into GeoParquet 1.1, and STAC tile items.

    python build.py --sources DIR --out DIR --parameters FILE.json

Reads the index as the city published it, whose `geo` metadata names an unpublished version and the centre point as
primary geometry, and which has no box column. Writes `<stem>.parquet` (GeoParquet 1.1: the tile's outline is the
geometry, a `bbox` column covers it) and `items.geojson` (one feature a tile, with the city's images as links).
The same input gives the same bytes: tiles are ordered by name, and numbers are written in one way only.
"""

import argparse
import json
import struct
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

CORNERS = ("xmin", "ymin", "xmax", "ymax")
IMAGES = {"mrsid_url": "MrSID", "ecw_url": "ECW"}


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--sources", "--out", "--parameters"):
        parser.add_argument(name, type=Path, required=True)
    arguments = parser.parse_args()
    parameters = json.loads(arguments.parameters.read_text(encoding="utf-8"))
    tiles = read(arguments.sources / parameters["index"])
    write_items(tiles, arguments.out / "items.geojson", parameters)
    write_parquet(tiles, arguments.out / f"{parameters['stem']}.parquet")
    print(f"{len(tiles)} tiles")


def read(source: Path) -> list[dict]:
    """Give the tiles by name; a name that comes twice, or an outline that is no plain polygon, is an error."""
    rows = sorted(parquet.read_table(source).to_pylist(), key=lambda row: row["name"])
    names = [row["name"] for row in rows]
    if len(set(names)) != len(names):
        raise SystemExit(f"{source.name}: a tile name comes twice")
    return [row | {"ring": ring_of(row["geom"], row["name"])} for row in rows]


def ring_of(wkb: bytes, name: str) -> list[tuple[float, float]]:
    """Give the one ring of a WKB polygon (little-endian): longitude and latitude."""
    order, kind, rings, points = struct.unpack_from("<BIII", wkb)
    if (order, kind, rings) != (1, 3, 1):
        raise SystemExit(f"tile {name}: its outline is no polygon of one ring")
    return [struct.unpack_from("<dd", wkb, 13 + 16 * number) for number in range(points)]


def box(ring: list[tuple[float, float]]) -> tuple[float, float, float, float]:
    """West, south, east, north in degrees."""
    longitudes, latitudes = zip(*ring, strict=True)
    return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


def write_items(tiles: list[dict], target: Path, parameters: dict) -> None:
    lines = ",\n".join(json.dumps(item(one, parameters), ensure_ascii=False, separators=(",", ":")) for one in tiles)
    target.write_text(f'{{"type":"FeatureCollection","features":[\n{lines}\n]}}\n', encoding="utf-8")


def item(tile: dict, parameters: dict) -> dict:
    return {
        "type": "Feature",
        "id": tile["name"],
        "geometry": {"type": "Polygon", "coordinates": [tile["ring"]]},
        "properties": {"start_datetime": parameters["start"], "end_datetime": parameters["end"]},
        "assets": {},
        "links": [
            {
                "rel": "via",
                "href": tile[column],
                "type": "application/zip",
                "title_en": f"Image of this tile at the City of Vancouver ({form})",
                "title_fr": f"Image de ce carreau à la Ville de Vancouver ({form})",
            }
            for column, form in IMAGES.items()
        ],
    }


def write_parquet(tiles: list[dict], target: Path) -> None:
    """GeoParquet 1.1 with a box column as covering; longitude before latitude, OGC:CRS84."""
    boxes = [box(one["ring"]) for one in tiles]
    west, south, east, north = zip(*boxes, strict=True)
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["Polygon"],
                "bbox": [min(west), min(south), max(east), max(north)],
                "covering": {"bbox": {corner: ["bbox", corner] for corner in CORNERS}},
            }
        },
    }
    columns = {name: [one[name] for one in tiles] for name in ("name", "mrsid_url", "ecw_url")}
    columns["bbox"] = [dict(zip(CORNERS, one, strict=True)) for one in boxes]
    columns["geometry"] = pa.array([one["geom"] for one in tiles], pa.binary())
    table = pa.table(columns).replace_schema_metadata({"geo": json.dumps(geo, separators=(",", ":"))})
    parquet.write_table(table, target, compression="zstd")


if __name__ == "__main__":
    main()
