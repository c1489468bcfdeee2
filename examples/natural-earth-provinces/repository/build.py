"""Provinces and territories of Canada from Natural Earth, named in English and French.

    python build.py --sources DIR --out DIR --parameters FILE.json

Reads `ne_50m_admin_1_states_provinces.geojson` from the sources and writes one file for each of
`parameters.formats` (geojson, csv, parquet) named after `parameters.stem`. The same input gives the same
bytes: features are ordered by province code, keys and numbers are written in one way only.
"""

import argparse
import csv
import json
import struct
from pathlib import Path

# Statistics Canada, Standard Geographical Classification 2021: ISO 3166-2 code, PRUID.
PRUIDS = {
    "CA-NL": "10",
    "CA-PE": "11",
    "CA-NS": "12",
    "CA-NB": "13",
    "CA-QC": "24",
    "CA-ON": "35",
    "CA-MB": "46",
    "CA-SK": "47",
    "CA-AB": "48",
    "CA-BC": "59",
    "CA-YT": "60",
    "CA-NT": "61",
    "CA-NU": "62",
}
TYPES_FR = {"Province": "Province", "Territory": "Territoire"}
FIELDS = ("dguid", "pruid", "iso_3166_2", "name_en", "name_fr", "type_en", "type_fr", "wikidata")


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--sources", "--out", "--parameters"):
        parser.add_argument(name, type=Path, required=True)
    arguments = parser.parse_args()
    parameters = json.loads(arguments.parameters.read_text(encoding="utf-8"))
    features = read(arguments.sources / "ne_50m_admin_1_states_provinces.geojson")
    for name in parameters["formats"]:
        target = arguments.out / f"{parameters['stem']}.{name}"
        WRITERS[name](features, target)
        print(f"{target.name}: {len(features)} features, {target.stat().st_size} bytes")


def read(source: Path) -> list[dict]:
    """Give the 13 Canadian features, ordered by PRUID; any other number is an error."""
    document = json.loads(source.read_text(encoding="utf-8"))
    features = [describe(one) for one in document["features"] if one["properties"]["iso_3166_2"] in PRUIDS]
    if len(features) != len(PRUIDS):
        raise SystemExit(f"{source.name}: {len(features)} of {len(PRUIDS)} provinces and territories found")
    return sorted(features, key=lambda one: one["properties"]["pruid"])


def describe(feature: dict) -> dict:
    found = feature["properties"]
    pruid = PRUIDS[found["iso_3166_2"]]
    values = (
        f"2021A0002{pruid}",
        pruid,
        found["iso_3166_2"],
        found["name_en"],
        found["name_fr"],
        found["type_en"],
        TYPES_FR[found["type_en"]],
        found["wikidataid"],
    )
    return {"type": "Feature", "properties": dict(zip(FIELDS, values, strict=True)), "geometry": feature["geometry"]}


def polygons(geometry: dict) -> list:
    return [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]


def box(geometry: dict) -> tuple[float, float, float, float]:
    """West, south, east, north in degrees."""
    points = [point for polygon in polygons(geometry) for ring in polygon for point in ring]
    longitudes, latitudes = [point[0] for point in points], [point[1] for point in points]
    return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


def write_geojson(features: list[dict], target: Path) -> None:
    lines = ",\n".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in features)
    target.write_text(f'{{"type":"FeatureCollection","features":[\n{lines}\n]}}\n', encoding="utf-8")


def write_csv(features: list[dict], target: Path) -> None:
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*FIELDS, "west", "south", "east", "north"])
        writer.writerows([*one["properties"].values(), *box(one["geometry"])] for one in features)


def wkb(geometry: dict) -> bytes:
    """ISO WKB, little-endian; every feature is a MultiPolygon so that the column has one type."""
    parts = [struct.pack("<BII", 1, 6, len(polygons(geometry)))]
    for polygon in polygons(geometry):
        parts.append(struct.pack("<BII", 1, 3, len(polygon)))
        for ring in polygon:
            parts.append(struct.pack("<I", len(ring)))
            parts.extend(struct.pack("<dd", point[0], point[1]) for point in ring)
    return b"".join(parts)


def write_parquet(features: list[dict], target: Path) -> None:
    """GeoParquet 1.1 with a bbox covering; longitude before latitude, OGC:CRS84."""
    import pyarrow as pa
    from pyarrow import parquet

    boxes = [box(one["geometry"]) for one in features]
    corners = ("xmin", "ymin", "xmax", "ymax")
    west, south, east, north = zip(*boxes, strict=True)
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["MultiPolygon"],
                "bbox": [min(west), min(south), max(east), max(north)],
                "covering": {"bbox": {corner: ["bbox", corner] for corner in corners}},
            }
        },
    }
    columns = {name: [one["properties"][name] for one in features] for name in FIELDS}
    columns["bbox"] = [dict(zip(corners, one, strict=True)) for one in boxes]
    columns["geometry"] = pa.array([wkb(one["geometry"]) for one in features], pa.binary())
    table = pa.table(columns).replace_schema_metadata({"geo": json.dumps(geo, separators=(",", ":"))})
    parquet.write_table(table, target, compression="zstd")


WRITERS = {"geojson": write_geojson, "csv": write_csv, "parquet": write_parquet}

if __name__ == "__main__":
    main()
