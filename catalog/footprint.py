"""A footprint as a small picture: WKB in, SVG path out. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

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


@dataclass(frozen=True)
class Frame:
    """Where a WGS 84 box lies on the picture: equirectangular, longitudes narrowed by the cosine of its middle."""

    west: float
    north: float
    narrowing: float
    scale: float
    left: float
    top: float

    def place(self, longitude: float, latitude: float) -> tuple[float, float]:
        x = self.left + (longitude - self.west) * self.narrowing * self.scale
        return x, self.top + (self.north - latitude) * self.scale


def frame(west: float, south: float, east: float, north: float) -> Frame:
    narrowing = max(0.2, math.cos(math.radians((south + north) / 2)))
    wide, high = max((east - west) * narrowing, 1e-9), max(north - south, 1e-9)
    scale = min((WIDTH - 2 * MARGIN) / wide, (HEIGHT - 2 * MARGIN) / high)
    return Frame(west, north, narrowing, scale, (WIDTH - wide * scale) / 2, (HEIGHT - high * scale) / 2)


@lru_cache(maxsize=256)
def draw(footprint_wkb: bytes) -> Picture:
    """Draw a WGS 84 geometry."""
    shape = simplified(shapely.from_wkb(footprint_wkb))
    return Picture(width=WIDTH, height=HEIGHT, path=outline(shape, frame(*shape.bounds)))


@dataclass(frozen=True)
class Pair:
    """Two outlines in one frame; an empty path where there is no shape."""

    width: int
    height: int
    before: str
    after: str


def draw_pair(before_wkb: bytes | None, after_wkb: bytes | None) -> Pair | None:
    """Draw two WGS 84 geometries in the frame of both; None where both are missing or empty."""
    given = [shapely.from_wkb(wkb) if wkb else shapely.Polygon() for wkb in (before_wkb, after_wkb)]
    shapes = [shape if shape.is_empty else simplified(shape) for shape in given]
    both = shapely.GeometryCollection([shape for shape in shapes if not shape.is_empty])
    if both.is_empty:
        return None
    around = frame(*both.bounds)
    before, after = (outline(shape, around) for shape in shapes)
    return Pair(WIDTH, HEIGHT, before, after)


def outline(shape: BaseGeometry, around: Frame) -> str:
    return "".join(f"M{'L'.join(shown(around.place(*point)) for point in ring)}Z" for ring in rings(shape))


def draw_boxes(boxes: Sequence[tuple[float, float, float, float]]) -> Picture:
    """Draw boxes (west, south, east, north) in WGS 84, such as the tiles of a version."""
    wests, souths, easts, norths = zip(*boxes, strict=True)
    around = frame(min(wests), min(souths), max(easts), max(norths))
    path = "".join(
        box_path(around.place(west, north), around.place(east, south)) for west, south, east, north in boxes
    )
    return Picture(width=WIDTH, height=HEIGHT, path=path)


def box_path(corner: tuple[float, float], opposite: tuple[float, float]) -> str:
    (left, top), (right, bottom) = corner, opposite
    return f"M{left:.1f} {top:.1f}H{right:.1f}V{bottom:.1f}H{left:.1f}Z"


def shown(point: tuple[float, float]) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


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
