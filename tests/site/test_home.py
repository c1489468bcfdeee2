"""The first page: its numbers, its list with filters, and where a query leads; its address is its whole state."""

import html
import re
from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from catalog.models import Alias, CatalogueChange, Dataset, Version
from dfc_site.pages import home
from tests import factories

pytestmark = pytest.mark.django_db


def words_of(client: Client, address: str) -> str:
    text = re.sub(r"<[^>]+>", " ", client.get(address).content.decode())
    return " ".join(html.unescape(text).split())


def published(identifier: str = "ca_roads", **fields: Any) -> Version:
    """Give a version with one proved file, of a dataset and at a mirror of its own."""
    version = factories.version(factories.dataset(identifier, **fields))
    asset = factories.asset(factories.item(version))
    factories.proved(asset, factories.mirror(f"m{version.pk}"))
    return version


def titles(client: Client, address: str) -> list[str]:
    return re.findall(r"<h3><a [^>]+>([^<]+)</a></h3>", client.get(address).content.decode())


def page_of(version: Version, language: str = "en") -> str:
    return f"/{language}/datasets/{version.dataset.identifier}/{version.shown}/"


def test_nothing_published_says_what_comes_first(client: Client) -> None:
    assert "Nothing is published yet" in words_of(client, "/en/")
    assert "Rien n’est encore publié" in words_of(client, "/fr/")


def test_five_numbers_are_counted_from_rows_and_dated(client: Client) -> None:
    published("ca_one")
    published("ca_two")
    factories.version(factories.dataset("ca_draft"), state=Version.State.DRAFT)
    words = words_of(client, "/en/")
    for claim in (
        "2 datasets",
        "2 versions",
        "2 files, 200 KiB",
        "2 verified copies of files",
        "2 operators of mirrors",
    ):
        assert claim in words
    assert re.search(r"Counted \d{4}-\d\d-\d\d \d\d:\d\d UTC", words)


def test_the_numbers_are_counted_again_when_the_catalogue_changes(client: Client) -> None:
    published("ca_one")
    assert "1 version " in words_of(client, "/en/")
    published("ca_two")
    assert "1 version " in words_of(client, "/en/")
    CatalogueChange.objects.create(what="two", at=timezone.now())
    assert "2 versions " in words_of(client, "/en/")


def test_a_hit_shows_title_identifier_sentence_safety_and_facts(client: Client) -> None:
    version = published(
        "ca-bc_roads",
        region="ca-bc",
        dguid="2022A00055915022",
        title_fr="Routes de Vancouver",
        description_fr="Toutes les rues.",
    )
    words = words_of(client, "/fr/")
    for part in ("Routes de Vancouver", "ca-bc_", "Toutes les rues.", "1 copie vérifiée, 1 exploitant, 1 pays"):
        assert part in words
    assert "A besoin d’aide" in words
    assert "Vancouver, Colombie-Britannique" in words
    assert f'href="{page_of(version, "fr")}"' in client.get("/fr/").content.decode()


def test_a_hit_without_a_whole_copy_is_at_risk(client: Client) -> None:
    factories.asset(factories.item(factories.version()))
    assert "At risk no copy of every file is proved at this moment" in words_of(client, "/en/")


def test_a_hit_leads_to_the_version_that_latest_means(client: Client) -> None:
    dataset = factories.dataset()
    for number, state in (("1.0.0", "published"), ("1.1.0", "deprecated"), ("2.0.0-beta", "published")):
        factories.version(dataset, number, state)
    assert home.newest_versions([dataset.pk])[dataset.pk].number == "1.0.0"
    Version.objects.filter(number="1.0.0").update(state="withdrawn")
    assert home.newest_versions([dataset.pk])[dataset.pk].number == "2.0.0-beta"
    Version.objects.filter(number="2.0.0-beta").update(state="draft")
    assert home.newest_versions([dataset.pk])[dataset.pk].number == "1.1.0"


def test_filters_and_query_stay_in_the_address_and_in_the_form(client: Client) -> None:
    published("ca-bc_roads", region="ca-bc", starts_on=date(2020, 1, 1), ends_on=date(2020, 12, 31))
    published("ca-qc_roads", region="ca-qc", starts_on=date(2024, 1, 1), ends_on=date(2024, 12, 31))
    address = "/en/?q=roads&region=ca-bc&from=2019&to=2021&package=d4c-datapkg-foundation"
    assert len(titles(client, address)) == 1
    page = client.get(address).content.decode()
    assert re.search(r'value="ca-bc" form="find" checked', page)
    assert not re.search(r'value="ca-qc"[^>]+checked', page)
    assert 'value="2019"' in page
    assert 'value="2021"' in page
    assert "/fr/?q=roads&amp;region=ca-bc&amp;from=2019" in page


