"""Tables in files without types: CSV, and JSON as lines, a list of objects or GeoJSON features, written as Parquet.

Types are guessed from all values, so a table that is no table is an error and not a surprise later. A GeoJSON feature
becomes its properties and a column `geometry` of text.
"""

# ruff: noqa: S608  what queries name is ours: tables, and columns by their places

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from releases.diff.session import MEMORY, THREADS, linked, quoted

MEBI = 1 << 20
GUESSED: Mapping[str, int] = {".csv": 256 * MEBI, ".json": 24 * MEBI, ".geojson": 24 * MEBI, ".ndjson": 24 * MEBI}
READERS = {".csv": "read_csv({path}, sample_size = -1)", ".ndjson": "read_json({path}, format = 'newline_delimited')"}


def as_parquet(path: Path, suffix: str, folder: Path) -> Path:
    """Give a Parquet file of what a file holds: itself if it is one. Raises duckdb.Error or ValueError."""
    if suffix not in GUESSED:
        return path
    folder.mkdir()
    if suffix == ".csv":
        source = linked(path, folder / "table.csv")
    else:
        suffix, source = ".ndjson", write_lines(path, suffix, folder / "table.ndjson")
    target = folder / "table.parquet"
    with duckdb.connect(":memory:", config={"threads": THREADS, "memory_limit": MEMORY}) as connection:
        connection.execute(f"SET temp_directory = {quoted(folder / 'spill')}")
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET autoload_known_extensions = false")
        connection.execute(f"SET allowed_paths = [{quoted(source)}, {quoted(target)}]")
        connection.execute("SET enable_external_access = false")
        reader = READERS[suffix].format(path=quoted(source))
        connection.execute(f"COPY (SELECT * FROM {reader}) TO {quoted(target)} (FORMAT parquet)")
    return target


def write_lines(path: Path, suffix: str, target: Path) -> Path:
    """Write objects one a line; raises ValueError where there are none."""
    text = path.read_text(encoding="utf-8")
    found = (
        map(json.loads, filter(str.strip, text.splitlines())) if suffix == ".ndjson" else objects(json.loads(text))
    )
    with target.open("w", encoding="utf-8") as file:
        for one in found:
            if not isinstance(one, dict):
                raise ValueError("its entries are no objects")  # noqa: TRY004  the value is from outside, not from a caller
            file.write(json.dumps(one, ensure_ascii=True) + "\n")
    return target


def objects(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict) and isinstance(document.get("features"), list):
        return (feature_row(one) for one in document["features"])
    if isinstance(document, list):
        return iter(document)
    raise ValueError("it is neither a list of objects nor GeoJSON")


def feature_row(feature: Any) -> dict[str, Any]:
    properties = dict(feature.get("properties") or {})
    identity = {"id": feature["id"]} if "id" in feature and "id" not in properties else {}
    return {**identity, **properties, "geometry": json.dumps(feature.get("geometry"), sort_keys=True)}
