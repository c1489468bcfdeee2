"""The second example: an index with many tiles goes the same path, and its defects are told to the reviewer."""

from typing import Any

import pyarrow.parquet as pq
import pytest
import stac_geoparquet.arrow
from django.test import Client
from django.utils import timezone, translation

from catalog.models import Edition, Item, ItemLink
from catalog.stac_schemas import validate
from dfc_site import demo
from releases.build import request_build
from releases.jobs import engine
from releases.models import Release
from releases.reviews.findings import sentence
from releases.submit import submit_release
from tests import factories
from tests.site.walk import approve

pytestmark = pytest.mark.django_db(transaction=True)

TILES = 470


def walk() -> Release:
    demo.prepare()
    release = demo.ensure_draft(demo.PUBLISHED[1])
    request_build(release, by=demo.person("author"), channel="command", now=timezone.now())
    engine.drain(90)
    release.refresh_from_db()
    submit_release(release, by=demo.person("author"), channel="command", now=timezone.now())
    approve(release, demo.person("reviewer"))
    engine.drain(90)
    release.refresh_from_db()
    return release


@pytest.fixture
def tiled(transactional_db: None, own_folders: Any, snapshots: Any) -> Release:
    release: Release = snapshots.bring("tiled", walk)
    return release


def test_every_row_became_an_item_whose_images_are_links(tiled: Release) -> None:
    assert tiled.state == Release.State.PUBLISHED
    tiles = Item.objects.filter(version=tiled.version_id).exclude(tile="")
    assert tiles.count() == TILES
    assert ItemLink.objects.filter(item__in=tiles, rel="via").count() == TILES * 2
    assert not tiles.filter(assets__isnull=False).exists()


def test_the_catalogue_has_a_file_of_tiles_that_others_read(tiled: Release) -> None:
    dataset, edition = tiled.version.dataset.identifier, Edition.objects.latest("pk")
    for language, word in (("en", "Image of this tile"), ("fr", "Image de ce carreau")):
        path = factories.own_path(f"{edition.folder}/{language}/tiles/{dataset}/{tiled.version.shown}.parquet")
        items = list(stac_geoparquet.arrow.stac_table_to_items(pq.read_table(path)))
        assert len(items) == TILES
        assert items[0]["assets"] == {}
        assert [link["rel"] for link in items[0]["links"]].count("via") == 2
        assert any(link["title"].startswith(word) for link in items[0]["links"])


def test_a_tile_is_valid_stac_at_its_own_address(tiled: Release, client: Client) -> None:
    dataset = tiled.version.dataset.identifier
    item = f"{dataset}_{tiled.version.shown}_B12"
    document = client.get(f"/stac/collections/{dataset}/items/{item}").json()
    validate(document)
    assert [one["href"] for one in document["links"] if one["rel"] == "via"] == [
        "https://webtransfer.vancouver.ca/opendata/2022sid/B12.zip",
        "https://webtransfer.vancouver.ca/opendata/2022ecw/B12.zip",
    ]


def test_the_defects_of_the_source_are_findings_in_both_languages(tiled: Release) -> None:
    found = list(tiled.findings.filter(is_source=True))
    assert {one.code for one in found} == {
        "legacy-name",
        "geo-version",
        "primary-is-point",
        "no-box-column",
        "no-box",
    }
    assert [one.code for one in tiled.findings.filter(is_source=False)] == ["first-edition"]
    name = next(one for one in found if one.code == "legacy-name")
    assert name.instead == tiled.version.dataset.identifier
    for language in ("en", "fr"):
        with translation.override(language):
            assert all("%(" not in sentence(one) for one in found)
