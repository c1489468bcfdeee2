"""A footprint as a small picture: WKB in, SVG path out. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import shapely
from shapely.geometry.base import BaseGeometry

WIDTH, HEIGHT, MARGIN = 420, 280, 14
MAX_POINTS = 900


@dataclass(frozen=True)
class Picture:
    """An SVG of `width` × `height` user units whose one path is `path`."""

    width: int
    height: int
    path: str


def draw(footprint_wkb: bytes) -> Picture:
    """Draw a WGS 84 geometry, equirectangular, with longitudes narrowed by the cosine of its middle latitude."""
    shape = simplified(shapely.from_wkb(bytes(footprint_wkb)))
    west, south, east, north = shape.bounds
    narrowing = max(0.2, math.cos(math.radians((south + north) / 2)))
    wide, high = max((east - west) * narrowing, 1e-9), max(north - south, 1e-9)
    scale = min((WIDTH - 2 * MARGIN) / wide, (HEIGHT - 2 * MARGIN) / high)
    left, top = (WIDTH - wide * scale) / 2, (HEIGHT - high * scale) / 2

    def place(longitude: float, latitude: float) -> str:
        return f"{left + (longitude - west) * narrowing * scale:.1f} {top + (north - latitude) * scale:.1f}"

    path = "".join(f"M{'L'.join(place(*point) for point in ring)}Z" for ring in rings(shape))
    return Picture(width=WIDTH, height=HEIGHT, path=path)


def simplified(shape: BaseGeometry) -> BaseGeometry:
    """Leave out points until few enough are left for a page."""
    west, south, east, north = shape.bounds
    tolerance = max(east - west, north - south) / 2000
    while shapely.get_num_coordinates(shape) > MAX_POINTS:
        tolerance *= 1.6
        thinner = shape.simplify(tolerance)
        if thinner.is_empty:
            break
        shape = thinner
    return shape


def rings(shape: BaseGeometry) -> Iterator[list[tuple[float, float]]]:
    for part in shapely.get_parts(shape):
        if isinstance(part, shapely.Polygon):
            yield [(x, y) for x, y, *_ in part.exterior.coords]
