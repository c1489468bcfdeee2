"""A version gets its DOI once, from the provider of its dataset, and it is registered when the version is public."""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.models import Dataset, Version
from mirrors import connect
from mirrors.backends.traits import ZENODO
from mirrors.checks.knock import knock_once
from mirrors.checkup import checks
from mirrors.deposits.redescribe import bring_doi, expand_dois
from mirrors.deposits.reserve import expand_reserve
from mirrors.doi import datacite_client
from mirrors.doi.connect import provider_of
from mirrors.errors import RegistrarRefusedError, RegistrarUnavailableError, ReservationError
from mirrors.models import Deposit, Doi, Mirror, Policy
from mirrors.replicate import publish_deposit
from tests import factories
from tests.mirrors.datacite import PREFIX, Registry, registry
from tests.mirrors.dois import (
    MemoryService,
    approved,
    attempt,
    fresh,
    make_public,
    published,
    register,
    reserve,
    roads,
    service_mirror,
    states,
)

pytestmark = pytest.mark.django_db
durable = pytest.mark.django_db(transaction=True)  # an intent is committed before the call

DATACITE = Dataset.DoiProvider.DATACITE


@pytest.fixture
def at(settings: Any) -> Iterator[Registry]:
    with registry(settings) as opened:
        yield opened


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> MemoryService:
    """Open mirrors of kind zenodo as one service in memory that gives DOIs."""
    opened = MemoryService()
    opened.traits = ZENODO
    monkeypatch.setattr(connect, "OPENERS", {**connect.OPENERS, Mirror.Kind.ZENODO: lambda _mirror: opened})
    return opened


def test_a_test_doi_follows_from_identifier_and_number() -> None:
    version = reserve(approved(roads()))
    assert re.fullmatch(r"10\.5072/d4c\.[0-9a-f]{12}\.v1\.0\.0", version.doi or "")
    assert version.dataset.concept_doi == (version.doi or "").removesuffix(".v1.0.0")
    assert states() == {version.doi: "reserved", version.dataset.concept_doi: "reserved"}


def test_reserving_twice_is_the_same_as_once() -> None:
    release = approved(roads())
    first = reserve(release)
    assert reserve(release).doi == first.doi
    assert Doi.objects.count() == 2


def test_the_second_version_has_its_own_doi_and_shares_that_of_all() -> None:
    dataset = roads()
    first, second = published(dataset), published(dataset, "1.1.0-beta")
    assert first.dataset.concept_doi == second.dataset.concept_doi
    assert second.doi == f"{first.dataset.concept_doi}.v1.1.0-beta"
    assert set(states().values()) == {"findable"}
    assert len(states()) == 3


def test_a_renamed_dataset_keeps_the_doi_of_all_its_versions() -> None:
    dataset = roads()
    concept = published(dataset).dataset.concept_doi
    Dataset.objects.update(identifier="ca_streets")
    assert published(Dataset.objects.get(), "2.0.0").doi == f"{concept}.v2.0.0"


def test_another_doi_that_stands_already_is_never_replaced() -> None:
    release = approved(roads())
    Version.objects.update(doi="10.5072/other")
    assert reserve(release).doi == "10.5072/other"


def test_a_doi_of_something_else_is_refused() -> None:
    release, other = approved(roads()), factories.version(factories.dataset("ca_rail"))
    name = provider_of(release.version.dataset).version_name(release.version)
    Doi.objects.create(name=name, dataset=other.dataset, version=other, provider="test", updated_at=timezone.now())
    with pytest.raises(ReservationError, match=f"{name} names ca_rail v1.0.0 already"):
        reserve(release)
    assert fresh(release.version).doi is None


def test_a_doi_is_registered_when_the_version_is_public_and_when_is_kept() -> None:
    release = approved(roads())
    reserve(release)
    register(release)
    assert set(states().values()) == {"reserved"}
    make_public(release)
    register(release)
    first = Doi.objects.get(version=release.version)
    assert (first.state, first.registered_at) == ("findable", first.described_at)
    register(release)
    again = Doi.objects.get(version=release.version)
    assert again.registered_at == first.registered_at
    assert again.described_digest == first.described_digest


