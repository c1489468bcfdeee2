"""What pages load is what VENDOR.md names, light enough for a slow phone, and nothing is inline."""

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from dfc_site.pages import atlas

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "dfc_site" / "static" / "dfc"
SOURCE = ROOT / "examples" / "natural-earth-provinces" / "sources" / "ne_50m_admin_1_states_provinces.geojson"
ROW = re.compile(r"^\| (\S+) \| \S+ \| \S+ \| ([^|]+) \| ([0-9a-f]{64}) \|$", re.MULTILINE)
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
INLINE = re.compile(r"""\sstyle=|\son[a-z]+=["']|<style|<script(?![^>]*\ssrc=)""")


def test_the_files_of_others_are_unchanged_and_have_their_licence() -> None:
    rows = ROW.findall((STATIC / "VENDOR.md").read_text(encoding="utf-8"))
    assert {name for name, _, _ in rows} == {
        "icons.svg",
        *(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.woff2")),
    }
    for name, licence, digest in rows:
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest, name
        assert (STATIC / licence.rpartition(", ")[2]).is_file()


def test_the_outline_of_canada_is_made_from_its_source() -> None:
    features = json.loads(SOURCE.read_text(encoding="utf-8"))["features"]
    assert atlas.outline(features) == (STATIC / "canada.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "kibibytes"), [("dfc.css", 12), ("dfc.js", 20), ("icons.svg", 8), ("canada.svg", 8), ("admin.css", 12)]
)
def test_files_keep_their_budget(name: str, kibibytes: int) -> None:
    assert len(gzip.compress((STATIC / name).read_bytes())) < kibibytes * 1024


def test_fonts_keep_their_budget() -> None:
    assert sum(path.stat().st_size for path in STATIC.rglob("*.woff2")) < 60 * 1024


def test_every_icon_that_templates_name_is_there() -> None:
    there = set(re.findall(r'<symbol id="([a-z0-9-]+)"', (STATIC / "icons.svg").read_text(encoding="utf-8")))
    named = {name for path in TEMPLATES for name in re.findall(r'{% icon "([a-z0-9-]+)"', path.read_text("utf-8"))}
    assert named
    assert named <= there


def test_no_template_has_inline_style_or_script() -> None:
    assert [path.name for path in TEMPLATES if INLINE.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("longitude", "latitude", "left", "top"),
    [(-123.1, 49.25, 0.05, 0.75), (-52.7, 47.56, 0.95, 0.75), (-62.3, 82.5, 0.57, 0.05), (-82.9, 42.0, 0.6, 0.98)],
    ids=["Vancouver", "St. John's", "Alert", "Windsor"],
)
def test_places_lie_where_the_outline_has_them(longitude: float, latitude: float, left: float, top: float) -> None:
    x, y = atlas.place(longitude, latitude)
    assert abs(x / atlas.WIDTH - left) < 0.1
    assert abs(y / atlas.HEIGHT - top) < 0.1


def test_a_box_without_a_place_has_no_dot() -> None:
    assert atlas.dot(None, None, None, None) is None
    assert atlas.dot(-141.0, 41.7, -52.6, 83.1) is None
    assert atlas.dot(10.0, 50.0, 11.0, 51.0) is None
    assert atlas.dot(-123.3, 49.2, -123.0, 49.3) == atlas.place(-123.15, 49.25)
