"""The pages of a version and of a dataset: what they claim is in the rows, what they link to is there."""

import gzip
import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from catalog.models import Asset, Version
from catalog.stac_schemas import validate
from dfc_site import demo
from dfc_site.pages import provenance, version
from dfc_site.pages.ways import CSV, GEOJSON, PARQUET, Source, ways
from mirrors.models import Replica
from releases.models import Decision, Finding, Release
from tests import factories

LARGEST_PAGE = 30 * 1024


def page_of(release: Release, language: str = "en") -> str:
    found = release.version
    return f"/{language}/datasets/{found.dataset.identifier}/{found.shown}/"


def source_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def words_of(client: Client, address: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", source_of(client, address))).split())


def test_the_picture_of_provenance_has_every_station(published: Release, client: Client) -> None:
    words = words_of(client, page_of(published))
    first = published.builds.order_by("pk").first()
    assert first is not None
    chain = words[words.index("1 source file 3.69 MiB") : words.index("The whole manifest")]
    for station in (
        f"commit {published.recipe.commit[:12]}",
        "Environment requirements.lock",
        "Manifest locks all three",
        first.manifest.sha256[-8:],
        "Build 1",
        "= same bytes",
        "Build 2",
        "Published v0.1.0-beta Approved by a second curator",
        "Rebuilt from its source bundle: identical",
        f"{published.version.doi}",
    ):
        assert station in chain, station


def test_different_bytes_and_a_lone_person_are_said(published: Release, client: Client) -> None:
    published.builds.filter(number=2).update(verdict="different")
    published.approvals.update(by=demo.person("author"))
    words = words_of(client, page_of(published))
    assert "≠ different bytes" in words
    assert "Not reviewed by a second person" in words


def test_findings_are_said_in_plain_words_in_both_languages(published: Release, client: Client) -> None:
    assert "finding" not in words_of(client, page_of(published))
    Finding.objects.create(
        release=published,
        file="source.parquet",
        is_source=True,
        code="geometry-invalid",
        severity="warning",
        found="3",
        instead="outline",
        at=timezone.now(),
    )
    assert "1 finding source.parquet Warning 3 geometries in outline are not valid." in words_of(
        client, page_of(published)
    )
    assert "1 constat source.parquet Avertissement 3 géométries" in words_of(client, page_of(published, "fr"))


def test_the_grade_of_a_version_is_shown_with_its_reason(published: Release, client: Client) -> None:
    assert "Rebuild Identical Bit-identical." in words_of(client, page_of(published))
    Release.objects.filter(pk=published.pk).update(
        reproducibility="same-content", reproducibility_reason_en="Threads.", reproducibility_reason_fr="Fils."
    )
    published.builds.filter(number=2).update(verdict="content")
    words = words_of(client, page_of(published))
    assert "Same content, different bytes. Threads." in words
    assert "≈ same content" in words
    assert "Fils." in words_of(client, page_of(published, "fr"))


def test_a_version_made_in_a_container_says_what_a_rebuild_needs(published: Release, client: Client) -> None:
    assert "With Python 3.11 and nothing else" in words_of(client, page_of(published))
    published.recipe.environment = "env/Containerfile"
    published.recipe.save()
    assert "With Python 3, and podman or docker" in words_of(client, page_of(published))


def test_a_long_manifest_is_left_to_the_source_bundle(
    published: Release, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "buildType" in source_of(client, page_of(published))
    monkeypatch.setattr(provenance, "LONGEST_MANIFEST", 10)
    assert "the source bundle has it as manifest.json" in words_of(client, page_of(published))


def test_tiles_are_counted_drawn_and_linked(published: Release, client: Client) -> None:
    assert "tiles" not in words_of(client, page_of(published)).replace("PMTiles", "")
    for number in range(3):
        factories.item(published.version, f"tile-{number}", west=-80.0 + number, east=-79.0 + number)
    page = source_of(client, page_of(published, "fr"))
    found = published.version
    assert "3 carreaux" in page
    assert f"/catalogue/fr/tiles/{found.dataset.identifier}/{found.shown}.parquet" in page
    paths = re.findall(r'<path class="area" d="([^"]+)"', page)
    assert [path.count("M") for path in paths] == [3]


def test_the_stac_item_and_collection_that_pages_link_are_valid(published: Release, client: Client) -> None:
    for language in ("en", "fr"):
        for address, word in (
            (page_of(published, language), "STAC Item"),
            (f"/{language}/datasets/{published.version.dataset.identifier}/", "STAC Collection"),
        ):
            link = re.search(rf'<a href="([^"]+)">{word} \(JSON\)', source_of(client, address))
            assert link is not None
            assert link[1].endswith(f"?lang={language}")
            validate(client.get(link[1].removeprefix(settings.DFC_SITE_URL)).json())


@pytest.mark.parametrize(("language", "publisher"), [("en", "Data for Canada"), ("fr", "Données pour le Canada")])
def test_the_citation_is_a_file_too(published: Release, client: Client, language: str, publisher: str) -> None:
    page = source_of(client, page_of(published, language))
    assert f"{publisher} ({published.version.year})" in page
    address = f"{page_of(published, language)}citation.bib"
    assert f'href="{address}"' in page
    answer = client.get(address)
    assert answer["Content-Type"] == "application/x-bibtex; charset=utf-8"
    assert answer["Content-Disposition"].endswith(f'_{published.version.shown}.bib"')
    body = answer.content.decode()
    assert f"author = {{{{{publisher}}}}}" in body
    assert f"doi = {{{published.version.doi}}}" in body
    Version.objects.update(state=Version.State.WITHDRAWN)
    assert client.get(address).content.decode() == body
    Version.objects.update(state=Version.State.DRAFT)
    assert client.get(address).status_code == 404


def test_a_dataset_is_cited_by_its_page(published: Release, client: Client) -> None:
    identifier = published.version.dataset.identifier
    words = words_of(client, f"/fr/datasets/{identifier}/")
    assert f"[Jeu de données]. http://127.0.0.1:8000/fr/datasets/{identifier}/" in words


def test_the_dataset_page_tells_what_became_of_each_version(published: Release, client: Client) -> None:
    dataset, now = published.version.dataset, timezone.now()
    old = factories.version(dataset, "0.0.1", "withdrawn")
    Decision.objects.create(
        kind="withdraw",
        dataset=dataset,
        version=old,
        reason_en="Wrong licence.",
        reason_fr="Mauvaise licence.",
        proposer=demo.person("author"),
        proposed_at=now - timedelta(days=1),
        channel="admin",
        state="taken",
        decided_at=now,
        answer_channel="admin",
    )
    words = words_of(client, f"/en/datasets/{dataset.identifier}/")
    assert f"Withdrawn Withdrawn {now:%Y-%m-%d}: Wrong licence." in words.replace("v0.0.1", "")
    assert "Latest version" in words
    french = words_of(client, f"/fr/datasets/{dataset.identifier}/")
    assert f"Retirée le {now:%Y-%m-%d}\u00a0: Mauvaise licence.".replace("\u00a0", " ") in french


def test_a_dataset_whose_only_version_is_withdrawn_still_has_a_page(published: Release, client: Client) -> None:
    Version.objects.update(state=Version.State.WITHDRAWN)
    identifier = published.version.dataset.identifier
    words = words_of(client, f"/en/datasets/{identifier}/")
    assert "STAC Collection" not in words
    assert "Latest version" not in words


def test_every_digest_has_its_row_on_the_page(published: Release, client: Client) -> None:
    for asset in Asset.objects.filter(item__version=published.version):
        answer: Any = client.get("/en/", {"q": asset.sha256})
        address, _, anchor = answer["Location"].partition("#")
        assert f'id="{anchor}"' in source_of(client, address)


def test_a_mirror_without_every_file_is_no_copy(published: Release, client: Client) -> None:
    assert "2 verified copies, 1 operator, 1 country." in words_of(client, page_of(published))
    Replica.objects.filter(mirror__slug="second", asset__key="data").update(state=Replica.State.MISSING)
    words = words_of(client, page_of(published))
    assert "1 verified copy, 1 operator, 1 country." in words
    assert "1 damaged or missing copy is out of service." in words
    assert "3 of 4 files" in words


def test_files_beyond_the_first_are_counted_and_not_listed(
    published: Release, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "FILES_SHOWN", 2)
    words = words_of(client, page_of(published))
    assert "2 more files are not listed here. SHA256SUMS" in words


def test_a_page_is_light(published: Release, client: Client) -> None:
    for number in range(600):
        factories.item(published.version, f"tile-{number}", west=-80.0 + number / 100, east=-79.99 + number / 100)
    for language in ("en", "fr"):
        page = client.get(page_of(published, language)).content
        assert len(gzip.compress(page)) < LARGEST_PAGE


def test_queries_do_not_grow_with_versions_files_or_datasets(
    published: Release, client: Client, django_assert_max_num_queries: Any
) -> None:
    dataset, item = published.version.dataset, published.version.items.get(tile="")
    for count in (0, 60):
        for number in range(count):
            factories.version(factories.dataset(f"ca_{number}"))
            factories.version(dataset, f"0.0.{number}", "deprecated")
            factories.asset(item, f"{number}.txt", key=f"data-{number + 10}")
        with django_assert_max_num_queries(29):
            client.get(page_of(published))
        with django_assert_max_num_queries(8):
            client.get(f"/en/datasets/{dataset.identifier}/")


def keys(*sources: Source, tiles_url: str = "") -> list[str]:
    return [one.key for one in ways(sources, catalogue_url="https://x/versions.parquet", tiles_url=tiles_url)]


def test_ways_fit_the_files() -> None:
    geojson = Source("https://x/a.geojson", "a.geojson", GEOJSON, has_geometry=False)
    table = Source("https://x/a.csv", "a.csv", f"{CSV}; charset=utf-8", has_geometry=False)
    geo = Source("https://x/a.parquet", "a.parquet", PARQUET, has_geometry=True)
    plain = Source("https://x/b.parquet", "b.parquet", PARQUET, has_geometry=False)
    archive = Source("https://x/a.zip", "a.zip", "application/zip", has_geometry=False)
    whole = ["catalogue-duckdb", "catalogue-geopandas"]
    assert keys(geojson) == ["curl", "aria2", "geopandas", "gdal", *whole]
    assert keys(geojson, table) == ["curl", "aria2", "duckdb", "geopandas", "gdal", *whole]
    assert keys(geo) == ["curl", "aria2", "duckdb", "geopandas", *whole]
    assert keys(plain) == ["curl", "aria2", "duckdb", *whole]
    assert keys(archive, tiles_url="https://x/t/v1.parquet") == ["curl", "aria2", "tiles", *whole]


@pytest.mark.django_db
def test_help_names_an_address_for_reports_only_where_there_is_one(client: Client, settings: Any) -> None:
    settings.DFC_CONTACT_EMAIL = ""
    assert "This installation has no address for reports." in words_of(client, "/en/help/")
    settings.DFC_CONTACT_EMAIL = "aide@example.org"
    assert 'href="mailto:aide@example.org"' in source_of(client, "/fr/help/")
    assert "Écrivez-nous, en français ou en anglais." in words_of(client, "/fr/help/")
