"""DOIs of Zenodo at a strict stand-in: named by the draft, public with the record, and a note at a withdrawal."""

from collections.abc import Iterator
from typing import Any

import pytest

from catalog.models import Dataset, Version
from catalog.storage.connect import own_storage
from mirrors import connect
from mirrors.backends.base import Upload
from mirrors.models import Deposit, Doi, Mirror, Policy
from mirrors.replicate import draft_of, find, publish_deposit, upload
from releases.models import Decision, Release, Step
from tests import factories
from tests.fakes.zenodo import FakeZenodo
from tests.mirrors.dois import approved, attempt, decide, describe, fresh, make_public, register, reserve, roads
from tests.mirrors.uploads import Kept
from tests.mirrors.zenodos import mirror_at, zenodo

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_storage_dir")]

ZENODO = Dataset.DoiProvider.ZENODO


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[FakeZenodo]:
    settings.DFC_BACKOFF_S, settings.DFC_ATTEMPTS = 0.001, 60
    started = zenodo()
    opened = mirror_at(started)
    monkeypatch.setattr(connect, "OPENERS", {**connect.OPENERS, Mirror.Kind.ZENODO: lambda _mirror: opened})
    mirror = factories.mirror("zenodo", kind=Mirror.Kind.ZENODO, endpoint=started.api)
    Policy.objects.create(mirror=mirror, is_required=True)
    yield started
    started.faults.clear()


def published(of: Dataset, number: str) -> Version:
    """Bring a version to Zenodo as a publication does: reserve, put, publish there, commit, register."""
    release = approved(of, number)
    version = reserve(release)
    fill(release)
    deposit = Deposit.objects.get(version=version)
    publish_deposit(attempt("mirrors.replicate.publish_deposit", deposit.pk), deposit.pk)
    make_public(release)
    register(release)
    return fresh(version)


def fill(release: Release) -> None:
    deposit = find(Deposit.objects.get(version=release.version).pk)
    asset = release.version.items.get(tile="").assets.get()
    own_storage().write_bytes(asset.storage_key, factories.CONTENT)
    whole: Upload = upload(asset, lambda start: own_storage().read(asset.storage_key, start))
    opened = connect.connect(deposit.mirror)
    opened.put(draft_of(deposit), whole, checkpoint=Kept(), progress=lambda _done: None)


def licensed() -> Dataset:
    return roads(ZENODO, licence=factories.licence("CC-BY-4.0"), description_en="Every road of Canada.")


def test_versions_have_the_dois_of_their_records_and_one_concept(server: FakeZenodo) -> None:
    dataset = licensed()
    first = published(dataset, "1.0.0")
    second = published(Dataset.objects.get(), "1.1.0")
    deposits = {one.version_id: one for one in Deposit.objects.all()}
    assert [first.doi, second.doi] == [deposits[one.pk].doi for one in (first, second)]
    assert fresh(first).dataset.concept_doi == deposits[first.pk].concept_doi == deposits[second.pk].concept_doi
    assert set(Doi.objects.values_list("state", flat=True)) == {"findable"}
    assert Doi.objects.count() == 3


def test_a_withdrawal_is_noted_in_the_record_and_a_person_is_told(server: FakeZenodo) -> None:
    version = published(licensed(), "1.0.0")
    decide(Decision.Kind.WITHDRAW, version)
    server.faults.plan("PUT *", "error-after:500")
    server.faults.plan("POST *publish", "drop-after")
    describe()
    told = str(mirror_at(server).deposits.there(Deposit.objects.get().record_id)["metadata"])
    assert "Withdrawn: The licence text was wrong." in told
    assert "Le texte de licence était faux." in told
    asked = Step.objects.get(function="mirrors.deposits.redescribe.ask_staff")
    assert "https://zenodo.org/support" in asked.error
    assert Doi.objects.get(version=version).state == "findable"
