"""The example with GDAL and tippecanoe is built twice alike, and rebuilt by a stranger from what is published."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.utils import timezone

from catalog.models import Asset
from catalog.storage.connect import own_storage
from dfc_site.examples import ensure_repository
from releases import build
from releases.builds import containerfile
from releases.draft import draft_release
from releases.drafts.definition import read_definition
from releases.models import EnvironmentImage, Release
from tests import factories
from tests.releases.containers import engine_here
from tests.releases.recipes import (
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    built,
    commit,
    reviewer_fixture,  # noqa: F401  a fixture
)
from tests.releases.test_container_build import errors, forget, rebuilt, until_confirmed

EXAMPLE = Path("examples/natural-earth-tiles")
SOURCES = Path("examples/natural-earth-provinces/sources")
CACHE = Path(os.environ.get("DFC_TEST_CACHE", "/tmp/dfc-test-images")) / "gdal"  # noqa: S108  made anew where it is gone


def drafted_example(author: Any) -> Release:
    """Draft the example upon the base image of today's packages, which is made where the cache has none."""
    made = subprocess.run([EXAMPLE / "base-image.sh", CACHE], stdout=subprocess.PIPE, text=True, check=True)
    base = made.stdout.strip().splitlines()[-1]
    files = {path.name: path.read_text() for path in (EXAMPLE / "repository").iterdir()}
    files["Containerfile"] = re.sub("(?m)^FROM .*$", f"FROM {base}", files["Containerfile"])
    found = commit(files, name="natural-earth-tiles")
    text = re.sub("(?m)^commit = .*$", f'commit = "{found}"', (EXAMPLE / "release.toml").read_text())
    offered = {path.name: path for path in SOURCES.iterdir()}
    return draft_release(read_definition(text), by=author, offered=offered, storage=own_storage(), now=timezone.now())


def test_its_release_toml_names_the_commit_that_its_files_make(tmp_path: Path) -> None:
    definition = read_definition((EXAMPLE / "release.toml").read_text(encoding="utf-8"))
    assert definition.recipe.commit == ensure_repository(EXAMPLE, tmp_path)
    assert containerfile.lint((EXAMPLE / "repository" / "Containerfile").read_text(encoding="utf-8")) == []
    assert {one.name for one in definition.sources} == {path.name for path in SOURCES.iterdir()}


@pytest.mark.django_db
@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.podman
@pytest.mark.skipif(engine_here() is None, reason="no container engine works here")
def test_the_example_with_gdal_and_tippecanoe_is_bit_identical_everywhere(
    bench: Path, author: Any, reviewer: Any
) -> None:
    release = built(drafted_example(author), author, seconds=1800)
    assert release.state == Release.State.BUILT, errors()
    image = EnvironmentImage.objects.get()
    listed = {" ".join(line.split()[:2]) for line in image.packages.splitlines()}
    assert {"deb gdal-bin", "deb tippecanoe", "pypi pyarrow"} <= listed
    first = release.builds.get(number=1, purpose="review")
    parquet, tiles = (build.output_path(first, one.path) for one in first.outputs.order_by("path"))
    assert tiles.read_bytes()[:8] == b"PMTiles\x03"
    table = pq.read_table(parquet)
    assert table["iso_3166_2"].to_pylist()[:2] == ["CA-AB", "CA-BC"]
    assert (table.num_rows, len(set(table["name_fr"].to_pylist()))) == (13, 13)
    confirmed = until_confirmed(release, author, reviewer)
    assert confirmed.verdict == "identical", confirmed.log
    forget(image.image_id)
    (bench / "sources").symlink_to(SOURCES.resolve())
    archive = factories.own_path(Asset.objects.get(role="environment").storage_key)
    done = rebuilt(bench, Asset.objects.get(key="source-bundle"), "--image", archive, seconds=1800)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("identical  ") == 2
