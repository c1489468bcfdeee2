"""What a change of policies would do, what follows from it, and what is never removed."""

import json
import re
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from catalog.models import Version
from mirrors.backends.local import LocalMirror
from mirrors.models import Check, Deposit, Mirror, Policy, Replica
from mirrors.policies import Scope, fill, keep_policy, outcome_of, start_following
from mirrors.remove import start_removal
from releases.jobs import engine, steering
from releases.models import Job, Step
from tests import factories
from tests.factories import CONTENT

pytestmark = pytest.mark.django_db(transaction=True)

ADD = "/admin/mirrors/policy/add/"
ALL = [Scope()]


def mirror_at(folder: Path, slug: str, **fields: Any) -> Mirror:
    place = folder / slug
    place.mkdir()
    return factories.mirror(slug, endpoint=str(place), **fields)


@pytest.fixture
def origin(tmp_path: Path) -> Mirror:
    return mirror_at(tmp_path, "origin")


@pytest.fixture
def public(origin: Mirror) -> Version:
    """Give a public version of one file, which lies in our own storage and is proved there."""
    asset = factories.asset(factories.item(factories.version(state=Version.State.PUBLISHED)))
    path = factories.own_path(asset.storage_key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    keep(asset, origin)
    return asset.item.version


def keep(asset: Any, mirror: Mirror) -> Replica:
    """Give a proved copy at a directory, with its deposit."""
    copy = factories.proved(asset, mirror)
    path = Path(mirror.endpoint) / copy.locator
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    Deposit.objects.create(
        version=asset.item.version,
        mirror=mirror,
        state=Deposit.State.PUBLIC,
        record_id=asset.storage_key.removesuffix(f"/{asset.path}"),
        created_at=timezone.now(),
    )
    return copy


def asset_of(version: Version) -> Any:
    return version.items.get(tile="").assets.get()


def follow(mirror: Mirror) -> None:
    start_following(mirror, now=timezone.now())
    engine.drain(30)


def take_back(mirror: Mirror) -> None:
    """Take back the policy that sent everything to a mirror, and do what follows."""
    Policy.objects.create(mirror=mirror, is_required=False).delete()
    follow(mirror)


def test_a_wide_policy_says_what_would_come_and_what_it_would_cost(public: Version, tmp_path: Path) -> None:
    north = mirror_at(tmp_path, "north", cost_per_gb_month=Decimal("0.02"), capacity_bytes=10**9)
    outcome = outcome_of(north, [], ALL, now=timezone.now())
    assert [line.version for line in outcome.added] == [public]
    assert (outcome.added_copies, outcome.added_bytes, outcome.bytes_after) == (1, len(CONTENT), len(CONTENT))
    assert str(outcome.monthly_cost) == "0.00"
    assert (outcome.dropped, outcome.kept, outcome.refusals, outcome.notes) == ((), (), (), ())


@pytest.mark.parametrize("scope", ["dataset", "package"])
def test_a_narrow_policy_covers_its_own_and_nothing_else(scope: str, public: Version, tmp_path: Path) -> None:
    north, dataset = mirror_at(tmp_path, "north"), public.dataset
    other = factories.dataset("ca_rail", package=factories.package("d4c-datapkg-statistical"))
    ours = Scope(dataset=dataset) if scope == "dataset" else Scope(package=dataset.package)
    theirs = Scope(dataset=other) if scope == "dataset" else Scope(package=other.package)
    assert [line.version for line in outcome_of(north, [], [ours], now=timezone.now()).added] == [public]
    assert outcome_of(north, [], [theirs], now=timezone.now()).added == ()


def test_what_has_no_room_is_refused_with_both_figures(public: Version, tmp_path: Path) -> None:
    north = mirror_at(tmp_path, "north", capacity_bytes=10)
    outcome = outcome_of(north, [], ALL, now=timezone.now())
    assert re.search(r"North gives us 10\sbytes, and .* would lie there", outcome.refusals[0])


def test_a_mirror_that_grew_full_refuses_before_anything_is_sent(public: Version, tmp_path: Path) -> None:
    north = mirror_at(tmp_path, "north")
    Policy.objects.create(mirror=north, is_required=False)
    Mirror.objects.filter(pk=north.pk).update(capacity_bytes=len(CONTENT) - 1)
    follow(north)
    step = Step.objects.get(function="mirrors.replicate.prepare_deposit")
    assert f"gives us {len(CONTENT) - 1}" in step.error
    assert list(Path(north.endpoint).rglob("*")) == []
    Mirror.objects.filter(pk=north.pk).update(capacity_bytes=len(CONTENT))
    steering.retry(step, by=get_user_model().objects.create_superuser("operator", password=None))
    engine.drain(30)
    assert Replica.objects.get(mirror=north).state == Replica.State.VERIFIED


def test_what_one_record_cannot_take_is_named_and_left_out(public: Version) -> None:
    asset = asset_of(public)
    for number in range(100):
        factories.asset(asset.item, key=f"data-{number + 2}", path=f"{number}.bin", storage_key=f"many/{number}.bin")
    zenodo = factories.mirror("zenodo", kind=Mirror.Kind.ZENODO, endpoint="https://zenodo.example.org")
    outcome = outcome_of(zenodo, [], ALL, now=timezone.now())
    assert outcome.added == ()
    assert "has 101 files; one record at Zenodo may have 100" in outcome.notes[0]
    assert outcome.refusals == ()


def test_a_policy_fills_older_versions_in_and_following_twice_does_nothing_more(
    public: Version, tmp_path: Path
) -> None:
    north = mirror_at(tmp_path, "north")
    Policy.objects.create(mirror=north, is_required=False)
    follow(north)
    copy = Replica.objects.get(mirror=north)
    assert copy.state == Replica.State.VERIFIED
    assert (Path(north.endpoint) / copy.locator).read_bytes() == CONTENT
    assert Deposit.objects.get(mirror=north).state == Deposit.State.PUBLIC
    follow(north)
    assert Job.objects.filter(pipeline="deposit").count() == 1
    assert Check.objects.filter(replica=copy).count() == 1


def test_a_mirror_out_of_service_is_left_as_it_is(public: Version, tmp_path: Path) -> None:
    north = mirror_at(tmp_path, "north", is_enabled=False)
    keep(asset_of(public), north)
    follow(north)
    assert Replica.objects.get(mirror=north).state == Replica.State.VERIFIED


def test_a_copy_that_is_needed_is_not_removed(public: Version, tmp_path: Path) -> None:
    north = mirror_at(tmp_path, "north")
    copy = keep(asset_of(public), north)
    outcome = outcome_of(north, [Scope(is_required=False)], [], now=timezone.now())
    assert "fewer than 3 operators in 2 countries (1 in CA) would hold it whole" in outcome.refusals[0]
    take_back(north)
    step = Step.objects.get(function="mirrors.remove.remove_deposit")
    assert step.state == Step.State.FAILED
    assert "Bring it to another mirror first" in step.error
    assert (Path(north.endpoint) / copy.locator).read_bytes() == CONTENT
    assert Replica.objects.get(mirror=north).state == Replica.State.VERIFIED


@pytest.fixture
def plenty(public: Version, tmp_path: Path) -> Mirror:
    """Give a fourth mirror, when three others in two countries hold the version too."""
    asset = asset_of(public)
    for slug, country in (("east", "US"), ("west", "CA")):
        keep(asset, mirror_at(tmp_path, slug, jurisdiction=country))
    north = mirror_at(tmp_path, "north")
    keep(asset, north)
    return north


def test_a_copy_more_than_needed_leaves_every_list_and_then_the_disk(public: Version, plenty: Mirror) -> None:
    copy = Replica.objects.get(mirror=plenty)
    outcome = outcome_of(plenty, [Scope(is_required=False)], [], now=timezone.now())
    assert (outcome.refusals, [line.version for line in outcome.dropped]) == ((), [public])
    take_back(plenty)
    copy.refresh_from_db()
    assert copy.state == Replica.State.REMOVED
    assert not (Path(plenty.endpoint) / copy.locator).exists()
    assert Check.objects.filter(replica=copy).exists(), "what was true at its time stays"
    assert Deposit.objects.get(mirror=plenty).state == Deposit.State.REMOVED


def test_what_was_removed_can_be_brought_back(public: Version, plenty: Mirror) -> None:
    take_back(plenty)
    Policy.objects.create(mirror=plenty, is_required=False)
    follow(plenty)
    copy = Replica.objects.get(mirror=plenty)
    assert copy.state == Replica.State.VERIFIED
    assert (Path(plenty.endpoint) / copy.locator).read_bytes() == CONTENT
    assert Deposit.objects.get(mirror=plenty).round == 2


def work(*pipelines: str) -> None:
    """Do what these jobs owe, and nothing of any other."""
    while due := Step.objects.filter(job__pipeline__in=pipelines, pk__in=engine.due_steps()):
        for step in due:
            engine.run_step(step.pk, has_heartbeat=False)


def test_a_deposit_that_goes_on_after_its_removal_brings_nothing(public: Version, plenty: Mirror) -> None:
    late = mirror_at(Path(plenty.endpoint).parent, "late")
    fill(public, late)
    engine.run_step(engine.due_steps()[0], has_heartbeat=False)  # a place is made, nothing is copied yet
    start_removal(Deposit.objects.get(mirror=late), now=timezone.now())
    work("remove-deposit")
    work("deposit")
    assert Replica.objects.get(mirror=late).state == Replica.State.REMOVED
    assert Deposit.objects.get(mirror=late).state == Deposit.State.REMOVED
    assert [one for one in Path(late.endpoint).rglob("*") if one.is_file()] == []
    assert "it was taken away" in Step.objects.get(function="mirrors.replicate.put_replica").error


def test_a_removal_waits_for_the_bytes_that_are_on_their_way(
    public: Version, plenty: Mirror, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.DFC_BACKOFF_S = 0.001
    late, put = mirror_at(Path(plenty.endpoint).parent, "late", settle_s=0), LocalMirror.put

    def put_late(self: LocalMirror, *args: Any, **named: Any) -> str:
        start_removal(Deposit.objects.get(mirror=late), now=timezone.now())
        engine.run_step(max(engine.due_steps()), has_heartbeat=False)
        return put(self, *args, **named)

    monkeypatch.setattr(LocalMirror, "put", put_late)
    fill(public, late)
    work("deposit")
    work("remove-deposit")
    assert Replica.objects.get(mirror=late).state == Replica.State.REMOVED
    assert [one for one in Path(late.endpoint).rglob("*") if one.is_file()] == []


def test_what_is_wanted_again_while_it_is_removed_comes_after_the_removal(
    public: Version, plenty: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    retire = LocalMirror.retire

    def retire_late(self: LocalMirror, locator: str) -> None:
        Policy.objects.create(mirror=plenty, is_required=False)
        fill(public, plenty)
        work("deposit")
        retire(self, locator)

    monkeypatch.setattr(LocalMirror, "retire", retire_late)
    take_back(plenty)
    copy = Replica.objects.get(mirror=plenty)
    assert copy.state == Replica.State.VERIFIED
    assert (Path(plenty.endpoint) / copy.locator).read_bytes() == CONTENT


def test_what_was_adopted_and_no_policy_ever_wanted_is_left_when_a_policy_comes(
    public: Version, plenty: Mirror
) -> None:
    adopted = mirror_at(Path(plenty.endpoint).parent, "adopted")
    copy = keep(asset_of(public), adopted)
    other = factories.dataset("ca_rail", package=factories.package("d4c-datapkg-statistical"))
    outcome = keep_policy(adopted, Scope(dataset=other, is_required=False), now=timezone.now())
    engine.drain(30)
    assert (outcome.dropped, outcome.refusals) == ((), ())
    assert (Path(adopted.endpoint) / copy.locator).read_bytes() == CONTENT
    assert Replica.objects.get(pk=copy.pk).state == Replica.State.VERIFIED


def test_a_required_policy_is_first_made_best_effort(public: Version, plenty: Mirror) -> None:
    outcome = outcome_of(plenty, ALL, [], now=timezone.now())
    assert "is required at North. Make it best effort first" in outcome.refusals[0]


def test_our_own_storage_gives_nothing_up(public: Version, origin: Mirror, plenty: Mirror) -> None:
    take_back(origin)
    assert "our own storage keeps what is published" in Step.objects.get(job__pipeline="remove-deposit").error
    assert Replica.objects.get(mirror=origin).state == Replica.State.VERIFIED


def test_a_mirror_that_keeps_for_ever_is_told_as_such(public: Version) -> None:
    archive = factories.mirror("ia", kind=Mirror.Kind.INTERNET_ARCHIVE, endpoint="https://archive.example.org")
    factories.proved(asset_of(public), archive)
    Deposit.objects.create(version=public, mirror=archive, created_at=timezone.now())
    outcome = outcome_of(archive, [Scope(is_required=False)], [], now=timezone.now())
    assert ([line.version for line in outcome.kept], outcome.dropped, outcome.refusals) == ([public], (), ())
    follow(archive)
    assert not Job.objects.filter(pipeline="remove-deposit").exists()


def said(*words: str) -> list[dict[str, Any]]:
    sink = StringIO()
    call_command("policy", *words, "--json", stdout=sink)
    rows: list[dict[str, Any]] = json.loads(sink.getvalue())
    return rows


def test_the_command_says_what_a_policy_would_do_and_does_it(public: Version, tmp_path: Path) -> None:
    mirror_at(tmp_path, "north")
    words = ("add", "north", "--dataset", public.dataset.identifier, "--best-effort")
    for is_dry in (True, False):
        rows = said(*words, *(["--dry-run"] if is_dry else []))
        assert (rows[0]["what"], rows[0]["version"], rows[0]["files"]) == ("comes", str(public), 1)
        assert Policy.objects.exists() is not is_dry
    assert said("list") == [{"mirror": "north", "covers": public.dataset.identifier, "required": False}]
    engine.drain(30)
    assert Replica.objects.get(mirror__slug="north").state == Replica.State.VERIFIED
    with pytest.raises(CommandError, match="would hold it whole"):
        call_command("policy", "remove", "north", "--dataset", public.dataset.identifier)
    assert Policy.objects.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("add", "nowhere", "--all"), "none is registered under that name"),
        (("add", "origin", "--dataset", "ca_none"), "ca_none: there is nothing of that name"),
        (("add", "origin", "--package", "none"), "none: there is nothing of that name"),
        (("remove", "origin", "--all"), "it has no such policy"),
    ],
)
def test_the_command_refuses_what_is_not_there(origin: Mirror, words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        call_command("policy", *words)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_desk_shows_what_a_policy_would_do_before_it_keeps_it(
    language: str, desk: Client, public: Version, tmp_path: Path
) -> None:
    north = mirror_at(tmp_path, "north")
    desk.cookies["django_language"] = language
    asked = {"mirror": str(north.pk), "package": "", "dataset": "", "is_required": "on"}
    page = desk.post(ADD, asked)
    assert page.status_code == 200
    assert str(public.dataset.identifier) in page.content.decode().replace("<wbr>", "")
    assert not Policy.objects.exists()
    assert desk.post(ADD, asked | {"sure": "1"}).status_code == 302
    assert Policy.objects.get().is_required
    assert Job.objects.filter(pipeline="follow-policy", subject=north.pk).exists()


def test_the_desk_keeps_no_policy_that_would_leave_too_little(desk: Client, public: Version, tmp_path: Path) -> None:
    north = mirror_at(tmp_path, "north")
    keep(asset_of(public), north)
    policy = Policy.objects.create(mirror=north, is_required=False)
    address = f"/admin/mirrors/policy/{policy.pk}/delete/"
    for sent in ({}, {"sure": "1", "post": "yes"}):
        page = desk.post(address, sent)
        assert "would hold it whole" in page.content.decode()
    assert Policy.objects.filter(pk=policy.pk).exists()


def test_the_desk_removes_a_policy_after_showing_what_goes(desk: Client, public: Version, plenty: Mirror) -> None:
    policy = Policy.objects.create(mirror=plenty, is_required=False)
    address = f"/admin/mirrors/policy/{policy.pk}/delete/"
    page = desk.get(address).content.decode().replace("<wbr>", "")
    assert public.dataset.identifier in page
    assert Policy.objects.filter(pk=policy.pk).exists()
    assert desk.post(address, {"sure": "1", "post": "yes"}).status_code == 302
    assert not Policy.objects.exists()
    engine.drain(30)
    assert Replica.objects.get(mirror=plenty).state == Replica.State.REMOVED
