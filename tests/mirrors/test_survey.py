"""What a mirror says of all its files, in few requests: what proves, what is looked at twice, and what is sampled."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import Version
from mirrors.checks.survey import due_deposits, survey_deposit, survey_mirror
from mirrors.models import Check, Deposit, Incident, Mirror, Replica
from tests import factories
from tests.mirrors.local_copies import Kept, keep

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept(own_storage_dir: Path, tmp_path: Path) -> Kept:
    kept = keep(own_storage_dir, tmp_path)
    for slug in kept.copies:
        Deposit.objects.create(
            version=kept.asset.item.version,
            mirror=kept.copies[slug].mirror,
            state=Deposit.State.PUBLIC,
            record_id=kept.asset.storage_key.removesuffix(f"/{kept.asset.path}"),
            created_at=timezone.now(),
        )
    return kept


def second(kept: Kept) -> Mirror:
    return kept.copies["second"].mirror


def survey(kept: Kept) -> list[tuple[int, str, str]]:
    """Survey the second mirror; gives level, result and method of what was written of its copy, the oldest first."""
    before = set(Check.objects.values_list("pk", flat=True))
    survey_mirror(factories.step("mirrors.checks.survey.survey_mirror", len(before)), second(kept).pk)
    found = Check.objects.exclude(pk__in=before).filter(replica=kept.copies["second"]).order_by("pk")
    return list(found.values_list("level", "result", "method"))


def test_a_good_mirror_is_listed_once_a_period_and_sampled_each_time(kept: Kept, settings: Any) -> None:
    settings.DFC_SURVEY_SAMPLES = 1
    assert survey(kept) == [(1, "passed", "size"), (3, "passed", "8 ranges")]
    assert survey(kept) == [(3, "passed", "8 ranges")]
    Deposit.objects.update(surveyed_at=timezone.now() - timedelta(days=settings.DFC_SURVEY_DAYS + 1))
    assert len(survey(kept)) == 2


def test_what_is_missing_or_of_another_size_is_found_and_its_repair_owed(kept: Kept) -> None:
    kept.path("second").write_bytes(b"other")
    assert survey(kept)[0] == (1, "damaged", "size")
    assert Incident.objects.get().replica == kept.copies["second"]
    kept.path("second").unlink()
    Deposit.objects.update(surveyed_at=None)
    assert survey(kept)[0] == (1, "missing", "listing")


def test_a_listing_that_lacks_a_file_is_no_verdict_by_itself(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrors.backends.local.LocalMirror.listing", lambda _self, _draft: {})
    assert survey(kept)[0] == (1, "passed", "size")


def test_a_mirror_that_falls_silent_on_the_way_leaves_every_list_and_no_verdict(kept: Kept) -> None:
    kept.directory("second").rename(kept.folder / "away")
    assert survey(kept) == []
    assert Mirror.objects.get(slug="second").state == Mirror.State.SILENT
    assert kept.states()["second"] == Replica.State.VERIFIED


def test_only_what_the_public_has_is_surveyed_the_longest_ago_first(kept: Kept) -> None:
    other = factories.version(factories.dataset("ca_rail"), state=Version.State.PUBLISHED)
    newer = Deposit.objects.create(
        version=other,
        mirror=second(kept),
        state=Deposit.State.PUBLIC,
        record_id="x",
        created_at=timezone.now(),
        surveyed_at=timezone.now() - timedelta(days=30),
    )
    ours = Deposit.objects.get(mirror=second(kept), version=kept.asset.item.version)
    assert due_deposits(second(kept), now=timezone.now()) == [ours.pk, newer.pk]
    Version.objects.filter(pk=other.pk).update(state=Version.State.WITHDRAWN)
    assert due_deposits(second(kept), now=timezone.now()) == [ours.pk]


def test_a_survey_costs_as_many_questions_however_many_files_there_are(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        asset = factories.asset(kept.asset.item, f"{number}.csv", b"file", key=f"data-{number + 2}")
        copy = factories.proved(asset, second(kept))
        (kept.directory("second") / copy.locator).write_bytes(b"file")
    asked: list[str] = []
    monkeypatch.setattr("mirrors.backends.local.LocalMirror.stat", lambda _self, locator: asked.append(locator))
    survey_deposit(Deposit.objects.get(mirror=second(kept)).pk, now=timezone.now())
    assert asked == []
    assert Check.objects.filter(level=1, result="passed").count() == 21