def test_the_rows_refuse_what_cannot_be() -> None:
    version = published(roads())
    row = {"dataset": version.dataset, "provider": "test", "updated_at": timezone.now()}
    for wrong in ({"version": None, "name": "10.5072/b"}, {"version": version, "name": "10.5072/c"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Doi.objects.create(**row, **wrong)
    with pytest.raises(IntegrityError), transaction.atomic():
        Doi.objects.update(registered_at=None)


def test_datacite_has_a_draft_before_the_bundle_and_a_findable_doi_after_the_commit(at: Registry) -> None:
    release = approved(roads(DATACITE))
    version = reserve(release)
    concept = version.dataset.concept_doi
    assert (version.doi, concept) == (f"{concept}.v1.0.0", concept)
    assert concept.startswith(f"{PREFIX}/d4c.")
    assert {name: one.state for name, one in at.server.dois.items()} == {concept: "draft", version.doi: "draft"}
    make_public(release)
    register(release)
    page = f"http://127.0.0.1:8000/en/datasets/{version.dataset.identifier}/"
    assert at.server.handles == {version.doi: f"{page}v1.0.0/", concept: page}
    assert set(states().values()) == {"findable"}


def test_versions_are_linked_in_both_directions(at: Registry) -> None:
    dataset = roads(DATACITE)
    first, second = published(dataset), published(dataset, "1.1.0")
    concept = first.dataset.concept_doi

    def relations(name: str | None) -> set[tuple[str, str]]:
        told = at.attribute("relatedIdentifiers", str(name))
        return {(one["relationType"], one["relatedIdentifier"]) for one in told}

    assert relations(first.doi) == {("IsVersionOf", concept), ("IsPreviousVersionOf", second.doi)}
    assert relations(second.doi) == {("IsVersionOf", concept), ("IsNewVersionOf", first.doi)}
    assert relations(concept) == {("HasVersion", first.doi), ("HasVersion", second.doi)}


@pytest.mark.parametrize("fault", ["error-before:503", "error-after:500", "drop-before", "drop-after", "limit:1"])
@pytest.mark.parametrize("call", ["PUT /dois/*", "PUT /dois/*.v1.0.0", "GET /dois/*"])
def test_a_reservation_that_broke_off_is_done_again_and_doubles_nothing(at: Registry, fault: str, call: str) -> None:
    release = approved(roads(DATACITE))
    at.server.faults.plan(call, fault)
    with pytest.raises(RegistrarUnavailableError):
        reserve(release)
    assert fresh(release.version).doi is None
    version = reserve(release)
    assert sorted(at.server.dois) == [version.dataset.concept_doi, version.doi]


class Killed(BaseException):
    """The worker is gone."""


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_call_the_next_attempt_ends_right(
    at: Registry, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Each of the eight calls of a first publication is died at once: reserving two names, registering two."""
    calls, dies_at = itertools.count(), 0

    def dying(*words: Any) -> Any:
        is_last = next(calls) == dies_at
        if is_last and when == "before":
            raise Killed
        reply = knock_once(*words)
        if is_last:
            raise Killed
        return reply

    monkeypatch.setattr(datacite_client, "knock_once", dying)
    for dies_at in range(8):
        release, calls = approved(roads(DATACITE, identifier=f"ca_{dies_at}")), itertools.count()
        deaths = survived(lambda: reserve(release)) + survived(lambda: [make_public(release)])  # noqa: B023
        deaths += survived(lambda: register(release))  # noqa: B023
        assert deaths == 1
        names = [str(fresh(release.version).doi), fresh(release.version).dataset.concept_doi]
        assert {at.state(name) for name in names} == {"findable"}
        assert {at.server.handles[name] for name in names} == {at.attribute("url", name) for name in names}
    assert len(at.server.dois) == 16
    assert set(states().values()) == {"findable"}


def survived(act: Callable[[], object]) -> int:
    """Do it, and once more after it died; gives how often it died."""
    try:
        act()
    except Killed:
        act()
        return 1
    return 0


def test_a_datacite_that_is_not_set_up_is_said(settings: Any) -> None:
    settings.DFC_DATACITE_PREFIX = ""
    with pytest.raises(RegistrarRefusedError, match="Set DFC_DATACITE_REPOSITORY"):
        reserve(approved(roads(DATACITE)))


def test_the_doctor_says_whether_datacite_answers_and_knows_us(at: Registry, settings: Any) -> None:
    assert [(one.state, one.found) for one in checks()] == [("ok", "it answers and knows DFC.TEST")]
    assert at.server.dois == {}
    settings.DFC_DATACITE_PASSWORD = "wr0ng"
    wrong = next(checks())
    assert wrong.state == "absent"
    assert "DFC_DATACITE_PASSWORD" in wrong.found
    assert "wr0ng" not in wrong.found + wrong.remedy
    at.server.faults.plan("GET *", "drop-before")
    assert next(checks()).state == "absent"
    settings.DFC_DATACITE_PREFIX = ""
    assert list(checks()) == []


@durable
def test_zenodo_names_what_its_draft_has_reserved(service: MemoryService) -> None:
    dataset, mirror = roads(Dataset.DoiProvider.ZENODO), service_mirror()
    Policy.objects.create(mirror=mirror, is_required=True)
    release = approved(dataset)
    version = reserve(release)
    assert version.doi == "10.5281/zenodo.101"
    assert reserve(release).doi == version.doi
    assert service.made == 1
    assert version.dataset.concept_doi == ""


@durable
def test_zenodo_tells_the_doi_of_all_versions_with_the_first_record(service: MemoryService) -> None:
    Policy.objects.create(mirror=service_mirror(), is_required=True)
    release = approved(roads(Dataset.DoiProvider.ZENODO))
    reserve(release)
    deposit = Deposit.objects.get()
    service.files[f"{deposit.record_id}/roads.geojson"] = factories.CONTENT
    publish_deposit(attempt("mirrors.replicate.publish_deposit", deposit.pk), deposit.pk)
    make_public(release)
    register(release)
    version = fresh(release.version)
    assert version.dataset.concept_doi == MemoryService.concept
    assert states() == {"10.5281/zenodo.101": "findable", MemoryService.concept: "findable"}


@durable
def test_a_doi_of_zenodo_is_no_longer_awaited_once_its_record_is_public(service: MemoryService) -> None:
    Policy.objects.create(mirror=service_mirror(), is_required=True)
    release = approved(roads(Dataset.DoiProvider.ZENODO))
    reserve(release)
    make_public(release)
    with pytest.raises(RegistrarUnavailableError, match="no record of Zenodo is public under it yet"):
        register(release)
    assert set(states().values()) == {"reserved"}
    assert service.made == 1


@durable
def test_zenodo_has_to_be_required_for_its_dois(service: MemoryService) -> None:
    Policy.objects.create(mirror=service_mirror(), is_required=False)
    release = approved(roads(Dataset.DoiProvider.ZENODO))
    with pytest.raises(RegistrarRefusedError, match="no mirror of kind zenodo is required to keep it"):
        reserve(release)
    Policy.objects.update(is_required=True)
    assert reserve(release).doi == "10.5281/zenodo.101"
    assert service.made == 1


@durable
def test_a_draft_under_another_concept_is_refused(service: MemoryService) -> None:
    mirror = service_mirror()
    Policy.objects.create(mirror=mirror, is_required=True)
    release = approved(roads(Dataset.DoiProvider.ZENODO, concept_doi="10.5281/zenodo.7"))
    facts = {"record_id": "9", "doi": "10.5281/zenodo.9", "concept_doi": "10.5281/zenodo.8"}
    Deposit.objects.create(version=release.version, mirror=mirror, created_at=timezone.now(), **facts)
    with pytest.raises(
        RegistrarRefusedError, match=r"belongs to 10.5281/zenodo.8, the versions before to 10.5281/zen"
    ):
        reserve(release)
    assert service.made == 0


def test_the_steps_of_a_publication_say_what_they_are_about() -> None:
    release = approved(roads())
    assert [spec.label for spec in expand_reserve(release.pk)] == ["DOI · Test prefix"]
    version = reserve(release)
    labels = [spec.label for spec in expand_dois(release.pk)]
    assert labels == [f"DOI · {version.doi}", f"DOI · {version.dataset.concept_doi}"]
    assert {spec.function for spec in expand_dois(release.pk)} == {f"{bring_doi.__module__}.bring_doi"}
