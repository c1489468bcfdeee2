"""What comes back by itself: one job a period, whoever asks and however often."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from dfc_site.schedules import FORGOTTEN, RECURRING
from releases.jobs import recurring, registry
from releases.jobs.recurring import Recurring
from releases.models import Job
from tests.chaos import scripted

pytestmark = pytest.mark.django_db

EVERY_S = 600


@pytest.fixture
def declared(pipelines: None) -> Iterator[None]:
    recurring.declare([Recurring("scripted", EVERY_S)], forgotten=["scripted"])
    yield
    recurring.declare(RECURRING, forgotten=FORGOTTEN)


@pytest.fixture(autouse=True)
def shapes(declared: None, moment: Any) -> int:
    """Let every period of the next hours have one step that waits."""
    first = int(moment.now.timestamp() // EVERY_S)
    for number in range(first, first + 1000):
        scripted.SHAPES[number] = [[True]]
    return first


def end(job: Job, at: Any) -> None:
    Job.objects.filter(pk=job.pk).update(state=Job.State.DONE, ended_at=at)


def test_a_period_has_one_job_however_often_it_is_asked_for(moment: Any, shapes: int) -> None:
    assert [recurring.start_owed() for _ in range(3)] == [1, 0, 0]
    job = Job.objects.get()
    assert (job.key, job.subject) == (f"scripted:{shapes}", shapes)
    end(job, moment.now)
    moment.forward(EVERY_S - 1)
    assert recurring.start_owed() == 0


def test_the_next_period_has_its_own_and_missed_ones_are_not_made_up_for(moment: Any, shapes: int) -> None:
    recurring.start_owed()
    end(Job.objects.get(), moment.now)
    moment.forward(10 * EVERY_S)
    recurring.start_owed()
    assert list(Job.objects.order_by("pk").values_list("subject", flat=True)) == [shapes, shapes + 10]


def test_a_period_is_left_out_while_the_one_before_is_under_way(moment: Any, shapes: int) -> None:
    recurring.start_owed()
    moment.forward(EVERY_S)
    assert recurring.start_owed() == 0
    Job.objects.update(state=Job.State.FAILED, ended_at=moment.now)
    assert recurring.start_owed() == 1


def test_old_jobs_that_ended_well_are_forgotten_and_failed_ones_are_not(moment: Any, shapes: int) -> None:
    recurring.start_owed()
    end(Job.objects.get(), moment.now)
    moment.forward(EVERY_S)
    recurring.start_owed()
    Job.objects.filter(subject=shapes + 1).update(state=Job.State.FAILED, ended_at=moment.now)
    moment.forward((recurring.KEPT + timedelta(hours=1)).total_seconds())
    recurring.start_owed()
    assert list(Job.objects.filter(state=Job.State.FAILED).values_list("subject", flat=True)) == [shapes + 1]
    assert not Job.objects.filter(subject=shapes).exists()


def test_what_this_installation_repeats_is_declared_as_a_pipeline() -> None:
    assert {"probe", "recheck"} <= {one.pipeline for one in RECURRING}
    for name in {*FORGOTTEN, *(one.pipeline for one in RECURRING)}:
        assert registry.pipeline(name).stages
    assert all(one.every_s > 0 for one in RECURRING)
