"""DOIs of DataCite: each rule against a strict stand-in that fails before and after it did what was asked."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from catalog.errors import PersonMustActError, TryLaterError
from mirrors.backends.base import Record, Relation
from mirrors.doi.datacite import DataciteDois
from mirrors.doi.datacite_client import DataciteClient
from mirrors.doi.datacite_metadata import attributes_of
from mirrors.doi.datacite_schema import findings
from mirrors.errors import RegistrarRefusedError, RegistrarUnavailableError
from tests.fakes.datacite import Repository
from tests.mirrors.datacite import LOOPBACK, NAME, PREFIX, RECORD, Registry, client_of, registry


@pytest.fixture
def at() -> Iterator[Registry]:
    with registry() as opened:
        yield opened


def test_a_doi_is_a_draft_until_it_is_registered(at: Registry) -> None:
    at.dois.reserve(NAME, RECORD)
    assert at.state() == "draft"
    assert at.server.handles == {}
    at.dois.register(NAME, RECORD)
    assert at.state() == "findable"
    assert at.server.handles == {NAME: RECORD.landing_url}


def test_each_call_may_be_repeated_and_makes_nothing_twice(at: Registry) -> None:
    for act in (at.dois.reserve, at.dois.reserve, at.dois.register, at.dois.register, at.dois.reserve):
        act(NAME, RECORD)
    assert list(at.server.dois) == [NAME]
    assert at.state() == "findable"
    assert at.server.count("POST *") == 0


def test_registering_again_brings_it_up_to_date(at: Registry) -> None:
    at.dois.register(NAME, RECORD)
    at.dois.register(NAME, replace(RECORD, title_fr="Chemins", keywords_en=(), keywords_fr=()))
    assert [one["title"] for one in at.attribute("titles")] == ["Roads", "Chemins"]
    assert at.attribute("subjects") == []


def test_a_hidden_doi_is_shown_again(at: Registry) -> None:
    at.dois.register(NAME, RECORD)
    client_of(at.server).put(NAME, {}, event="hide")
    assert at.state() == "registered"
    at.dois.register(NAME, RECORD)
    assert at.state() == "findable"


LOST = ["error-before:503", "error-after:500", "drop-before", "drop-after", "limit:7", "limit"]


@pytest.mark.parametrize("act", ["reserve", "register"])
@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("call", ["GET *", "PUT *"])
def test_after_an_unclear_answer_the_same_call_ends_right(at: Registry, act: str, fault: str, call: str) -> None:
    at.server.faults.plan(call, fault)
    with pytest.raises(RegistrarUnavailableError):
        getattr(at.dois, act)(NAME, RECORD)
    getattr(at.dois, act)(NAME, RECORD)
    assert list(at.server.dois) == [NAME]
    assert at.state() == {"reserve": "draft", "register": "findable"}[act]
    assert at.server.handles == ({NAME: RECORD.landing_url} if act == "register" else {})


def test_a_handle_that_failed_after_the_change_stuck_is_registered_by_the_next_call(at: Registry) -> None:
    at.server.handles_fail = 1
    with pytest.raises(RegistrarUnavailableError):
        at.dois.register(NAME, RECORD)
    assert (at.state(), at.server.handles) == ("findable", {})
    at.dois.register(NAME, RECORD)
    assert at.server.handles == {NAME: RECORD.landing_url}


def test_a_pause_that_is_asked_for_is_told(at: Registry) -> None:
    at.server.faults.plan("GET *", "limit:7")
    with pytest.raises(RegistrarUnavailableError, match="answers 429") as raised:
        at.dois.register(NAME, RECORD)
    assert raised.value.facts["after_s"] == 7


def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_it_may_take(at: Registry) -> None:
    client = DataciteClient(at.server.url, "DFC.TEST", "s3cret", allowed=LOOPBACK, timeout_s=0.2)
    at.server.faults.plan("PUT *", "slow:3")
    with pytest.raises(RegistrarUnavailableError, match="no answer in time"):
        DataciteDois(client, PREFIX).register(NAME, RECORD)
    assert at.state() == "findable"
    at.dois.register(NAME, RECORD)
    assert at.state() == "findable"


@pytest.mark.parametrize("fault", ["truncate", "short"])
def test_an_answer_that_is_broken_off_is_none(at: Registry, fault: str) -> None:
    at.dois.reserve(NAME, RECORD)
    at.server.faults.plan("GET *", fault)
    with pytest.raises(RegistrarUnavailableError, match="broken off"):
        at.dois.register(NAME, RECORD)
    assert at.state() == "draft"


def test_an_event_that_was_ignored_is_noticed(at: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fakes.datacite.EVENTS", {})
    with pytest.raises(RegistrarRefusedError, match="left the DOI draft"):
        at.dois.register(NAME, RECORD)


def test_a_name_that_another_installation_took_is_left_alone(at: Registry) -> None:
    at.dois.register(NAME, replace(RECORD, landing_url="https://staging.example.org/roads"))
    with pytest.raises(RegistrarRefusedError, match=r"leads to https://staging.example.org/roads.*another DFC_DATA"):
        at.dois.reserve(NAME, RECORD)
    assert at.server.handles == {NAME: "https://staging.example.org/roads"}


def wrong_password(at: Registry) -> DataciteDois:
    return DataciteDois(client_of(at.server, password="wr0ng"), PREFIX)


def foreign_prefix(at: Registry) -> DataciteDois:
    at.server.repositories["ELSE.WHERE"] = Repository("other", ("10.70002",))
    return DataciteDois(client_of(at.server, "ELSE.WHERE", "other"), PREFIX)


def wrong_address(at: Registry) -> DataciteDois:
    client = DataciteClient(f"{at.server.url}/api", "DFC.TEST", "s3cret", allowed=LOOPBACK)
    return DataciteDois(client, PREFIX)


def private_address(at: Registry) -> DataciteDois:
    return DataciteDois(DataciteClient(at.server.url, "DFC.TEST", "s3cret"), PREFIX)


@pytest.mark.parametrize(
    ("opened", "words"),
    [
        (wrong_password, r"does not know DFC.TEST .*Bad credentials.*DFC_DATACITE_PASSWORD"),
        (foreign_prefix, r"does not let ELSE.WHERE write it .*not authorized.*DFC_DATACITE_PREFIX"),
        (wrong_address, r"answers 404 .*DFC_DATACITE_URL"),
        (private_address, r"no public address.*DFC_PRIVATE_NETWORKS"),
    ],
)
def test_what_a_person_has_to_mend_is_said(at: Registry, opened: Any, words: str) -> None:
    with pytest.raises(RegistrarRefusedError, match=words) as raised:
        opened(at).reserve(NAME, RECORD)
    assert isinstance(raised.value, PersonMustActError)
    assert not isinstance(raised.value, TryLaterError)
    assert "s3cret" not in str(raised.value)
    assert at.server.dois == {}


def test_what_the_registry_refuses_is_told_in_its_words(at: Registry) -> None:
    at.server.repositories["DFC.TEST"].domains = ("https://elsewhere.example.org",)
    with pytest.raises(RegistrarRefusedError, match="url: URL is not allowed by repository domain settings"):
        at.dois.register(NAME, RECORD)


def test_metadata_that_do_not_fit_are_refused_before_anybody_is_asked(at: Registry) -> None:
    for wrong, words in (({"published_on": None}, "publicationYear"), ({"title_en": "", "title_fr": ""}, "titles")):
        with pytest.raises(RegistrarRefusedError, match=f"schema 4.6.*{words}"):
            at.dois.reserve(NAME, replace(RECORD, **wrong))
    assert at.server.asked == []


def test_both_languages_go_along_and_english_stands_first() -> None:
    told = attributes_of(NAME, RECORD)
    assert told["titles"] == [
        {"title": "Roads", "lang": "en"},
        {"title": "Routes", "lang": "fr", "titleType": "TranslatedTitle"},
    ]
    assert [(one["descriptionType"], one["lang"]) for one in told["descriptions"]] == [
        ("Abstract", "en"),
        ("Abstract", "fr"),
        ("Other", "en"),
        ("Other", "fr"),
    ]
    assert {one["lang"] for one in told["subjects"]} == {"en", "fr"}
    assert told["creators"][1] == {"name": "Doe, Jane", "nameType": "Personal"}


def test_places_times_and_files_are_told_as_the_schema_has_them() -> None:
    told = attributes_of(NAME, RECORD)
    assert told["dates"] == [
        {"date": "2026-03-01", "dateType": "Issued"},
        {"date": "2021-01-01/2021-12-31", "dateType": "Coverage"},
    ]
    assert told["geoLocations"][0]["geoLocationBox"]["westBoundLongitude"] == -80.0
    assert (told["sizes"], told["formats"]) == (["5510934436 bytes"], ["application/geo+json"])
    assert list(findings(told)) == []


def test_a_licence_is_told_by_its_spdx_id_or_by_its_address() -> None:
    spdx = attributes_of(NAME, RECORD)["rightsList"][0]
    assert (spdx["rightsIdentifier"], spdx["rightsIdentifierScheme"]) == ("CC-BY-4.0", "SPDX")
    own = attributes_of(NAME, replace(RECORD, licence="LicenseRef-vancouver"))["rightsList"][0]
    assert own["rightsUri"] == RECORD.licence_url
    assert "rightsIdentifier" not in own


def test_it_is_related_to_others_and_never_to_itself() -> None:
    own = Relation("IsIdenticalTo", NAME.upper(), "DOI")
    told = attributes_of(NAME, replace(RECORD, relations=(*RECORD.relations, own, *RECORD.relations)))
    assert [(one["relationType"], one["relatedIdentifier"]) for one in told["relatedIdentifiers"]] == [
        ("IsIdenticalTo", "10.5281/zenodo.77"),
        ("IsVersionOf", f"{PREFIX}/d4c.0123456789ab"),
    ]


def test_the_schema_is_4_6_and_refuses_what_no_schema_has() -> None:
    told = attributes_of(NAME, RECORD)
    told["dates"][1]["dateType"] = "Covered"
    told["relatedIdentifiers"][0]["relationType"] = "isIdenticalTo"
    told["types"]["resourceTypeGeneral"] = "Project"  # of 4.6, as the Coverage that stands among the dates elsewhere
    places = {one.partition(":")[0] for one in findings(told)}
    assert {"dates/1/dateType", "relatedIdentifiers/0/relationType"} <= places
    assert "types/resourceTypeGeneral" not in places


def test_a_record_with_as_little_as_there_can_be_fits(at: Registry) -> None:
    least = Record(
        urn=RECORD.urn,
        identifier="ca_roads",
        version="",
        title_en="Roads",
        title_fr="Roads",
        creators=RECORD.creators,
        publisher=RECORD.publisher,
        published_on=RECORD.published_on,
        landing_url=RECORD.landing_url,
    )
    at.dois.register(NAME, least)
    assert at.state() == "findable"
    assert at.attribute("identifiers") == [{"identifier": "ca_roads", "identifierType": "Data for Canada"}]


@pytest.mark.parametrize("words", ["[" * 100_000, '{"data": {"attributes": ' + "[" * 100_000, "7", '{"data": []}'])
def test_an_answer_that_has_no_end_of_brackets_is_none(at: Registry, words: str) -> None:
    at.server.faults.plan("GET /dois/*", f"say:{words}")
    with pytest.raises(RegistrarUnavailableError, match="broken off"):
        at.dois.register(NAME, RECORD)
    assert at.server.dois == {}
