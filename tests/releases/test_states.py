"""A release moves only as releases/states.py says, each move leaves its evidence, the database refuses bad rows."""

import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.models import Asset, Version
from releases.models import Build, Manifest, Release, Transition
from releases.states import EDITABLE, MOVES, Move
from tests import factories

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
STATES = tuple(Release.State.values)
WAY = tuple(itertools.pairwise(STATES))


def facts(person: Any) -> dict[str, Any]:
    """Give what the later states ask for, so that only the move itself is on trial."""
    return {"reviewed_digest": "a" * 64, "submitter": person, "approved_at": NOW}


@pytest.fixture
def release(db: None) -> Release:
    return factories.release(factories.version(state=Version.State.DRAFT))


def moved(release: Release, source: str, to: str, **extra: Any) -> bool:
    step = Move(source, to, release.author, NOW, Transition.Channel.COMMAND, "because")
    return Release.objects.move(release.pk, step, **{**facts(release.author), **extra})


def test_the_moves_lead_from_draft_to_published_and_never_back_from_publishing() -> None:
    assert set(WAY) <= MOVES
    assert {to for source, to in MOVES if source in {"publishing", "published"}} == {"published"}
    assert {source for source, to in MOVES if to == "draft"} == EDITABLE | {"building"}
    assert {state for move in MOVES for state in move} == set(STATES)


@pytest.mark.parametrize("source", STATES)
@pytest.mark.parametrize("to", STATES)
def test_only_declared_moves_can_be_named_at_all(source: str, to: str) -> None:
    if (source, to) in MOVES:
        assert Move(source, to, None, NOW, "engine").to == to
    else:
        with pytest.raises(ValueError, match=f"no move from {source} to {to}"):
            Move(source, to, None, NOW, "engine")


attempts = st.lists(st.sampled_from(sorted(MOVES)), max_size=25)


@given(attempts)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_whatever_is_tried_each_move_that_happens_writes_one_transition(
    release: Release, attempts: list[tuple[str, str]]
) -> None:
    state = "draft"
    Release.objects.filter(pk=release.pk).update(state=state)
    Transition.objects.all().delete()
    expected = []
    for source, to in attempts:
        happened = moved(release, source, to)
        assert happened == (source == state)
        if happened:
            state = to
            expected.append((source, to))
        assert Release.objects.get(pk=release.pk).state == state
    assert list(release.transitions.values_list("source", "to")) == expected


def test_a_move_leaves_who_when_why_and_through_which_door(release: Release) -> None:
    assert moved(release, "draft", "building")
    one = release.transitions.get()
    assert (one.by, one.at, one.reason, one.channel) == (release.author, NOW, "because", "command")
    assert str(one) == f"{release}: draft → building"


def test_a_move_from_where_it_is_not_writes_nothing(release: Release) -> None:
    assert not moved(release, "built", "in_review")
    release.refresh_from_db()
    assert (release.state, release.reviewed_digest) == ("draft", "")
    assert not release.transitions.exists()


def test_the_facts_of_a_move_are_written_with_it(release: Release) -> None:
    for source, to in WAY[:3]:
        assert moved(release, source, to)
    release.refresh_from_db()
    assert (release.state, release.reviewed_digest, release.submitter) == ("in_review", "a" * 64, release.author)


def test_a_move_whose_evidence_cannot_be_written_does_not_happen(release: Release) -> None:
    nobody = type(release.author)(username="nobody")
    step = Move("draft", "building", nobody, NOW, Transition.Channel.COMMAND)
    with pytest.raises(ValueError, match="unsaved related object"):
        Release.objects.move(release.pk, step)
    release.refresh_from_db()
    assert release.state == "draft"


def test_a_move_undone_by_its_callers_transaction_leaves_no_evidence(release: Release) -> None:
    with transaction.atomic():
        assert moved(release, "draft", "building")
        transaction.set_rollback(True)
    release.refresh_from_db()
    assert release.state == "draft"
    assert not release.transitions.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("goals", [("building", "building"), ("building", "draft")])
