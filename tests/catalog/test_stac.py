"""STAC documents are valid by the real schemas, offline; what is wrong is refused by name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pystac
import pytest
from hypothesis import given, settings

from catalog import stac
from catalog.stac_schemas import StacInvalidError, validate
from tests.catalog.entries import COLLECTION, DATA, END, ITEM, START, items


def test_an_item_is_valid_and_keeps_what_it_was_given() -> None:
    document = stac.document(stac.item(ITEM))
    validate(document)
    assert document["properties"]["sci:doi"] == ITEM.doi
    assert document["properties"]["datetime"] is None
    assert document["assets"]["data"]["file:checksum"] == f"1220{DATA.sha256}"
    assert document["assets"]["data"]["alternate"]["origin"]["href"] == DATA.alternates[0].href
    assert document["links"][0]["href"] == ITEM.links[0].href


def test_an_item_of_one_instant_has_that_instant() -> None:
    document = stac.document(stac.item(replace(ITEM, ends_at=START)))
    validate(document)
    assert document["properties"]["datetime"] == "2022-01-01T00:00:00Z"


def test_a_collection_is_valid_and_speaks_of_its_newest_version() -> None:
    document = stac.document(stac.collection(COLLECTION))
    validate(document)
    assert document["version"] == ITEM.version
    assert document["extent"]["temporal"]["interval"] == [[stac.instant(START), stac.instant(END)]]


def test_a_collection_bears_the_doi_of_all_versions_and_without_one_none() -> None:
    assert stac.document(stac.collection(COLLECTION))["sci:doi"] == COLLECTION.doi != ITEM.doi
    without_doi = stac.document(stac.collection(replace(COLLECTION, doi="")))
    validate(without_doi)
    assert "sci:doi" not in without_doi


@settings(max_examples=25)
@given(items())
def test_any_item_is_valid(entry: stac.ItemEntry) -> None:
    validate(stac.document(stac.item(entry)))


def test_pystac_reads_it_back() -> None:
    document = stac.document(stac.item(ITEM))
    assert stac.document(pystac.Item.from_dict(document, preserve_dict=True)) == document


def without(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for part in path[:-1]:
            document = document[part]
        del document[path[-1]]

    return change


def with_value(value: Any, *path: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for part in path[:-1]:
            document = document[part]
        document[path[-1]] = value

    return change


WRONG = [
    ("no id", without("id"), "STAC None"),
    ("DOI as an address", with_value("https://doi.org/10.5072/x", "properties", "sci:doi"), "sci:doi"),
    ("checksum without multihash", with_value("ZZ", "assets", "data", "file:checksum"), "file:checksum"),
    ("version as a number", with_value(1, "properties", "version"), "version"),
    ("box of three", with_value([1, 2, 3], "bbox"), "bbox"),
]


@pytest.mark.parametrize(("change", "finding"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_document_is_refused_with_its_finding(change: Any, finding: str) -> None:
    document = stac.document(stac.item(ITEM))
    change(document)
    with pytest.raises(StacInvalidError) as refusal:
        validate(document)
    assert finding in str(refusal.value)


def test_an_extension_without_a_schema_is_an_error() -> None:
    document = stac.document(stac.item(ITEM))
    document["stac_extensions"].append("https://stac-extensions.github.io/eo/v2.0.0/schema.json")
    with pytest.raises(StacInvalidError, match=r"no schema of https://stac-extensions.github.io/eo/v2.0.0"):
        validate(document)
