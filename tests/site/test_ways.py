"""Every line that a page shows for tools really runs, on an installation that really answers."""

import html
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import geopandas
import pytest

from tests.site.running import Installation

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

PROVINCES = "ca_natural-earth-2021A000011124_d4c-datapkg-foundation_2022_provinces-territories-50m"
TILES = "ca-bc_vancouver-2022A00055915022_d4c-datapkg-orthoimagery_2022_075mm-index"
LINES = re.compile(
    r'<details name="ways" id="way-([a-z0-9-]+)".*?<pre [^>]*?(?:data-language="(\w+)")?>(.*?)</pre>', re.DOTALL
)
VERIFY = re.compile(r'id="verify".*?<pre [^>]*data-language="bash">(.*?)</pre>', re.DOTALL)


@pytest.fixture(scope="module")
def site(played: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = played.copy_to(tmp_path_factory.mktemp("ways"))
    installation.start()
    yield installation
    installation.stop()


def page(site: Installation, address: str) -> str:
    with urllib.request.urlopen(f"{site.url}{address}", timeout=20) as answer:
        body: bytes = answer.read()
        return body.decode()


def run(language: str, text: str, folder: Path) -> str:
    """Run what a page shows, as it stands there; gives what it printed."""
    command = [sys.executable, "-W", "ignore", "-c", text] if language == "python" else ["bash", "-euc", text]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def shown(text: str) -> list[tuple[str, str, str]]:
    return [(key, language, html.unescape(lines)) for key, language, lines in LINES.findall(text)]


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        (
            PROVINCES,
            {
                "curl": "100",
                "duckdb": "CA-QC",
                "geopandas": "MULTIPOLYGON",
                "catalogue-duckdb": "0.1.0-beta",
                "catalogue-geopandas": "0.1.0-beta",
            },
        ),
        (
            TILES,
            {
                "curl": "100",
                "duckdb": "geometry(",
                "geopandas": "POLYGON",
                "tiles": "0.1.0-beta_B1",
                "catalogue-duckdb": "0.1.0-beta",
                "catalogue-geopandas": "0.1.0-beta",
            },
        ),
    ],
    ids=["GeoJSON and CSV", "GeoParquet with tiles"],
)
def test_the_lines_of_a_version_run_as_they_stand(
    site: Installation, tmp_path: Path, identifier: str, expected: dict[str, str], language: str
) -> None:
    found = shown(page(site, f"/{language}/datasets/{identifier}/v0.1.0-beta/"))
    ran = {key: run(kind, text, tmp_path) for key, kind, text in found if kind and key != "aria2"}
    assert set(ran) == set(expected)
    for key, words in expected.items():
        assert words in ran[key], f"{key}: {ran[key]}"


def test_the_address_for_gdal_opens(site: Installation) -> None:
    found = {key: text for key, _, text in shown(page(site, f"/en/datasets/{PROVINCES}/v0.1.0-beta/"))}
    assert len(geopandas.read_file(found["gdal"])) == 13


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_the_line_for_verifying_finds_a_changed_byte(site: Installation, tmp_path: Path) -> None:
    text = page(site, f"/en/datasets/{PROVINCES}/v0.1.0-beta/")
    fetch = next(lines for key, _, lines in shown(text) if key == "curl")
    match = VERIFY.search(text)
    assert match is not None
    verify = html.unescape(match[1])
    run("bash", fetch, tmp_path)
    assert "OK" in run("bash", verify, tmp_path)
    file = next(tmp_path.glob("*.geojson"))
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    done = subprocess.run(["bash", "-c", verify], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "FAILED" in done.stdout


def test_the_lines_of_the_help_page_run(site: Installation, tmp_path: Path) -> None:
    lines = re.findall(r'data-language="python">(.*?)</pre>', page(site, "/fr/help/"), re.DOTALL)
    assert len(lines) == 2
    for text in lines:
        assert "0.1.0-beta" in run("python", html.unescape(text), tmp_path)
