"""What is wrong with a GeoParquet file as it was found. Reads metadata and geometries; never changes anything.

Rules: GeoParquet 1.0.0 and 1.1.0 are the published versions; the primary geometry is what people map, so it is not a
point where the file also has areas; a box in the metadata and a `bbox` column (covering, 1.1) let readers skip.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import shapely
from pyarrow import parquet

PUBLISHED = ("1.0.0", "1.1.0")
AREAS = {"Polygon", "MultiPolygon"}
BATCH_ROWS = 20_000


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Defect:
    """One thing that is wrong: the kind, what was found, and what is expected or meant instead (may be empty)."""

    code: str
    severity: Severity
    found: str = ""
    instead: str = ""


def inspect(path: Path | IO[bytes]) -> list[Defect]:
    """Give what is wrong with a Parquet file's geometry; nothing for one that has none.

    A file that is no Parquet is one error among others, since it comes from outside.
    """
    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        return [Defect("not-parquet", Severity.ERROR, first_line(error))]
    with file:
        text = (file.metadata.metadata or {}).get(b"geo")
        if text is None:
            return []
        try:
            geo = json.loads(text)
            columns: Mapping[str, Any] = {name: dict(one) for name, one in geo["columns"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return [Defect("geo-unreadable", Severity.ERROR)]
        return [*version_defects(geo), *primary_defects(geo, columns), *geometry_defects(file, columns)]


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]


def version_defects(geo: Mapping[str, Any]) -> Iterator[Defect]:
    if geo.get("version") not in PUBLISHED:
        yield Defect("geo-version", Severity.WARNING, str(geo.get("version"))[:80], ", ".join(PUBLISHED))


def primary_defects(geo: Mapping[str, Any], columns: Mapping[str, Any]) -> Iterator[Defect]:
    primary = str(geo.get("primary_column"))
    if primary not in columns:
        yield Defect("primary-absent", Severity.ERROR, primary[:80])
        return
    kinds = {name: set(one.get("geometry_types", [])) for name, one in columns.items()}
    areas = sorted(name for name, found in kinds.items() if found & AREAS and name != primary)
    if kinds[primary] == {"Point"} and areas:
        yield Defect("primary-is-point", Severity.WARNING, primary, areas[0])
    if "covering" not in columns[primary]:
        yield Defect("no-box-column", Severity.NOTE)
    if "bbox" not in columns[primary]:
        yield Defect("no-box", Severity.NOTE)


def geometry_defects(file: parquet.ParquetFile, columns: Mapping[str, Any]) -> Iterator[Defect]:
    """Read the geometries in batches and count what is empty or not valid."""
    there = [name for name in columns if name in file.schema_arrow.names]
    for name in sorted(set(columns) - set(there)):
        yield Defect(
            "column-absent", Severity.ERROR, f"Its metadata names the geometry `{name}`, which is not there."
        )
    for name in sorted(there):
        if columns[name].get("encoding") == "WKB":
            yield from counted(file, name)


def counted(file: parquet.ParquetFile, name: str) -> Iterator[Defect]:
    missing = invalid = 0
    for batch in file.iter_batches(BATCH_ROWS, columns=[name]):
        shapes = shapely.from_wkb(batch.column(0).to_pylist(), on_invalid="ignore")
        absent = shapely.is_missing(shapes) | shapely.is_empty(shapes)
        missing += int(absent.sum())
        invalid += int((~shapely.is_valid(shapes) & ~absent).sum())
    if missing:
        yield Defect("geometry-missing", Severity.WARNING, str(missing), name)
    if invalid:
        yield Defect("geometry-invalid", Severity.WARNING, str(invalid), name)
