"""Old checks move to Parquet: what stays in the database, and that nothing of the evidence is lost on the way."""

from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.utils import timezone

from mirrors.checks import old_checks
from mirrors.checks.old_checks import FOLDER, move_old_checks
from mirrors.models import Check, Incident, Replica
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def copy(own_storage_dir: Path) -> Replica:
    return factories.replica(factories.asset(), factories.mirror())


def check(copy: Replica, days: int, **facts: Any) -> Check:
    return factories.check(copy, at=timezone.now() - timedelta(days=days), **facts)


def move(number: int = 1) -> None:
    move_old_checks(factories.step("mirrors.checks.old_checks.move_old_checks", number), number)


def files(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).glob("*.parquet"))


def test_only_old_passed_checks_with_a_newer_one_of_their_level_move(copy: Replica, own_storage_dir: Path) -> None:
    gone = [check(copy, days) for days in (900, 800, 500)]
    failure = check(copy, 700, result=Check.Result.DAMAGED)
    newest_sample = check(copy, 600, level=Check.Level.SAMPLED)
    recent = [check(copy, 399), check(copy, 1)]
    move()
    left = {failure.pk, newest_sample.pk, *(one.pk for one in recent)}
    assert set(Check.objects.values_list("pk", flat=True)) == left
    (file,) = files(own_storage_dir)
    rows = pq.read_table(BytesIO(file.read_bytes())).to_pylist()
    assert [row["check"] for row in rows] == [one.pk for one in gone]
    assert [row["at"] for row in rows] == [one.at for one in gone]
    assert {(row["file"], row["mirror"], row["level"]) for row in rows} == {(copy.asset.path, copy.mirror.slug, 4)}
    move(2)
    assert files(own_storage_dir) == [file]


def test_what_an_incident_refers_to_stays(copy: Replica, own_storage_dir: Path) -> None:
    bad, good = check(copy, 900, result=Check.Result.DAMAGED), check(copy, 899)
    check(copy, 1)
    Incident.objects.create(
        mirror=copy.mirror,
        replica=copy,
        kind="damaged",
        found_by=bad,
        found_at=bad.at,
        ended_by=good,
        ended_at=good.at,
    )
    move()
    assert Check.objects.count() == 3
    assert files(own_storage_dir) == []


def test_a_kill_between_file_and_rows_loses_nothing_and_writes_the_same_file_again(
    copy: Replica, own_storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for days in (900, 800, 1):
        check(copy, days)
    with monkeypatch.context() as patched:
        patched.setattr("django.db.models.query.QuerySet.delete", killed)
        with pytest.raises(KeyboardInterrupt):
            move()
    assert Check.objects.count() == 3
    before = files(own_storage_dir)[0].read_bytes()
    move(2)
    assert [one.read_bytes() for one in files(own_storage_dir)] == [before]
    assert pq.read_table(BytesIO(before)).num_rows == 2
    assert Check.objects.count() == 1


def killed(_rows: Any) -> Any:
    raise KeyboardInterrupt


def test_many_rows_become_several_files(
    copy: Replica, own_storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_checks, "ROWS_A_FILE", 2)
    for days in (900, 800, 700, 600, 500, 1):
        check(copy, days)
    move()
    rows = [pq.read_table(BytesIO(one.read_bytes())).num_rows for one in files(own_storage_dir)]
    assert sorted(rows) == [1, 2, 2]
    assert Check.objects.count() == 1