def test_of_moves_at_the_same_moment_one_wins(goals: tuple[str, str]) -> None:
    release = factories.release(factories.version(state=Version.State.DRAFT))
    if "draft" in goals:
        assert moved(release, "draft", "building")
        goals = ("built", "draft")
    release.refresh_from_db()
    together, won = threading.Barrier(8), []

    def attempt(to: str) -> None:
        together.wait(30)
        won.append(moved(release, release.state, to))
        connection.close()

    threads = [threading.Thread(target=attempt, args=(goals[number % 2],)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(won) == [False] * 7 + [True]
    last = release.transitions.order_by("pk").last()
    release.refresh_from_db()
    assert last is not None
    assert last.to == release.state
    assert release.transitions.filter(source=last.source).count() == 1


def a_build(release: Release) -> Build:
    manifest = Manifest.objects.create(sha256="b" * 64, body="{}", locked_at=NOW)
    return Build.objects.create(
        release=release, manifest=manifest, purpose="review", round=1, number=1, started_at=NOW
    )


def another(row: models.Model, **fields: Any) -> None:
    """Save a copy of a row, with a few fields of its own."""
    copy = type(row)._default_manager.get(pk=row.pk)
    copy.pk = None
    for name, value in fields.items():
        setattr(copy, name, value)
    copy.save(force_insert=True)


def change(row: models.Model, **fields: Any) -> None:
    type(row)._default_manager.filter(pk=row.pk).update(**fields)


Bad = Iterator[tuple[str, Callable[[], None]]]


def bad_releases(release: Release) -> Bad:
    by, digest = release.author, "a" * 64
    yield "release_reviewed_has_digest", partial(change, release, state="in_review", submitter=by)
    yield "release_reviewed_has_submitter", partial(change, release, state="in_review", reviewed_digest=digest)
    reviewed = partial(change, release, submitter=by, reviewed_digest=digest)
    for state in ("approved", "publishing", "published"):
        yield "release_approved_has_time", partial(reviewed, state=state)
    unconfirmed = partial(change, release, is_confirmed=False)
    yield "release_unconfirmed_has_reason", unconfirmed
    yield "release_unconfirmed_has_reason", partial(unconfirmed, unconfirmed_reason_en="Costs too much.")
    graded = partial(change, release, reproducibility="same-content")
    yield "release_grade_has_reason", graded
    yield "release_grade_has_reason", partial(graded, reproducibility_reason_fr="Ça varie.")
    yield "version_id", partial(another, release)


def bad_versions(release: Release) -> Bad:
    version = release.version
    other = factories.version(version.dataset, "2.0.0")
    yield "version_number_once", partial(another, version)
    yield "version_number_once", partial(change, other, number=version.number)
    yield "version_public_has_time", partial(change, version, state="published", doi="10.5072/a")
    yield "version_public_has_doi", partial(change, version, state="published", published_at=NOW)
    yield "doi", partial(change, version, doi=other.doi)


def bad_assets(release: Release) -> Bad:
    asset = factories.asset(factories.item(release.version))
    yield "asset_key_once_per_item", partial(another, asset, path="other.csv")
    yield "asset_path_once_per_item", partial(another, asset, key="data-2")
    yield "asset_size_not_negative", partial(change, asset, size_bytes=-1)
    for name, length in (("sha256", 64), ("sha1", 40), ("md5", 32)):
        for wrong in ("", "A" * length, "g" * length, "a" * (length - 1)):
            yield f"asset_{name}_is_hex", partial(change, asset, **{name: wrong})


def bad_builds(release: Release) -> Bad:
    build = a_build(release)
    yield "build_once_per_number", partial(another, build)
    for state in ("succeeded", "failed"):
        yield "build_ended_has_verdict", partial(change, build, state=state, ended_at=NOW)
        yield "build_ended_has_verdict", partial(change, build, state=state, verdict="first")


BAD = {Release: bad_releases, Version: bad_versions, Asset: bad_assets, Build: bad_builds}


def named(constraint: str, model: type[models.Model]) -> str:
    """Give the words by which the database names a constraint; SQLite names unique ones by their columns."""
    unique = {one.name for one in model._meta.constraints if isinstance(one, models.UniqueConstraint)}
    return "UNIQUE constraint failed" if connection.vendor == "sqlite" and constraint in unique else constraint


@pytest.mark.parametrize("model", BAD, ids=lambda model: model.__name__)
def test_the_database_itself_refuses_bad_rows(release: Release, model: type[models.Model]) -> None:
    attempts = list(BAD[model](release))
    before = list(model._default_manager.order_by("pk").values())
    for constraint, write in attempts:
        with pytest.raises(IntegrityError) as refusal, transaction.atomic():
            write()
        assert named(constraint, model) in str(refusal.value)
        assert list(model._default_manager.order_by("pk").values()) == before
    assert {one.name for one in model._meta.constraints} <= {constraint for constraint, _ in attempts}


def test_evidence_of_a_release_cannot_be_deleted_with_it(release: Release) -> None:
    assert moved(release, "draft", "building")
    a_build(release)
    with pytest.raises(models.ProtectedError):
        release.delete()
    with pytest.raises(models.ProtectedError):
        release.version.delete()
    assert Release.objects.filter(pk=release.pk).exists()
