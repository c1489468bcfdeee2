"""Feeds of new versions are Atom (RFC 4287): whole entries, ids that stay, dates in RFC 3339, named by the pages."""

import re
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.test import Client
from django.utils import timezone

from catalog.models import Alias, Dataset, Version
from dfc_site.pages.feeds import NEWEST
from tests import factories

pytestmark = pytest.mark.django_db

ATOM = "{http://www.w3.org/2005/Atom}"
TAG = re.compile(r"tag:[a-z0-9.-]+,[0-9]{4}-[0-9]{2}-[0-9]{2}:\S+")  # RFC 4151
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


def read(client: Client, address: str) -> ET.Element:
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/atom+xml; charset=utf-8"
    assert answer["Access-Control-Allow-Origin"] == "*"
    return ET.fromstring(answer.content)  # noqa: S314  our own answer


def texts(feed: ET.Element, name: str) -> list[str]:
    return [one.text or "" for one in feed.iter(f"{ATOM}{name}")]


def published(identifier: str = "ca_roads", number: str = "1.0.0", **fields: Any) -> Version:
    dataset = Dataset.objects.filter(identifier=identifier).first() or factories.dataset(identifier)
    version = factories.version(dataset, number, **fields)
    factories.item(version)
    return version


@pytest.mark.parametrize("address", ["/feeds/en/versions.atom", "/feeds/fr/datasets/ca_roads.atom"])
def test_a_feed_is_atom(client: Client, address: str) -> None:
    published(number="1.0.0")
    version = published(number="1.1.0", notes_fr="<b>Routes</b> & rues", notes_en="Roads")
    feed = read(client, address)
    ids = texts(feed, "id")
    assert len(ids) == len(set(ids)) == 3
    assert all(TAG.fullmatch(one) for one in ids)
    dates = texts(feed, "updated") + texts(feed, "published")
    assert len(dates) == 5
    assert all(RFC_3339.fullmatch(one) for one in dates)
    assert datetime.fromisoformat(texts(feed, "updated")[0]) == version.published_at
    links = {one.attrib["rel"]: one.attrib["href"] for one in feed.findall(f"{ATOM}link")}
    assert links["self"].endswith(address)
    assert all(link.startswith("http") for link in links.values())
    for entry in feed.iter(f"{ATOM}entry"):
        assert {"id", "title", "updated", "link", "summary"} <= {one.tag.removeprefix(ATOM) for one in entry}
    assert feed.find(f"{ATOM}author/{ATOM}name") is not None


def test_each_language_has_its_texts_and_ids(client: Client) -> None:
    published(notes_en="First edition.", notes_fr="Première édition.")
    english, french = (read(client, f"/feeds/{one}/versions.atom") for one in ("en", "fr"))
    assert texts(english, "summary") == ["First edition."]
    assert texts(french, "summary") == ["Première édition."]
    assert texts(french, "title") == ["Nouvelles versions · Données pour le Canada", "Routes, v1.0.0"]
    assert not set(texts(english, "id")) & set(texts(french, "id"))
    assert french.attrib["{http://www.w3.org/XML/1998/namespace}lang"] == "fr"


def test_a_summary_is_escaped_html(client: Client) -> None:
    published(notes_en="Roads <b>& streets</b>")
    summary = next(read(client, "/feeds/en/versions.atom").iter(f"{ATOM}summary"))
    assert summary.attrib["type"] == "html"
    assert summary.text == "Roads &lt;b&gt;&amp; streets&lt;/b&gt;"


def test_ids_stay_when_the_same_rows_are_read_again_and_when_a_dataset_is_renamed(client: Client) -> None:
    version = published()
    before = texts(read(client, "/feeds/en/versions.atom"), "id")
    assert texts(read(client, "/feeds/en/versions.atom"), "id") == before
    Alias.objects.create(identifier="ca_roads", dataset=version.dataset, at=timezone.now())
    Dataset.objects.update(identifier="ca_streets")
    assert texts(read(client, "/feeds/en/versions.atom"), "id") == before


def test_drafts_and_withdrawn_versions_are_not_announced(client: Client) -> None:
    for number, state in (("1.0.0", "draft"), ("1.1.0", "withdrawn"), ("1.2.0", "deprecated")):
        published(number=number, state=state)
    assert texts(read(client, "/feeds/en/versions.atom"), "title")[1:] == ["Roads, v1.2.0"]


def test_the_feed_of_a_dataset_has_only_its_versions_and_an_unknown_one_has_none(client: Client) -> None:
    published("ca_roads")
    published("ca_lakes")
    assert len(texts(read(client, "/feeds/en/datasets/ca_lakes.atom"), "title")) == 2
    for wrong in ("/feeds/en/datasets/ca_none.atom", "/feeds/de/versions.atom", "/feeds/en/datasets/x%00.atom"):
        assert client.get(wrong).status_code == 404, wrong


def test_a_feed_is_bounded_and_costs_the_same_queries(client: Client, django_assert_max_num_queries: Any) -> None:
    for number in range(NEWEST + 5):
        published(f"ca_{number}")
    with django_assert_max_num_queries(3):
        assert len(texts(read(client, "/feeds/en/versions.atom"), "title")) == NEWEST + 1


def test_an_empty_feed_is_still_a_feed(client: Client) -> None:
    assert len(texts(read(client, "/feeds/fr/versions.atom"), "updated")) == 1


def test_pages_name_their_feed_for_readers(client: Client) -> None:
    published()
    for language in ("en", "fr"):
        for address, feed in (
            (f"/{language}/", f"/feeds/{language}/versions.atom"),
            (f"/{language}/datasets/ca_roads/", f"/feeds/{language}/datasets/ca_roads.atom"),
        ):
            page = client.get(address).content.decode()
            assert re.search(rf'<link rel="alternate" type="application/atom\+xml"[^>]* href="{feed}">', page)
            read(client, feed)
