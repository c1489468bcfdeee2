"""Zenodo's own rules: one record a deposit whatever answers are lost, nothing public that was not looked at."""

from dataclasses import replace
from functools import partial

import pytest

from mirrors.backends.zenodo import ZenodoMirror
from mirrors.errors import MirrorRefusedError, MirrorSettlingError, MirrorUnavailableError
from tests.fakes.zenodo import FakeZenodo
from tests.mirrors.uploads import KEY, whole
from tests.mirrors.zenodo_deposits import (
    AFTER,
    BEFORE,
    BYTES,
    CREATE,
    EDIT,
    PUBLISH,
    PUT,
    RAILS,
    ROADS,
    URNS,
    VERSIONS,
    WRITE_METADATA,
    fill,
    states,
    until_done,
)
from tests.mirrors.zenodos import mirror_at, zenodo


@pytest.fixture
def server() -> FakeZenodo:
    return zenodo()


@pytest.fixture
def mirror(server: FakeZenodo) -> ZenodoMirror:
    return mirror_at(server)


def test_a_record_says_all_that_ours_says(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    receipt = mirror.publish(fill(mirror), ROADS)
    kept = server.deposits[int(receipt.record_id)].published or {}
    assert kept["title"] == "Roads & rails / Routes et rails"
    assert kept["description"].startswith("<p>Every road.</p><p>And every rail.</p><p>Chaque route.</p>")
    assert kept["license"] == "ogl-canada-2.0"
    assert [one["name"] for one in kept["creators"]] == [
        "Data for Canada",
        "Ministry of Roads – Canada",
        "Tremblay, Anne",
    ]
    assert kept["publication_date"] == "2026-03-05"
    assert kept["keywords"] == ["roads", "routes"]
    assert [(one["relation"], one["identifier"]) for one in kept["related_identifiers"]] == [
        ("isAlternateIdentifier", URNS[1]),
        ("isIdenticalTo", "https://archive.example.org/details/ca_roads"),
    ]
    assert receipt.doi == f"10.5281/zenodo.{receipt.record_id}"
    assert receipt.concept_doi.startswith("10.5281/zenodo.")
    assert receipt.landing_url == f"https://zenodo.example.org/records/{receipt.record_id}"


def test_the_doi_of_a_draft_is_the_one_that_it_gets(mirror: ZenodoMirror) -> None:
    draft = fill(mirror)
    assert draft.doi == mirror.publish(draft, ROADS).doi


@pytest.mark.parametrize("fault", BEFORE)
def test_a_creation_that_was_not_done_is_done_once(mirror: ZenodoMirror, server: FakeZenodo, fault: str) -> None:
    server.faults.plan(CREATE, fault)
    with pytest.raises(MirrorUnavailableError):
        mirror.prepare(KEY, ROADS)
    assert mirror.find(KEY, ROADS) is None
    mirror.prepare(KEY, ROADS)
    assert states(server) == ["unsubmitted"]


@pytest.mark.parametrize("fault", AFTER)
def test_a_creation_whose_answer_is_lost_is_found(mirror: ZenodoMirror, server: FakeZenodo, fault: str) -> None:
    server.faults.plan(CREATE, fault)
    with pytest.raises(MirrorUnavailableError):
        mirror.prepare(KEY, ROADS)
    found = mirror.find(KEY, ROADS)
    assert found is not None
    assert mirror.prepare(KEY, ROADS) == found
    assert server.count(CREATE) == 1


def test_a_doubled_draft_goes_once_the_index_shows_it(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    server.lag_s = 1e6
    lost, ours = mirror.prepare(KEY, ROADS), fill(mirror)
    assert lost.record_id != ours.record_id
    server.lag_s = 0
    mirror.publish(ours, ROADS)
    assert states(server) == ["done"]
    assert int(ours.record_id) in server.deposits


def test_a_double_that_the_index_shows_too_late_never_becomes_public(
    mirror: ZenodoMirror, server: FakeZenodo
) -> None:
    server.lag_s = 1e6
    mirror.prepare(KEY, ROADS)
    ours = fill(mirror)
    receipt = mirror.publish(ours, ROADS)
    assert states(server) == ["done", "unsubmitted"]
    server.lag_s = 0
    assert mirror.publish(ours, ROADS) == receipt
    assert states(server) == ["done"]


def test_what_is_public_is_found_before_a_draft(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    server.lag_s = 1e6
    mirror.prepare(KEY, ROADS)
    receipt = mirror.publish(fill(mirror), ROADS)
    server.lag_s = 0
    found = mirror.find(KEY, ROADS)
    assert found is not None
    assert found.record_id == receipt.record_id


def test_a_second_public_record_needs_a_person(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    server.lag_s = 1e6
    mirror.publish(fill(mirror), ROADS)
    ours = fill(mirror)
    server.lag_s = 0
    with pytest.raises(MirrorRefusedError, match="has a public record with the key"):
        mirror.publish(ours, ROADS)
    assert states(server) == ["done", "unsubmitted"]


def test_a_longer_key_is_not_taken_for_ours(mirror: ZenodoMirror) -> None:
    mirror.prepare(KEY, replace(ROADS, urn=f"{URNS[1]}-9"))
    assert mirror.find(KEY, ROADS) is None


@pytest.mark.parametrize("fault", [*BEFORE, *AFTER])
def test_a_put_whose_answer_is_lost_is_looked_for(mirror: ZenodoMirror, server: FakeZenodo, fault: str) -> None:
    server.faults.plan(PUT, fault)
    with pytest.raises(MirrorUnavailableError):
        fill(mirror)
    draft = fill(mirror)
    assert server.count(PUT) == (1 if fault in AFTER else 2)
    assert whole(mirror, mirror.locator(draft, "roads.bin")) == BYTES


@pytest.mark.parametrize("fault", [*BEFORE, *AFTER])
def test_a_publication_whose_answer_is_lost_is_looked_for(
    mirror: ZenodoMirror, server: FakeZenodo, fault: str
) -> None:
    draft = fill(mirror)
    server.faults.plan(PUBLISH, fault)
    receipt = until_done(lambda: mirror.publish(draft, ROADS))
    assert receipt.record_id == draft.record_id
    assert mirror.publish(draft, ROADS) == receipt
    assert server.count(PUBLISH) == (1 if fault in AFTER else 2)
    assert states(server) == ["done"]


def test_a_publication_that_comes_through_late_is_no_refusal(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    draft = fill(mirror)
    server.faults.plan(PUBLISH, "error-before:504")
    with pytest.raises(MirrorUnavailableError):
        mirror.publish(draft, ROADS)
    mirror.client.ask("POST", f"/deposit/depositions/{draft.record_id}/actions/publish")
    assert mirror.publish(draft, ROADS).record_id == draft.record_id


def test_a_second_edition_is_a_version_of_the_first(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    first = mirror.publish(fill(mirror), ROADS)
    next_one = replace(RAILS, previous_record_id=first.record_id)
    draft = fill(mirror, next_one, path="rails.bin")
    assert mirror.prepare(KEY, next_one) == draft
    second = mirror.publish(draft, next_one)
    assert second.concept_doi == first.concept_doi == draft.concept_doi
    assert second.doi != first.doi
    assert set(mirror.listing(draft)) == {"rails.bin"}
    assert mirror.find(KEY, ROADS) == replace(draft, record_id=first.record_id, doi=first.doi)


@pytest.mark.parametrize("place", [VERSIONS, WRITE_METADATA])
@pytest.mark.parametrize("fault", [*BEFORE, *AFTER])
def test_a_version_that_broke_off_anywhere_is_made_once(
    mirror: ZenodoMirror, server: FakeZenodo, place: str, fault: str
) -> None:
    first = mirror.publish(fill(mirror), ROADS)
    next_one = replace(RAILS, previous_record_id=first.record_id)
    server.faults.plan(place, *[fault] * 5)
    draft = until_done(lambda: mirror.prepare(KEY, next_one))
    assert states(server) == ["done", "unsubmitted"]
    assert mirror.find(KEY, next_one) == draft


def test_a_version_waits_for_another_ones_draft(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    first = mirror.publish(fill(mirror), ROADS)
    other = replace(RAILS, urn=URNS[3], version="1.2.0", previous_record_id=first.record_id)
    mirror.prepare(KEY, replace(RAILS, previous_record_id=first.record_id))
    with pytest.raises(MirrorSettlingError, match="one at a time") as caught:
        mirror.prepare(KEY, other)
    assert caught.value.facts["after_s"] == 7
    assert states(server) == ["done", "unsubmitted"]


def test_a_version_waits_until_the_one_before_is_public(mirror: ZenodoMirror) -> None:
    first = fill(mirror)
    with pytest.raises(MirrorSettlingError, match="not public at Zenodo yet"):
        mirror.prepare(KEY, replace(RAILS, previous_record_id=first.record_id))


def test_a_version_that_a_person_opened_with_files_is_left_alone(mirror: ZenodoMirror) -> None:
    first = mirror.publish(fill(mirror), ROADS)
    mirror.client.ask("POST", f"/deposit/depositions/{first.record_id}/actions/newversion")
    with pytest.raises(MirrorRefusedError, match="somebody opened a new version"):
        mirror.prepare(KEY, replace(RAILS, previous_record_id=first.record_id))


def test_publishing_the_first_again_spares_the_draft_of_the_second(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    draft = fill(mirror)
    receipt = mirror.publish(draft, ROADS)
    mirror.client.ask("POST", f"/records/{receipt.record_id}/versions")
    assert mirror.publish(draft, ROADS) == receipt
    assert states(server) == ["done", "unsubmitted"]


def test_a_public_record_gets_new_metadata_and_keeps_its_doi(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    draft = fill(mirror)
    receipt = mirror.publish(draft, ROADS)
    withdrawn = replace(ROADS, notice_en="Withdrawn: wrong roads", notice_fr="Retirée : mauvaises routes")
    mirror.describe(draft, withdrawn)
    kept = server.deposits[int(draft.record_id)]
    assert kept.state == "done"
    assert "Withdrawn: wrong roads" in (kept.published or {})["notes"]
    assert (kept.published or {})["description"].startswith("<p>Withdrawn: wrong roads</p><p>Retirée")
    assert mirror.publish(draft, withdrawn) == receipt


def test_metadata_that_are_as_they_should_be_are_left_alone(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    draft = fill(mirror)
    mirror.publish(draft, ROADS)
    mirror.describe(draft, ROADS)
    assert server.count(EDIT) == 0


@pytest.mark.parametrize("place", [EDIT, WRITE_METADATA, PUBLISH])
@pytest.mark.parametrize("fault", [*BEFORE, *AFTER])
def test_a_change_of_metadata_that_broke_off_is_ended(
    mirror: ZenodoMirror, server: FakeZenodo, place: str, fault: str
) -> None:
    draft, renamed = fill(mirror), replace(ROADS, title_en="Streets")
    mirror.publish(draft, ROADS)
    server.faults.plan(place, *[fault] * 5)
    until_done(lambda: mirror.describe(draft, renamed))
    kept = server.deposits[int(draft.record_id)]
    assert kept.state == "done"
    assert (kept.published or {})["title"] == "Streets / Routes et rails"


@pytest.mark.parametrize("seed", range(6))
def test_at_faults_of_every_kind_there_is_one_record_with_the_right_bytes(server: FakeZenodo, seed: int) -> None:
    mirror, before = mirror_at(server), ""
    server.faults.seed, server.faults.probability = seed, 0.3
    for number in range(1, 4):
        record = replace(ROADS, urn=URNS[number], version=f"1.{number}.0", previous_record_id=before)
        draft = until_done(partial(fill, mirror, record))
        before = until_done(partial(mirror.publish, draft, record)).record_id
    server.faults.probability = 0
    assert states(server) == ["done"] * 3
    assert len({one.concept for one in server.deposits.values()}) == 1
    assert all([one.content for one in deposit.files.values()] == [BYTES] for deposit in server.deposits.values())
