"""Entries of the catalogue for tests: plain ones, and any by hypothesis."""

from dataclasses import replace
from datetime import UTC, datetime

import shapely
from hypothesis import strategies as st

from catalog.stac import Alternate, AssetEntry, CollectionEntry, ItemEntry, LinkEntry, ProviderEntry

IDENTIFIER = "ca_natural-earth-2021A000011124_d4c-datapkg-foundation_2022_provinces-territories-50m"
START, END = datetime(2022, 1, 1, tzinfo=UTC), datetime(2022, 12, 31, tzinfo=UTC)
MIRRORS = ("origin", "second")
KEYS = ("data", "data-2", "source-bundle")
DATA = AssetEntry(
    key="data",
    href="https://origin.example/provinces.geojson",
    title="provinces.geojson",
    media_type="application/geo+json",
    role="data",
    size_bytes=556_734,
    sha256="48042c3cd0f1" + "0" * 52,
    alternates=(Alternate("origin", "Origin", "https://origin.example/provinces.geojson"),),
)
ITEM = ItemEntry(
    id=f"{IDENTIFIER}_v0.1.0-beta",
    collection=IDENTIFIER,
    footprint_wkb=shapely.to_wkb(shapely.box(-141, 41, -52, 83)),
    bbox_wgs84=(-141.0, 41.0, -52.0, 83.0),
    starts_at=START,
    ends_at=END,
    title="Provinces et territoires, v0.1.0-beta",
    description="Limites à petite échelle.",
    version="0.1.0-beta",
    is_deprecated=False,
    doi="10.5072/d4c.9b199f16376a.v0.1.0-beta",
    citation="Données pour le Canada (2026).",
    licence="LicenseRef-Natural-Earth-Public-Domain",
    package="d4c-datapkg-foundation",
    dguid="2021A000011124",
    vintage="2022",
    published_at=datetime(2026, 11, 24, 15, 2, 7, tzinfo=UTC),
    assets=(DATA,),
    links=(LinkEntry("collection", "https://data.example/stac/collections/x", "application/json", "Provinces"),),
)
COLLECTION = CollectionEntry(
    id=IDENTIFIER,
    title="Provinces et territoires",
    description="Limites à petite échelle.",
    keywords=("limites",),
    licence=ITEM.licence,
    providers=(ProviderEntry("Natural Earth", "producer", "https://www.naturalearthdata.com/"),),
    bbox_wgs84=ITEM.bbox_wgs84,
    starts_at=START,
    ends_at=END,
    version=ITEM.version,
    doi="10.5072/d4c.9b199f16376a",
    citation=ITEM.citation,
    package=ITEM.package,
    dguid=ITEM.dguid,
    region="ca",
    vintage="2022",
    links=ITEM.links,
)

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)
instants = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001  bounds
    lambda moment: moment.replace(microsecond=0)
)


@st.composite
def assets(draw: st.DrawFn, key: str) -> AssetEntry:
    copies = draw(st.lists(st.sampled_from(MIRRORS), unique=True))
    return replace(
        DATA,
        key=key,
        title=draw(words),
        size_bytes=draw(st.integers(0, 2**62)),
        sha256=draw(st.text("0123456789abcdef", min_size=64, max_size=64)),
        alternates=tuple(Alternate(slug, slug.title(), f"https://{slug}.example/x") for slug in sorted(copies)),
    )


@st.composite
def items(draw: st.DrawFn) -> ItemEntry:
    west, south = draw(st.floats(-180, 179)), draw(st.floats(-90, 89))
    box = (west, south, draw(st.floats(west, 180)), draw(st.floats(south, 90)))
    first, last = sorted((draw(instants), draw(instants)))
    keys = draw(st.lists(st.sampled_from(KEYS), unique=True))
    return replace(
        ITEM,
        id=draw(words),
        title=draw(words),
        bbox_wgs84=box,
        footprint_wkb=shapely.to_wkb(shapely.box(*box)),
        starts_at=first,
        ends_at=first if draw(st.booleans()) else last,
        is_deprecated=draw(st.booleans()),
        published_at=draw(instants),
        assets=tuple(draw(assets(key)) for key in sorted(keys)),
    )
