"""Canada as a small picture: Lambert's conformal conic projection, with the parallels that Statistics Canada uses.

    python -m dfc_site.pages.atlas provinces.geojson > dfc_site/static/dfc/canada.svg

draws the outline again; the picture of a page lays its dots over it with the same `place`. Pure but for that.
"""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

WIDTH, HEIGHT = 420, 344
SOUTH, NORTH, ORIGIN = math.radians(49), math.radians(77), math.radians(-91.866667)
SCALE, CENTRE_X, TOP_Y = 458.0, 199.0, 11.0
TOLERANCE_DEGREES, SMALLEST_SQUARE_DEGREES = 0.15, 0.4
WIDEST_DEGREES = 20.0

_N = math.log(math.cos(SOUTH) / math.cos(NORTH)) / math.log(
    math.tan(math.pi / 4 + NORTH / 2) / math.tan(math.pi / 4 + SOUTH / 2)
)
_F = math.cos(SOUTH) * math.tan(math.pi / 4 + SOUTH / 2) ** _N / _N


def radius(latitude: float) -> float:
    return float(_F / math.tan(math.pi / 4 + math.radians(min(latitude, 89.9)) / 2) ** _N)


def place(longitude: float, latitude: float) -> tuple[float, float]:
    """Give the place of a point on the picture, in its units from the upper left corner."""
    turn = _N * (math.radians(longitude) - ORIGIN)
    distance = radius(latitude)
    x = CENTRE_X + SCALE * distance * math.sin(turn)
    y = TOP_Y + SCALE * (distance * math.cos(turn) - radius(83.2))
    return round(x, 1), round(y, 1)


def dot(
    west: float | None, south: float | None, east: float | None, north: float | None
) -> tuple[float, float] | None:
    """Give the place of the middle of a box; None for no box, and for one too wide to have a place."""
    if west is None or south is None or east is None or north is None or not 0 <= east - west <= WIDEST_DEGREES:
        return None
    x, y = place((west + east) / 2, (south + north) / 2)
    return (x, y) if 0 <= x <= WIDTH and 0 <= y <= HEIGHT else None


def outline(features: list[dict[str, Any]]) -> str:
    """Draw the Canadian features of Natural Earth's provinces as an SVG symbol `land`."""
    shapes = [
        shapely.from_geojson(json.dumps(one["geometry"]))
        for one in features
        if str(one["properties"]["iso_3166_2"]).startswith("CA-")
    ]
    path = "".join(f"M{'L'.join(map(shown, ring))}Z" for shape in shapes for ring in rings(shape))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg">'
        f'<symbol id="land" viewBox="0 0 {WIDTH} {HEIGHT}"><path d="{path}"/></symbol></svg>\n'
    )


def rings(shape: BaseGeometry) -> Iterator[list[tuple[float, float]]]:
    for part in shapely.get_parts(shapely.simplify(shape, TOLERANCE_DEGREES)):
        if part.area >= SMALLEST_SQUARE_DEGREES:
            yield [place(longitude, latitude) for longitude, latitude, *_ in part.exterior.coords[:-1]]


def shown(point: tuple[float, float]) -> str:
    return f"{point[0]:g} {point[1]:g}"


if __name__ == "__main__":
    sys.stdout.write(outline(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["features"]))
