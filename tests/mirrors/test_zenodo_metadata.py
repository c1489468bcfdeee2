"""What becomes of our words at Zenodo: names of files and back, both languages, and what counts as a difference."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import PersonMustActError
from mirrors.backends.base import Record, Relation
from mirrors.backends.zenodo_metadata import differences, metadata
from mirrors.backends.zenodo_names import LONGEST_NAME, flat, path_of
from mirrors.errors import MirrorRefusedError
from tests.mirrors.zenodo_deposits import ROADS

SEGMENTS = st.text(
    st.characters(blacklist_categories=["Cc", "Cs"], blacklist_characters="/"), min_size=1, max_size=12
)
PATHS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join).filter(lambda path: path not in {".", ".."})


@given(PATHS)
def test_a_path_becomes_one_name_and_comes_back(path: str) -> None:
    assert "/" not in flat(path)
    assert path_of(flat(path)) == path


@given(st.lists(st.sampled_from(["a", "~", "/", "%", "%7E", "%25", "2F"]), min_size=1, max_size=6).map("".join))
def test_no_two_paths_have_one_name(path: str) -> None:
    assert path_of(flat(path)) == path


def test_names_stay_readable() -> None:
    assert flat("sources/2021/a b.csv") == "sources~2021~a b.csv"


@pytest.mark.parametrize("path", ["", "a\nb", "\x7f", ".", "..", "x" * (LONGEST_NAME + 1), "é" * 128])
def test_a_name_that_zenodo_cannot_keep_is_refused(path: str) -> None:
    with pytest.raises(PersonMustActError, match="in a new version"):
        flat(path)


def test_words_are_escaped_and_paragraphs_kept() -> None:
    told = metadata(
        replace(ROADS, description_en="<script>x</script> & y\n\nnext", description_fr="", landing_url="")
    )
    assert told["description"] == "<p>&lt;script&gt;x&lt;/script&gt; &amp; y</p><p>next</p>"


def test_a_text_that_is_the_same_in_both_languages_stands_once() -> None:
    told = metadata(replace(ROADS, title_fr=ROADS.title_en, keywords_fr=ROADS.keywords_en, attribution_en="© City"))
    assert told["title"] == ROADS.title_en
    assert told["keywords"] == ["roads"]
    assert told["notes"] == "<p>© City</p>"


def test_box_and_time_are_told_as_zenodo_keeps_them() -> None:
    told = metadata(replace(ROADS, starts_on=date(2021, 1, 1)))
    assert told["locations"] == [
        {"lat": 43.5, "lon": -79.5, "place": "WGS 84: west -80.0, south 43.0, east -79.0, north 44.0"}
    ]
    assert told["dates"] == [{"start": "2021-01-01", "type": "Valid"}]


def test_no_doi_is_given_as_the_records_own_but_its_own() -> None:
    other = Relation("IsIdenticalTo", "10.70001/roads-1.0.0", "DOI")
    own = Relation("IsIdenticalTo", "https://doi.org/10.5281/ZENODO.7", "DOI")
    record = replace(ROADS, doi="10.70001/roads-1.0.0", relations=(other, own))
    assert "doi" not in metadata(record)
    told = metadata(record, own_doi="10.5281/zenodo.7")
    assert told["doi"] == "10.5281/zenodo.7"
    assert [one["identifier"] for one in told["related_identifiers"]] == [record.urn, "10.70001/roads-1.0.0"]


@pytest.mark.parametrize(
    ("spdx_id", "known"),
    [
        ("CC-BY-4.0", "cc-by-4.0"),
        ("CC0-1.0", "cc0-1.0"),
        ("OGL-Canada-2.0", "ogl-canada-2.0"),
        ("ODbL-1.0", "odbl-1.0"),
        ("LicenseRef-OGL-Vancouver", "other-open"),
        ("Zlib", "other-open"),
    ],
)
def test_each_licence_has_a_name_there(spdx_id: str, known: str) -> None:
    told = metadata(replace(ROADS, licence=spdx_id, licence_title_en="L", licence_url="https://l.example.org"))
    assert told["license"] == known
    assert ("https://l.example.org" in told.get("notes", "")) == (known == "other-open")


def test_no_licence_is_refused() -> None:
    with pytest.raises(MirrorRefusedError, match="Name its licence in the catalogue"):
        metadata(replace(ROADS, licence=""))


def shown(record: Record = ROADS, **facts: Any) -> dict[str, Any]:
    return {**metadata(record, community="c"), **facts}


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({}, []),
        ({"license": "canada-crown"}, []),
        ({"description": "Every road. And every rail.Chaque route. " + ROADS.landing_url}, []),
        ({"title": "Roads  & rails / Routes et rails "}, []),
        ({"communities": [{"identifier": "c"}, {"identifier": "others"}]}, []),
        ({"license": "cc-zero"}, ["license"]),
        ({"title": "Roads"}, ["title"]),
        ({"description": "Every road."}, ["description"]),
        ({"creators": []}, ["creators"]),
        ({"related_identifiers": []}, ["related_identifiers"]),
        ({"communities": []}, ["communities"]),
        ({"publication_date": "2026-03-06"}, ["publication_date"]),
    ],
)
def test_only_what_means_another_thing_is_a_difference(facts: dict[str, Any], found: list[str]) -> None:
    assert differences(metadata(ROADS, community="c"), shown(**facts)) == found


def test_a_day_that_was_not_sent_is_todays_there() -> None:
    undated = replace(ROADS, published_on=None)
    assert differences(metadata(undated), shown(undated, publication_date="2026-11-28")) == []
