"""What mirrors and registrars say follows our rows: after each change, only where it differs, and whatever breaks."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from catalog.models import Dataset, Version
from mirrors import connect
from mirrors.backends.traits import ZENODO
from mirrors.deposits.record import digest_of, record
from mirrors.deposits.redescribe import sweep_stale
from mirrors.models import Deposit, Doi, Mirror
from mirrors.replicate import find
from releases.descriptions import request_descriptions
from releases.jobs import steering
from releases.models import Decision, Job, Step
from tests.mirrors.datacite import Registry, registry
from tests.mirrors.dois import (
    MemoryService,
    attempt,
    decide,
    describe,
    fresh,
    public_deposit,
    published,
    related,
    roads,
    service_mirror,
)

pytestmark = pytest.mark.django_db

DATACITE = Dataset.DoiProvider.DATACITE
NOTICE = "Withdrawn: The licence text was wrong."


@pytest.fixture(autouse=True)
def impatient(settings: Any) -> None:
    settings.DFC_BACKOFF_S, settings.DFC_ATTEMPTS = 0.001, 60


@pytest.fixture
def at(settings: Any) -> Iterator[Registry]:
    with registry(settings) as opened:
        yield opened


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> dict[str, MemoryService]:
    """Open mirrors of kind zenodo as services in memory, one a slug."""
    opened: dict[str, MemoryService] = {}

    def open_one(mirror: Mirror) -> MemoryService:
        service = opened.setdefault(mirror.slug, MemoryService())
        service.traits = ZENODO
        return service

    monkeypatch.setattr(connect, "OPENERS", {**connect.OPENERS, Mirror.Kind.ZENODO: open_one})
    return opened


def said(deposit: Deposit, services: dict[str, MemoryService]) -> Any:
    """Give the record that a service has of a deposit."""
    return services[deposit.mirror.slug].deposits[find_key(deposit)]


def find_key(deposit: Deposit) -> str:
    asset = deposit.version.items.get(tile="").assets.get()
    return str(asset.storage_key.removesuffix(f"/{asset.path}"))


def steps() -> list[tuple[str, str]]:
    """Give the steps that described something, and how they ended."""
    acts = Step.objects.filter(job__pipeline="describe").exclude(function="mirrors.deposits.redescribe.look_at")
    return [(function.rpartition(".")[2], state) for function, state in acts.values_list("function", "state")]


def test_a_revision_of_texts_is_told_to_mirrors_and_registrar(
    at: Registry, services: dict[str, MemoryService]
) -> None:
    version = published(roads(DATACITE))
    deposit = public_deposit(version, service_mirror())
    decide(Decision.Kind.REVISE, version)
    describe()
    assert said(deposit, services).title_fr == "Chemins"
    for name in (version.doi, version.dataset.concept_doi):
        assert [one["title"] for one in at.attribute("titles", str(name))] == ["Roads", "Chemins"]
    assert Deposit.objects.get().described_digest == digest_of(record(find(deposit.pk)))
    assert Job.objects.get(pipeline="describe").state == Job.State.DONE


def test_what_has_the_newest_metadata_is_not_asked_again(at: Registry, services: dict[str, MemoryService]) -> None:
    version = published(roads(DATACITE))
    public_deposit(version, service_mirror())
    request_descriptions(version.dataset_id, cause="first")
    describe()
    before = len(at.server.asked)
    request_descriptions(version.dataset_id, cause="second")
    request_descriptions(version.dataset_id, cause="second")
    describe()
    assert len(at.server.asked) == before
    assert Job.objects.filter(pipeline="describe").count() == 2


def test_a_deposit_is_named_by_the_doi_and_by_the_other_deposits(
    at: Registry, services: dict[str, MemoryService]
) -> None:
    version = published(roads(DATACITE))
    first = public_deposit(version, service_mirror("first"), doi="10.5281/zenodo.1")
    second = public_deposit(version, service_mirror("second"))
    request_descriptions(version.dataset_id, cause="both")
    describe()
    assert {("IsIdenticalTo", second.landing_url), ("IsIdenticalTo", version.doi)} <= related(said(first, services))
    assert {("IsIdenticalTo", "10.5281/zenodo.1"), ("IsIdenticalTo", version.doi)} <= related(said(second, services))
    told = {one["relatedIdentifier"] for one in at.attribute("relatedIdentifiers", str(version.doi))}
    assert {"10.5281/zenodo.1", second.landing_url} <= told
    assert said(first, services).doi == version.doi  # a relation there, never the record's own


def test_a_successor_is_told_to_the_records_of_the_version_before(services: dict[str, MemoryService]) -> None:
    dataset = roads()
    first = published(dataset)
    deposit = public_deposit(first, service_mirror())
    second = published(dataset, "1.1.0")
    request_descriptions(dataset.pk, cause="release")
    describe()
    assert ("IsPreviousVersionOf", second.doi) in related(said(deposit, services))
    assert ("IsVersionOf", first.dataset.concept_doi) in related(said(deposit, services))


def test_a_withdrawn_doi_stays_findable_and_leads_to_the_tombstone_with_a_note(at: Registry) -> None:
    version = published(roads(DATACITE))
    page = at.server.handles[str(version.doi)]
    decide(Decision.Kind.WITHDRAW, version)
    describe()
    name = str(version.doi)
    assert (at.state(name), at.server.handles[name]) == ("findable", page)
    notes = [one for one in at.attribute("descriptions", name) if one["descriptionType"] == "Other"]
    assert notes[0] == {"description": NOTICE, "descriptionType": "Other", "lang": "en"}
    assert notes[1]["description"] == "Retirée\N{NO-BREAK SPACE}: Le texte de licence était faux."
    assert Doi.objects.get(version=version).state == Doi.State.TOMBSTONE
    assert Doi.objects.get(version=None).state == Doi.State.FINDABLE


def test_a_deprecation_is_said_too(at: Registry) -> None:
    version = published(roads(DATACITE))
    decide(Decision.Kind.DEPRECATE, version)
    describe()
    words = [one["description"] for one in at.attribute("descriptions", str(version.doi))]
    assert words[0] == "Deprecated: The licence text was wrong."
    assert Doi.objects.get(version=version).state == Doi.State.FINDABLE


def test_a_person_is_told_once_what_to_ask_of_the_staff(services: dict[str, MemoryService]) -> None:
    version = published(roads())
    deposit = public_deposit(version, service_mirror())
    decide(Decision.Kind.WITHDRAW, version)
    describe()
    assert said(deposit, services).notice_en == NOTICE
    asked = Step.objects.get(function="mirrors.deposits.redescribe.ask_staff")
    assert asked.state == Step.State.FAILED
    assert "Write to the form at https://zenodo.org/support" in asked.error
    assert deposit.landing_url in asked.error
    steering.skip(asked, by=get_user_model().objects.get(username="decider"), reason="They restricted it, 4711.")
    assert Job.objects.get(pipeline="describe").state == Job.State.DONE
    request_descriptions(version.dataset_id, cause="later")
    describe()
    assert Step.objects.filter(function="mirrors.deposits.redescribe.ask_staff").count() == 1


def test_drafts_and_mirrors_out_of_use_are_left_alone(services: dict[str, MemoryService]) -> None:
    version = published(roads())
    public_deposit(version, service_mirror("gone", is_enabled=False))
    public_deposit(version, service_mirror("open"), state=Deposit.State.OPEN)
    request_descriptions(version.dataset_id, cause="any")
    describe()
    assert services == {}


def test_what_no_cause_has_started_is_found_once_a_day(services: dict[str, MemoryService], settings: Any) -> None:
    version = published(roads())
    deposit = public_deposit(version, service_mirror(state=Mirror.State.PAUSED))
    decide(Decision.Kind.REVISE, version)
    describe()
    assert services == {}
    Mirror.objects.update(state=Mirror.State.ANSWERS)
    for _ in range(2):
        sweep_stale(attempt("mirrors.deposits.redescribe.sweep_stale", 7), 7)
    describe()
    assert said(deposit, services).title_fr == "Chemins"
    assert list(sweeps()) == [f"describe:sweep:7:{version.dataset_id}"]
    sweep_stale(attempt("mirrors.deposits.redescribe.sweep_stale", 8), 8)
    assert sweeps().count() == 1


def sweeps() -> Any:
    return Job.objects.filter(key__startswith="describe:sweep:").values_list("key", flat=True)


def test_the_last_word_is_right_when_a_change_comes_while_it_is_told(services: dict[str, MemoryService]) -> None:
    version = published(roads())
    deposit = public_deposit(version, service_mirror())
    heard: list[str] = []

    class Slow(MemoryService):
        def describe(self, draft: Any, record: Any) -> None:
            heard.append(record.title_fr)
            if len(heard) == 1:
                Dataset.objects.update(title_fr="Sentiers")
            super().describe(draft, record)

    services["service"] = Slow()
    request_descriptions(version.dataset_id, cause="any")
    describe()
    assert heard == ["Routes", "Sentiers"]
    assert Deposit.objects.get().described_digest == digest_of(record(find(deposit.pk)))


def test_a_mirror_that_fails_is_tried_again_and_holds_nobody_else_up(
    at: Registry, services: dict[str, MemoryService], settings: Any
) -> None:
    settings.DFC_ATTEMPTS = 2
    version = published(roads(DATACITE))
    deposit = public_deposit(version, service_mirror())
    services["service"] = MemoryService()
    services["service"].faults.is_unavailable = True
    decide(Decision.Kind.REVISE, version)
    describe()
    assert sorted(steps()) == [("bring_doi", "done"), ("bring_doi", "done"), ("describe_deposit", "failed")]
    assert Deposit.objects.get().described_digest == ""
    services["service"].faults.is_unavailable = False
    failed = Step.objects.get(state=Step.State.FAILED)
    steering.retry(failed, by=get_user_model().objects.get(username="decider"))
    describe()
    assert said(deposit, services).title_fr == "Chemins"
    assert Job.objects.get(pipeline="describe").state == Job.State.DONE


@pytest.mark.parametrize("seed", range(2))
def test_in_whatever_way_the_registry_fails_each_doi_ends_right_and_none_is_doubled(at: Registry, seed: int) -> None:
    dataset = roads(DATACITE)
    versions = [published(dataset, f"1.{number}.0") for number in range(2)]
    at.server.faults.probability, at.server.faults.seed = 0.4, seed
    at.server.handles_fail = 2
    decide(Decision.Kind.WITHDRAW, versions[1])
    decide(Decision.Kind.REVISE, fresh(versions[0]))
    describe()
    at.server.faults.clear()
    assert set(Job.objects.filter(pipeline="describe").values_list("state", flat=True)) == {Job.State.DONE}
    assert set(at.server.dois) == {versions[0].dataset.concept_doi, *(one.doi for one in versions)}
    for name, kept in at.server.dois.items():
        assert (kept.state, kept.attributes["titles"][1]["title"]) == ("findable", "Chemins")
        assert at.server.handles[name] == kept.attributes["url"]
    assert at.attribute("descriptions", str(versions[1].doi))[0]["description"] == NOTICE
    assert Version.objects.filter(state=Version.State.WITHDRAWN).count() == 1
    assert at.server.faults.given