def test_a_box_says_how_many_it_would_show(client: Client) -> None:
    for number, region in enumerate(("ca-bc", "ca-bc", "ca-qc")):
        published(f"{region}_{number}", region=region)
    for address in ("/en/", "/en/?region=ca-qc"):
        words = words_of(client, address)
        assert "British Columbia 2 Quebec 1" in words
    published("ca-bc_photo", region="ca-bc", package=factories.package("d4c-datapkg-orthoimagery"))
    words = words_of(client, "/en/?package=d4c-datapkg-orthoimagery&region=ca-bc")
    assert "Data package Roads 2 Roads 1 Place British Columbia 1 Years" in words


def test_what_is_no_year_is_passed_over(client: Client) -> None:
    published()
    for value in ("abc", "0000", "-5", "99999", "%00"):
        assert len(titles(client, f"/en/?from={value}")) == 1


def test_the_list_is_paged_and_keeps_its_state(client: Client) -> None:
    for number in range(home.PAGE_SIZE + 1):
        factories.version(factories.dataset(f"ca_{number}"))
    assert len(titles(client, "/en/?q=roads")) == home.PAGE_SIZE
    assert 'href="?q=roads&amp;page=2"' in client.get("/en/?q=roads").content.decode()
    assert "21 to 21 of 21" in words_of(client, "/en/?q=roads&page=2")
    assert len(titles(client, "/en/?page=999")) == 1
    assert len(titles(client, "/en/?page=x")) == home.PAGE_SIZE


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/en/?q=zebra", "Nothing has all of these words. Try fewer words"),
        ("/en/?q=zebra&region=ca-bc", "Try fewer words, or remove the filters."),
        ("/en/?region=ca-bc", "No dataset fits these filters."),
        ("/en/?q=" + "0" * 64, "No public file has this digest."),
    ],
)
def test_finding_nothing_names_the_next_step(client: Client, address: str, words: str) -> None:
    published()
    assert words in words_of(client, address)


@pytest.mark.parametrize("column", ["sha256", "sha1", "md5"])
def test_a_digest_leads_straight_to_its_file(client: Client, column: str) -> None:
    version = published()
    asset = version.items.get().assets.get()
    answer: Any = client.get("/fr/", {"q": getattr(asset, column)})
    assert answer["Location"] == f"{page_of(version, 'fr')}#file-data"


def test_an_info_hash_leads_straight_to_its_file(client: Client) -> None:
    version = published()
    torrent = factories.torrent(version.items.get().assets.get())
    for query in (torrent.infohash_v1, torrent.infohash_v2, f"magnet:?xt=urn:btih:{torrent.infohash_v1}&dn=x"):
        answer: Any = client.get("/en/", {"q": query})
        assert answer["Location"] == f"{page_of(version)}#file-data", query


def test_a_doi_leads_to_its_version_and_an_identifier_to_its_dataset(client: Client) -> None:
    version = published("ca_Roads-2")
    for query in (f"{version.doi}", f"https://doi.org/{version.doi}".upper()):
        answer: Any = client.get("/en/", {"q": query})
        assert answer["Location"] == page_of(version)
    answer = client.get("/en/", {"q": "ca_Roads-2"})
    assert answer["Location"] == "/en/datasets/ca_Roads-2/"


def test_a_former_identifier_leads_to_the_dataset(client: Client) -> None:
    version = published()
    Alias.objects.create(identifier="ca_streets", dataset=version.dataset, at=timezone.now())
    answer: Any = client.get("/en/", {"q": "ca_streets"})
    assert answer["Location"] == "/en/datasets/ca_roads/"


def test_what_a_query_holds_is_escaped(client: Client) -> None:
    page = client.get("/en/", {"q": "<script>alert(1)</script>\0"}).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_a_dataset_with_a_place_has_a_dot_and_one_of_the_whole_country_has_none(client: Client) -> None:
    box = {"west": -123.3, "south": 49.2, "east": -123.0, "north": 49.3}
    published("ca-bc_roads", **box)
    assert client.get("/en/").content.decode().count("<circle") == 1
    Dataset.objects.update(west=-141.0, east=-52.0)
    assert "<circle" not in client.get("/en/").content.decode()


def test_the_front_page_takes_the_language_of_the_browser(client: Client) -> None:
    for wanted, address in (("fr-CA,fr;q=0.9", "/fr/"), ("en", "/en/"), ("de", "/en/")):
        answer: Any = client.get(reverse("front"), HTTP_ACCEPT_LANGUAGE=wanted)
        assert answer["Location"] == address


@pytest.mark.parametrize("count", [1, 60])
def test_the_number_of_queries_does_not_grow_with_the_datasets(
    client: Client, count: int, django_assert_max_num_queries: Any
) -> None:
    for number in range(count):
        published(f"ca_{number}")
    with django_assert_max_num_queries(10):
        client.get("/en/")
    with django_assert_max_num_queries(12):
        client.get("/fr/?q=roads&region=ca-bc&from=2020")
