"""What people paste to get a version's files into their tools. A test runs every line that a page shows.

DuckDB's own HTTP reader is an extension that has to be downloaded, so the Python lines fetch the file first with what
Python brings along.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

PARQUET, GEOJSON, CSV, ANY = "application/vnd.apache.parquet", "application/geo+json", "text/csv", ""
GDAL_TYPES = (GEOJSON, CSV, "application/vnd.pmtiles", "application/geopackage+sqlite3", "image/tiff")
Words = str | Promise


@dataclass(frozen=True)
class Source:
    """The file that the lines fetch: its address, the name it gets on disk, and what it is."""

    url: str
    name: str
    media_type: str
    has_geometry: bool

    @property
    def kind(self) -> str:
        return self.media_type.partition(";")[0].strip()


@dataclass(frozen=True)
class Way:
    """One way: its words, the lines, and the language that runs them (`bash`, `python`, or empty for an address)."""

    key: str
    title: Words
    text: str
    language: str = "bash"
    note: Words = ""


def ways(files: Sequence[Source], *, catalogue_url: str, tiles_url: str = "") -> list[Way]:
    """Give the ways that fit the files, the plainest first, then the tiles if there are any, then the catalogue.

    The first file is the main one; each tool shows the first file that it reads.
    """
    found = [curl(files[0]), aria2(files[0])]
    found += [make(fitting[0]) for make, fits in TOOLS if (fitting := [one for one in files if fits(one)])]
    if tiles_url:
        found.append(tiles(tiles_url))
    return [*found, catalogue_in_duckdb(catalogue_url), catalogue_in_geopandas(catalogue_url)]


def curl(source: Source) -> Way:
    return Way("curl", _("Command line: curl"), f"curl -L -O -C - {source.url}")


def aria2(source: Source) -> Way:
    note = _("aria2 takes pieces from all mirrors and from the swarm at once, and checks each of them.")
    return Way("aria2", "aria2, BitTorrent", f"aria2c --seed-time=0 {source.url}.torrent", note=note)


def fetched(source: Source, tool: str, line: str) -> str:
    return (
        f"import urllib.request\n\nimport {tool}\n\n"
        f'urllib.request.urlretrieve("{source.url}", "{source.name}")\n'
        f"{line}\n"
    )


def duckdb(source: Source) -> Way:
    line = f"print(duckdb.sql(\"FROM '{source.name}' LIMIT 5\"))"
    return Way("duckdb", "DuckDB, Python", fetched(source, "duckdb", line), "python")


def geopandas(source: Source) -> Way:
    reader = "read_parquet" if source.kind == PARQUET else "read_file"
    line = f'print(geopandas.{reader}("{source.name}").head())'
    return Way("geopandas", "GeoPandas, Python", fetched(source, "geopandas", line), "python")


def gdal(source: Source) -> Way:
    note = _("In QGIS: Layer, Add Layer, Add Vector Layer (or Add Raster Layer); paste this as the file name.")
    return Way("gdal", "QGIS, GDAL", f"/vsicurl/{source.url}", "", note)


TOOLS: tuple[tuple[Callable[[Source], Way], Callable[[Source], bool]], ...] = (
    (duckdb, lambda source: source.kind in {PARQUET, CSV}),
    (geopandas, lambda source: source.kind == GEOJSON or (source.kind == PARQUET and source.has_geometry)),
    (gdal, lambda source: source.kind in GDAL_TYPES),
)


def tiles(url: str) -> Way:
    line = "print(duckdb.sql(\"SELECT id, bbox.xmin, bbox.ymin, bbox.xmax, bbox.ymax FROM 'tiles.parquet' LIMIT 5\"))"
    return Way("tiles", _("The tiles in DuckDB, Python"), fetched(parquet(url), "duckdb", line), "python")


def catalogue_in_duckdb(url: str) -> Way:
    line = (
        'print(duckdb.sql("""\n'
        "    SELECT collection, version, title, assets.data.href\n"
        "    FROM 'versions.parquet' ORDER BY created DESC\n"
        '"""))'
    )
    title = _("The whole catalogue in DuckDB, Python")
    return Way("catalogue-duckdb", title, fetched(parquet(url), "duckdb", line), "python")


def catalogue_in_geopandas(url: str) -> Way:
    line = 'print(geopandas.read_parquet("versions.parquet")[["version", "title"]])'
    title = _("The whole catalogue in GeoPandas, Python")
    return Way("catalogue-geopandas", title, fetched(parquet(url), "geopandas", line), "python")


def parquet(url: str) -> Source:
    """Give a file of the catalogue: the tiles of a version are named after it, so they get a plain name."""
    name = "versions.parquet" if url.endswith("/versions.parquet") else "tiles.parquet"
    return Source(url, name, PARQUET, has_geometry=True)
