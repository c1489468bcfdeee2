"""How two footprints differ: areas in km² on the sphere, what was gained and what was lost."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

EARTH_RADIUS_KM = 6371.0088  # mean radius (IUGG)
SAME_SHARE = 0.001  # below a thousandth of the area the outline was drawn anew, and nothing moved


class Change(StrEnum):
    SAME = "same"
    GROWN = "grown"
    SHRUNK = "shrunk"
    MOVED = "moved"


@dataclass(frozen=True)
class FootprintDiff:
    """Areas in km², rounded to three decimals; `gained` lies in after alone, `lost` in before alone."""

    change: Change
    before_km2: float
    after_km2: float
    gained_km2: float
    lost_km2: float


@dataclass(frozen=True)
class TilesDiff:
    """Tile items by their names; examples are the first names in order."""

    before: int
    after: int
    added: int
    removed: int
    added_examples: tuple[str, ...]
    removed_examples: tuple[str, ...]


def compare_footprints(before_wkb: bytes, after_wkb: bytes) -> FootprintDiff:
    """Compare two WGS 84 geometries, longitude before latitude."""
    before, after = (shapely.make_valid(shapely.from_wkb(wkb)) for wkb in (before_wkb, after_wkb))
    areas = [area_km2(shape) for shape in (before, after, after.difference(before), before.difference(after))]
    return FootprintDiff(change_of(*areas), *(round(area, 3) for area in areas))


def area_km2(shape: BaseGeometry) -> float:
    """Give the area on the sphere, by a cylindrical equal-area projection of the corners."""
    return float(shapely.area(shapely.transform(shape, equal_area)))


def equal_area(points: np.ndarray) -> np.ndarray:
    radians = np.radians(points)
    return EARTH_RADIUS_KM * np.column_stack([radians[:, 0], np.sin(radians[:, 1])])


def change_of(before: float, after: float, gained: float, lost: float) -> Change:
    least = SAME_SHARE * max(before, after)
    if gained > least and lost > least:
        return Change.MOVED
    if gained > least:
        return Change.GROWN
    return Change.SHRUNK if lost > least else Change.SAME


def compare_tiles(before: Iterable[str], after: Iterable[str], *, examples: int = 20) -> TilesDiff:
    old, new = set(before), set(after)
    added, removed = sorted(new - old), sorted(old - new)
    shown = tuple(added[:examples]), tuple(removed[:examples])
    return TilesDiff(len(old), len(new), len(added), len(removed), *shown)
