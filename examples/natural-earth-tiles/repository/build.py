"""Provinces and territories of Canada as GeoParquet and as vector tiles, with GDAL, tippecanoe and pyarrow.

    python3 build.py --sources DIR --out DIR --parameters FILE.json

GDAL picks and orders the features, pyarrow writes them as GeoParquet 1.1, tippecanoe cuts the tiles. The same input
gives the same bytes: features are ordered by their ISO 3166-2 code, tippecanoe works in one thread, and no time is
written.
"""

import argparse
import json
import os
import struct
import subprocess
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

SOURCE = "ne_50m_admin_1_states_provinces.geojson"
FIELDS = ("iso_3166_2", "name_en", "name_fr")
CHOICE = (
    "SELECT iso_3166_2, name_en, name_fr FROM ne_50m_admin_1_states_provinces WHERE iso_a2 = 'CA' ORDER BY iso_3166_2"
)
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--sources", "--out", "--parameters"):
        parser.add_argument(name, type=Path, required=True)
    arguments = parser.parse_args()
    parameters = json.loads(arguments.parameters.read_text(encoding="utf-8"))
    chosen = Path(os.environ["TMPDIR"]) / "provinces.geojson"
    choose(arguments.sources / SOURCE, chosen)
    features = json.loads(chosen.read_text(encoding="utf-8"))["features"]
    print(f"{len(features)} provinces and territories", flush=True)
    write_parquet(features, arguments.out / f"{parameters['stem']}.parquet")
    cut_tiles(chosen, arguments.out / f"{parameters['stem']}.pmtiles", parameters)


def choose(source: Path, target: Path) -> None:
    """Take the Canadian features in the order of their codes, each as a MultiPolygon, at six decimals."""
    options = ["-lco", "RFC7946=YES", "-lco", "COORDINATE_PRECISION=6", "-nlt", "PROMOTE_TO_MULTI", "-sql", CHOICE]
    subprocess.run(["ogr2ogr", "-f", "GeoJSON", *options, target, source], check=True)


def cut_tiles(source: Path, target: Path, parameters: dict) -> None:
    words = ["tippecanoe", "--output", target, "--layer", "provinces", "--name", parameters["title"]]
    words += ["--minimum-zoom", "0", "--maximum-zoom", str(parameters["maximum_zoom"]), "--quiet", source]
    subprocess.run(words, check=True, env={**os.environ, "TIPPECANOE_MAX_THREADS": "1"})


def box(geometry: dict) -> tuple[float, float, float, float]:
    """West, south, east, north in degrees."""
    points = [point for polygon in geometry["coordinates"] for ring in polygon for point in ring]
    longitudes, latitudes = [point[0] for point in points], [point[1] for point in points]
    return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


def wkb(geometry: dict) -> bytes:
    """ISO WKB, little-endian, of a MultiPolygon."""
    parts = [struct.pack("<BII", 1, 6, len(geometry["coordinates"]))]
    for polygon in geometry["coordinates"]:
        parts.append(struct.pack("<BII", 1, 3, len(polygon)))
        for ring in polygon:
            parts.append(struct.pack("<I", len(ring)))
            parts.extend(struct.pack("<dd", point[0], point[1]) for point in ring)
    return b"".join(parts)


def write_parquet(features: list[dict], target: Path) -> None:
    """GeoParquet 1.1 with a bbox covering; longitude before latitude, OGC:CRS84."""
    boxes = [box(one["geometry"]) for one in features]
    west, south, east, north = zip(*boxes, strict=True)
    column = {
        "encoding": "WKB",
        "geometry_types": ["MultiPolygon"],
        "bbox": [min(west), min(south), max(east), max(north)],
        "covering": {"bbox": {corner: ["bbox", corner] for corner in CORNERS}},
    }
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    columns = {name: [one["properties"][name] for one in features] for name in FIELDS}
    columns["bbox"] = [dict(zip(CORNERS, one, strict=True)) for one in boxes]
    columns["geometry"] = pa.array([wkb(one["geometry"]) for one in features], pa.binary())
    table = pa.table(columns).replace_schema_metadata({"geo": json.dumps(geo, separators=(",", ":"))})
    parquet.write_table(table, target, compression="zstd")


if __name__ == "__main__":
    main()
