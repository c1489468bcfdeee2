"""The durable jobs that bring versions to Zenodo: one record each, in one chain, whatever answers are lost."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from catalog.models import Asset, CatalogueChange, Dataset, Version
from mirrors import replicate
from mirrors.checks.due import due_copies
from mirrors.checks.probe import any_copy
from mirrors.connect import connect, open_zenodo
from mirrors.deposits.discard import discard_deposit
from mirrors.deposits.lineage import PREPARE
from mirrors.deposits.record import record
from mirrors.deposits.tidy_drafts import tidy_mirror
from mirrors.errors import MirrorRefusedError, NotDiscardableError
from mirrors.models import Check, Deposit, Mirror, Policy, Replica
from mirrors.offer import offers
from mirrors.policies import fill
from mirrors.registry.add_mirror import findings_of
from mirrors.registry.mirror_entry import MirrorEntry
from mirrors.replicate import find, owe_replicas, start_deposit, start_opening
from mirrors.safety import safety_of
from releases.jobs import engine, steering
from releases.models import Job, Step
from tests import factories
from tests.factories import CONTENT
from tests.fakes.zenodo import TOKEN, FakeZenodo
from tests.mirrors.zenodos import SITE, zenodo

pytestmark = pytest.mark.django_db

PUT = "PUT /api/files/*"
OPEN = (Step.State.DUE, Step.State.RUNNING)


@pytest.fixture
def server(settings: Any, own_storage_dir: Path, monkeypatch: pytest.MonkeyPatch) -> FakeZenodo:
    """Give a service where nothing is waited for longer than it takes."""
    settings.DFC_MIRROR_SECRETS = {"DFC_MIRROR_ZENODO_TOKEN": TOKEN}
    settings.DFC_BACKOFF_S, settings.DFC_LEASE_S, settings.DFC_ATTEMPTS = 0.001, 0.01, 100
    monkeypatch.setattr(replicate, "QUESTIONS", 0)
    return zenodo()


@pytest.fixture
def mirror(server: FakeZenodo) -> Mirror:
    return factories.mirror("zenodo", kind="zenodo", endpoint=server.api, public_url=SITE, settle_s=0)


@pytest.fixture
def dataset() -> Dataset:
    return factories.dataset(licence=factories.licence("CC-BY-4.0"))


def edition(dataset: Dataset, number: str, *paths: str) -> Version:
    version = factories.version(dataset, number)
    item = factories.item(version)
    for place, path in enumerate(paths or ("roads.geojson", "sources/2021/roads.csv"), start=1):
        factories.asset(item, path, CONTENT + path.encode(), is_stored=True, key=f"data-{place}")
    return version


def owed(version: Version, mirror: Mirror) -> Deposit:
    deposit = Deposit.objects.create(version=version, mirror=mirror, created_at=timezone.now())
    owe_replicas(deposit)
    return find(deposit.pk)


def run(*pipelines: str, until: str = "", at_most: int = 0) -> None:
    """Run what these jobs have to do, until nothing is open, the job of that key is done, or some steps are."""
    ours = Step.objects.filter(job__pipeline__in=pipelines, job__state=Job.State.OPEN, state__in=OPEN)
    end, ended = time.monotonic() + 60, Job.objects.filter(key=until, state=Job.State.DONE)
    while ours.exists() and not ended.exists():
        assert time.monotonic() < end, list(ours.values_list("function", "state", "error"))
        for step_id in set(engine.due_steps()) & set(ours.values_list("pk", flat=True)):
            engine.run_step(step_id, has_heartbeat=False)
            if at_most and Step.objects.filter(state=Step.State.DONE).count() >= at_most:
                return


def deposited(version: Version, mirror: Mirror) -> Deposit:
    deposit = owed(version, mirror)
    start_deposit(deposit)
    run("deposit")
    start_opening(find(deposit.pk))
    run("open-deposit")
    return find(deposit.pk)


def words_of(pipeline: str) -> str:
    return " ".join(Step.objects.filter(job__pipeline=pipeline).exclude(error="").values_list("error", flat=True))


def test_a_version_becomes_a_record_once_all_of_it_is_verified(
    server: FakeZenodo, mirror: Mirror, dataset: Dataset
) -> None:
    deposit = owed(edition(dataset, "1.0.0"), mirror)
    start_deposit(deposit)
    run("deposit")
    drafted = find(deposit.pk)
    assert drafted.doi == f"10.5281/zenodo.{drafted.record_id}"
    assert [one.state for one in server.deposits.values()] == ["unsubmitted"]
    assert set(Replica.objects.values_list("state", flat=True)) == {Replica.State.VERIFIED}
    assert set(Check.objects.values_list("level", "method")) == {(Check.Level.CHECKSUM, "md5 of the mirror")}
    start_opening(drafted)
    run("open-deposit")
    public = find(deposit.pk)
    assert (public.state, public.doi) == (Deposit.State.PUBLIC, drafted.doi)
    assert public.landing_url == f"{SITE}/records/{public.record_id}"
    nested = Replica.objects.get(asset__path="sources/2021/roads.csv")
    assert nested.url == f"{SITE}/records/{public.record_id}/files/sources~2021~roads.csv"
    assert b"".join(connect(mirror).read(nested.locator)) == CONTENT + b"sources/2021/roads.csv"


def test_what_lies_in_a_draft_is_offered_counted_asked_for_and_read_when_it_is_public_and_not_before(
    server: FakeZenodo, mirror: Mirror, dataset: Dataset
) -> None:
    """An older version that a new policy brings there: it is public, and its record is not yet."""
    version, now = edition(dataset, "1.0.0"), timezone.now()
    deposit, assets = owed(version, mirror), list(Asset.objects.filter(item__version=version))

    def seen() -> list[int]:
        copies = sum(len(one.offered) for one in offers(assets, now=now).values())
        held = safety_of([version.pk], now=now)[version.pk].copies
        return [copies, held, int(any_copy(mirror) is not None), due_copies(mirror, now=now).count()]

    start_deposit(deposit)
    run("deposit")
    assert set(Replica.objects.values_list("state", flat=True)) == {Replica.State.VERIFIED}
    assert seen() == [0, 0, 0, 0]
    before = CatalogueChange.objects.count()
    start_opening(find(deposit.pk))
    run("open-deposit")
    assert seen() == [2, 1, 1, 2]
    assert CatalogueChange.objects.count() == before + 1
    run("reread")
    assert Job.objects.filter(pipeline="recheck-copy").count() == 2


@pytest.mark.parametrize("seed", range(3))
def test_three_versions_at_many_faults_are_three_records_in_one_chain(
    server: FakeZenodo, mirror: Mirror, dataset: Dataset, seed: int
) -> None:
    server.faults.seed, server.faults.probability = seed, 0.3
    server.faults.kinds = ("error-before:503", "error-after:500", "drop-before", "drop-after", "limit:0")
    made = [deposited(edition(dataset, number), mirror) for number in ("1.0.0", "1.1.0", "2.0.0")]
    server.faults.probability = 0
    assert [one.state for one in made] == [Deposit.State.PUBLIC] * 3
    assert len({one.concept_doi for one in made}) == 1
    assert len({one.doi for one in made}) == 3
    assert [one.state for one in server.deposits.values()] == ["done"] * 3
    held = [sorted(file.content for file in one.files.values()) for one in server.deposits.values()]
    assert held == [[CONTENT + b"roads.geojson", CONTENT + b"sources/2021/roads.csv"]] * 3


def test_a_newer_version_waits_until_the_older_is_public(
    server: FakeZenodo, mirror: Mirror, dataset: Dataset
) -> None:
    older, newer = (owed(edition(dataset, number), mirror) for number in ("1.0.0", "1.1.0"))
    start_deposit(newer)
    first = start_deposit(older)
    for step in Step.objects.filter(state=Step.State.DUE).order_by("pk"):
        engine.run_step(step.pk, has_heartbeat=False)
    waiting = Step.objects.get(function=PREPARE, subject=newer.pk, state=Step.State.DUE)
    assert "versions go there one after another" in waiting.error
    assert waiting.attempts == 0
    assert len(server.deposits) == 1
    run("deposit", until=first)
    start_opening(find(older.pk))
    run("open-deposit", "deposit")
    assert find(newer.pk).concept_doi == find(older.pk).concept_doi
    assert find(newer.pk).record_id


def test_an_older_version_that_came_to_nothing_holds_up_nobody(
    server: FakeZenodo, mirror: Mirror, dataset: Dataset
) -> None:
    owed(edition(dataset, "1.0.0"), mirror)
    assert deposited(edition(dataset, "1.1.0"), mirror).state == Deposit.State.PUBLIC


def test_a_version_is_put_after_the_nearest_record_of_its_dataset(
    server: FakeZenodo, mirror: Mirror, dataset: Dataset
) -> None:
    first, third = (deposited(edition(dataset, number), mirror) for number in ("1.0.0", "3.0.0"))
    assert record(owed(edition(dataset, "2.0.0"), mirror)).previous_record_id == first.record_id
    assert record(owed(edition(dataset, "0.9.0"), mirror)).previous_record_id == first.record_id
    assert record(owed(edition(dataset, "3.1.0"), mirror)).previous_record_id == third.record_id
    assert record(first).previous_record_id == ""
    assert record(owed(edition(factories.dataset("ca_other"), "2.0.0"), mirror)).previous_record_id == ""


def test_drafts_that_a_lost_answer_left_go_within_a_day(server: FakeZenodo, mirror: Mirror, dataset: Dataset) -> None:
    server.lag_s = 1e6
    deposit, backend = owed(edition(dataset, "1.0.0"), mirror), connect(mirror)
    lost = backend.prepare("key", record(deposit))
    start_deposit(deposit)
    run("deposit")
    foreign = backend.prepare("key", replace(record(deposit), urn="urn:uuid:00000000-0000-4000-8000-000000000000"))
    server.lag_s = 0
    tidy_mirror(factories.step("mirrors.deposits.tidy_drafts.tidy_mirror", mirror.pk), mirror.pk)
    assert set(server.deposits) == {int(find(deposit.pk).record_id), int(foreign.record_id)}
    assert lost.record_id != find(deposit.pk).record_id


def test_the_draft_of_a_next_version_is_not_tidied_away(server: FakeZenodo, mirror: Mirror, dataset: Dataset) -> None:
    public = deposited(edition(dataset, "1.0.0"), mirror)
    backend = open_zenodo(mirror)
    backend.client.ask("POST", f"/records/{public.record_id}/versions")
    assert backend.throw_away_strays({f"urn:uuid:{public.urn}": public.record_id}) == 0
    assert sorted(one.state for one in server.deposits.values()) == ["done", "unsubmitted"]


def test_a_draft_that_is_thrown_away_lets_the_next_version_go_on(
    server: FakeZenodo, mirror: Mirror, dataset: Dataset
) -> None:
    older = owed(edition(dataset, "1.0.0"), mirror)
    start_deposit(older)
    run("deposit")
    arguments = ("mirror", "discard", "zenodo", "ca_roads", "v1.0.0")
    call_command(*arguments, "--dry-run")
    assert len(server.deposits) == 1
    call_command(*arguments)
    assert server.deposits == {}
    assert set(Replica.objects.values_list("state", flat=True)) == {Replica.State.REMOVED}
    with pytest.raises(CommandError, match="there is no draft"):
        call_command(*arguments)
    assert deposited(edition(dataset, "1.1.0"), mirror).state == Deposit.State.PUBLIC
    fill(older.version, mirror)
    run("deposit", "open-deposit")
    assert find(older.pk).concept_doi == Deposit.objects.get(version__number="1.1.0").concept_doi


def broken_in_the_middle(server: FakeZenodo, deposit: Deposit) -> Step:
    """Let a deposit fail at its second file, and throw its draft away; gives the step that failed."""
    start_deposit(deposit)
    run("deposit", at_most=2)
    stopped = Step.objects.get(function="mirrors.replicate.put_replica", state=Step.State.DUE)
    Step.objects.filter(pk=stopped.pk).update(state=Step.State.FAILED, error="It was full.")
    Job.objects.filter(pipeline="deposit").update(state=Job.State.FAILED)
    discard_deposit(find(deposit.pk))
    return stopped


def test_nothing_becomes_public_for_ever_while_its_publication_is_stopped(
    server: FakeZenodo, mirror: Mirror, dataset: Dataset
) -> None:
    deposit = owed(edition(dataset, "1.0.0"), mirror)
    Version.objects.update(state=Version.State.DRAFT)
    release = factories.release(deposit.version)
    publication = Job.objects.create(
        key="publish:roads", pipeline="publish", subject=release.pk, state=Job.State.OPEN, created_at=timezone.now()
    )
    start_deposit(deposit)
    run("deposit")
    start_opening(find(deposit.pk))
    steering.cancel(publication, by=None)
    for _ in range(4):
        for step in Step.objects.filter(job__pipeline="open-deposit", state=Step.State.DUE):
            engine.run_step(step.pk, has_heartbeat=False)
    assert "its publication was stopped" in words_of("open-deposit")
    assert [one.state for one in server.deposits.values()] == ["unsubmitted"]
    Job.objects.filter(pk=publication.pk).update(state=Job.State.OPEN, ended_at=None)
    run("open-deposit")
    assert find(deposit.pk).state == Deposit.State.PUBLIC


def test_a_retry_after_a_draft_was_thrown_away_makes_no_draft_that_nobody_knows(
    server: FakeZenodo, mirror: Mirror, dataset: Dataset
) -> None:
    stopped = broken_in_the_middle(server, owed(edition(dataset, "1.0.0"), mirror))
    steering.retry(stopped, by=None)
    run("deposit")
    assert server.deposits == {}
    assert "it was taken away from Zenodo meanwhile" in words_of("deposit")


def test_who_waits_for_what_was_thrown_away_and_is_wanted_has_it_made_anew(
    server: FakeZenodo, mirror: Mirror, dataset: Dataset
) -> None:
    deposit = owed(edition(dataset, "1.0.0"), mirror)
    broken_in_the_middle(server, deposit)
    Policy.objects.create(mirror=mirror)
    start_opening(find(deposit.pk))
    run("deposit", "open-deposit")
    assert [one.state for one in server.deposits.values()] == ["done"]
    assert (find(deposit.pk).state, find(deposit.pk).round) == (Deposit.State.PUBLIC, 2)


@pytest.mark.parametrize("reason", ["it is no draft", "it is being worked on", "has the version's DOI"])
def test_what_is_not_to_be_thrown_away_stays(
    server: FakeZenodo, mirror: Mirror, dataset: Dataset, reason: str
) -> None:
    deposit = owed(edition(dataset, "1.0.0"), mirror)
    job = start_deposit(deposit)
    run("deposit")
    told = find(deposit.pk)
    if reason == "it is no draft":
        start_opening(told)
        run("open-deposit")
    elif reason == "it is being worked on":
        Job.objects.filter(key=job).update(state=Job.State.OPEN, ended_at=None)
    else:
        Version.objects.update(doi=told.doi)
    with pytest.raises(NotDiscardableError, match=reason):
        discard_deposit(find(deposit.pk))
    assert len(server.deposits) == 1


def test_a_file_that_nobody_planned_keeps_a_draft_from_becoming_public(
    server: FakeZenodo, mirror: Mirror, dataset: Dataset
) -> None:
    deposit = owed(edition(dataset, "1.0.0"), mirror)
    start_deposit(deposit)
    run("deposit")
    held = server.deposits[int(find(deposit.pk).record_id)]
    held.files["notes.txt"] = replace(held.files["roads.geojson"], name="notes.txt")
    start_opening(find(deposit.pk))
    run("open-deposit")
    assert "notes.txt: this file is not of this version" in words_of("open-deposit")
    assert held.state == "unsubmitted"


def test_a_version_of_too_many_files_is_refused_before_zenodo_is_asked(
    server: FakeZenodo, mirror: Mirror, dataset: Dataset
) -> None:
    version = edition(dataset, "1.0.0")
    only = Asset.objects.filter(item__version=version).first()
    assert only is not None
    for number in range(98):
        only.pk, only.path, only.key = None, f"tile-{number}.tif", f"data-{number + 3}"
        only.storage_key = f"{only.storage_key}-{number}"
        only.save(force_insert=True)
    start_deposit(owed(version, mirror))
    run("deposit")
    assert "it has 101 files with its source bundle, and one record at Zenodo may have 100" in words_of("deposit")
    assert server.asked == []


def test_a_token_that_is_not_set_is_named(server: FakeZenodo, mirror: Mirror, settings: Any) -> None:
    settings.DFC_MIRROR_SECRETS = {}
    with pytest.raises(MirrorRefusedError, match="DFC_MIRROR_ZENODO_TOKEN: it is not set"):
        connect(mirror)


ENTRY = MirrorEntry(
    slug="zenodo",
    kind="zenodo",
    endpoint="https://zenodo.org/api",
    public_url="https://zenodo.org",
    operator="CERN",
    jurisdiction="CH",
)


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({}, ""),
        ({"is_sandbox": True, "settle_s": 1, "collection": "data-for-canada"}, ""),
        ({"endpoint": "https://zenodo.org"}, "endpoint"),
        ({"endpoint": "http://zenodo.org/api"}, "endpoint"),
        ({"endpoint": "https://10.0.0.1/api"}, "endpoint"),
        ({"public_url": "zenodo.org"}, "public_url"),
        ({"collection": "Data for Canada"}, "collection"),
        ({"settle_s": 1}, "settle_s"),
    ],
)
def test_a_zenodo_is_looked_at_before_it_is_registered(facts: dict[str, Any], field: str) -> None:
    assert {name for name, _words in findings_of(replace(ENTRY, **facts))} == ({field} if field else set())


def test_one_service_is_registered_once(server: FakeZenodo, mirror: Mirror) -> None:
    entry = replace(ENTRY, slug="zenodo-2", endpoint=server.api)
    assert [name for name, words in findings_of(entry) if "would count as two" in words] == ["endpoint"]
