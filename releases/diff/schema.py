"""What columns a Parquet file has, and how two schemas differ. Reads footers alone.

Types are those of readers: `large_string`, `string_view` and dictionaries of strings are all `string`, since the
choice between them is the writer's and no reader of a column sees it. A GeoParquet geometry has the CRS of the `geo`
metadata: `OGC:CRS84` where none is written (GeoParquet 1.1), which means the same as `EPSG:4326` there, for axes are
always x, y.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

DEFAULT_CRS = "OGC:CRS84"
SAME_CRS = {"OGC:CRS84", "EPSG:4326"}
LONGEST_NAME = 200


class Kind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    CHANGED = "changed"
    REWRITTEN = "rewritten"  # written otherwise, means the same
    SAME = "same"


@dataclass(frozen=True)
class Column:
    """One column at the top of a table; `crs` and `encoding` are empty for one that is no geometry."""

    name: str
    type: str
    is_nullable: bool
    encoding: str = ""
    crs: str = ""

    @property
    def is_geometry(self) -> bool:
        return bool(self.encoding)

    @property
    def shown(self) -> str:
        return f"{self.encoding}, {self.crs}" if self.is_geometry else self.type


@dataclass(frozen=True)
class ColumnChange:
    """One column of before, of after, or of both under the same or another name; `before` and `after` are places."""

    kind: Kind
    before: int | None
    after: int | None


def read_columns(path: Path) -> tuple[Column, ...]:
    """Give the columns in their order; a name that stands twice gets ` (2)`. Raises pa.ArrowInvalid or OSError."""
    schema = parquet.read_schema(path)
    geometries = geometry_facts(schema.metadata or {})
    fields = [schema.field(place) for place in range(len(schema))]
    names = distinct_names([field.name[:LONGEST_NAME] for field in fields])
    return tuple(column(name, field, geometries.get(field.name)) for name, field in zip(names, fields, strict=True))


def distinct_names(names: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    given = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        given.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return given


def column(name: str, field: pa.Field, geometry: Mapping[str, Any] | None) -> Column:
    if geometry is None:
        return Column(name, type_of(field.type), field.nullable)
    encoding = str(geometry.get("encoding", "?"))
    return Column(name, type_of(field.type), field.nullable, encoding, crs_of(geometry))


def type_of(kind: pa.DataType) -> str:
    """Name a type as readers see it; text of any depth of nesting, cut where it becomes endless."""
    if pa.types.is_dictionary(kind):
        return type_of(kind.value_type)
    text = str(kind).replace("large_", "").replace("string_view", "string").replace("binary_view", "binary")
    return text[:400]


def geometry_facts(metadata: Mapping[bytes, bytes]) -> dict[str, Mapping[str, Any]]:
    """Give what the `geo` metadata says of each geometry; nothing where it cannot be read, which inspection says."""
    try:
        columns = json.loads(metadata[b"geo"])["columns"]
        return {str(name): dict(facts) for name, facts in columns.items()}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def crs_of(geometry: Mapping[str, Any]) -> str:
    """Name a CRS by authority and code, else by its own name; `unknown` where it is null on purpose."""
    crs = geometry.get("crs", DEFAULT_CRS)
    if not isinstance(crs, Mapping):
        return str(crs)[:80] if crs else "unknown"
    identity = crs.get("id")
    if isinstance(identity, Mapping):
        return f"{identity.get('authority')}:{identity.get('code')}"[:80]
    return str(crs.get("name", "unknown"))[:80]


def compare_columns(before: Sequence[Column], after: Sequence[Column]) -> list[ColumnChange]:
    """Pair columns by name, in the order of after, then those that went."""
    places = {one.name: place for place, one in enumerate(before)}
    there = {one.name for one in after}
    pairs = [(places.get(one.name), place) for place, one in enumerate(after)]
    found = [ColumnChange(kind_of(None if old is None else before[old], after[new]), old, new) for old, new in pairs]
    gone = [place for place, one in enumerate(before) if one.name not in there]
    return [*found, *(ColumnChange(Kind.REMOVED, place, None) for place in gone)]


def kind_of(before: Column | None, after: Column) -> Kind:
    if before is None:
        return Kind.ADDED
    if before == after:
        return Kind.SAME
    return Kind.CHANGED if is_other(before, after) else Kind.REWRITTEN


def is_other(before: Column, after: Column) -> bool:
    """Tell whether readers see another type or CRS; whether nulls are allowed is none of it."""
    return before.type != after.type or before.encoding != after.encoding or is_other_crs(before, after)


def is_other_crs(before: Column, after: Column) -> bool:
    return before.crs != after.crs and not {before.crs, after.crs} <= SAME_CRS


def paired(changes: Sequence[ColumnChange]) -> Iterator[tuple[int, int]]:
    """Give the places of columns that both tables have, under the same name or a new one."""
    return ((one.before, one.after) for one in changes if one.before is not None and one.after is not None)
