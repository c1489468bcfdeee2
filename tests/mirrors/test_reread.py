"""What became public is read through its public address at once: what is owed, to whom, in which order, and once."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import Version
from mirrors.checks.due import due_copies
from mirrors.models import Check, Deposit, Incident, Mirror, MirrorDay, Replica
from mirrors.verify import PUBLICLY
from releases.jobs import engine
from releases.models import Job, Step
from releases.rereads import request_reread
from tests import factories

pytestmark = pytest.mark.django_db

QUEUE = "mirrors.checks.recheck.queue_deposit"
SIZE = len(factories.CONTENT)


@dataclass
class Far:
    """A version of three files at a service of others, proved by its checksums only."""

    deposit: Deposit
    copies: list[Replica]

    @property
    def mirror(self) -> Mirror:
        return Mirror.objects.get(pk=self.deposit.mirror_id)

    def ask(self, cause: str = "test") -> None:
        request_reread(self.deposit.version_id, cause=cause)
        self.queue()

    def queue(self) -> None:
        """Run what queues, and nothing that reads."""
        for step in Step.objects.filter(function__startswith="mirrors.checks.recheck.queue", state="due"):
            engine.run_step(step.pk, has_heartbeat=False)

    def queued(self) -> list[int]:
        """Give the copies that have a re-read of their own, in the order of its start; a copy of two stands twice."""
        return list(Job.objects.filter(pipeline="recheck-copy").order_by("pk").values_list("subject", flat=True))

    def read(self, copy: Replica, **facts: Any) -> Check:
        return factories.check(copy, method=f"sha256, full re-read{PUBLICLY}", **facts)

    def due(self) -> list[Replica]:
        return list(due_copies(self.mirror, now=timezone.now()))


@pytest.fixture(params=[Mirror.Kind.INTERNET_ARCHIVE, Mirror.Kind.ZENODO, Mirror.Kind.S3])
def far(request: pytest.FixtureRequest) -> Far:
    mirror = factories.mirror("far", kind=request.param)
    item = factories.item()
    deposit = Deposit.objects.create(
        version=item.version, mirror=mirror, state=Deposit.State.PUBLIC, created_at=timezone.now()
    )
    copies = [
        factories.replica(factories.asset(item, f"{number}.csv", key=f"data-{number}"), mirror) for number in range(3)
    ]
    for copy in copies:
        factories.check(copy, Check.Level.CHECKSUM)
    return Far(deposit, copies)


def keys(copies: list[Replica]) -> list[int]:
    return [copy.pk for copy in copies]


def test_every_copy_has_one_job_however_often_it_is_asked_for(far: Far) -> None:
    for cause in ("release:1", "release:1", "deposit:2", "incident:3"):
        far.ask(cause)
    assert far.queued() == keys(far.copies)
    assert Job.objects.filter(pipeline="reread").count() == 3


def test_a_kill_while_it_was_queued_leaves_one_job_a_copy(far: Far) -> None:
    far.ask("first")
    Job.objects.filter(pipeline="recheck-copy", subject=far.copies[1].pk).delete()
    Job.objects.filter(pipeline="reread").update(state=Job.State.OPEN, ended_at=None)
    Step.objects.filter(function=QUEUE).update(
        state=Step.State.RUNNING, lease_until_at=timezone.now() - timedelta(seconds=1), ended_at=None
    )
    assert engine.run_step(Step.objects.get(function=QUEUE).pk, has_heartbeat=False)
    assert sorted(far.queued()) == keys(far.copies)


def test_what_was_read_publicly_is_owed_nothing(far: Far) -> None:
    far.read(far.copies[0])
    far.read(far.copies[1], result=Check.Result.DAMAGED)
    factories.check(far.copies[2], method="sha256, full re-read")
    assert far.due() == far.copies[1:]
    far.ask()
    assert far.queued() == keys(far.copies[1:])


def test_a_version_that_is_not_public_yet_waits_until_it_is_whichever_job_comes_first(far: Far) -> None:
    Version.objects.update(state=Version.State.DRAFT)
    far.ask("deposit:1")
    assert far.queued() == []
    Version.objects.update(state=Version.State.PUBLISHED)
    far.ask("release:1")
    assert far.queued() == keys(far.copies)


def test_a_draft_that_nobody_sees_is_read_when_it_became_public(far: Far) -> None:
    Deposit.objects.update(state=Deposit.State.VERIFIED)
    is_hidden = far.mirror.kind == Mirror.Kind.ZENODO
    assert far.due() == ([] if is_hidden else far.copies)
    Deposit.objects.update(state=Deposit.State.PUBLIC)
    assert far.due() == far.copies


def test_what_was_put_again_since_it_was_read_comes_first(far: Far) -> None:
    now = timezone.now()
    for copy in far.copies:
        far.read(copy, at=now - timedelta(days=3))
    assert far.due() == []
    mended, found = far.copies[2], factories.check(far.copies[2], result=Check.Result.DAMAGED)
    Incident.objects.create(
        mirror=far.mirror,
        replica=mended,
        kind=Incident.Kind.DAMAGED,
        found_by=found,
        found_at=now - timedelta(days=2),
        ended_at=now - timedelta(days=1),
    )
    assert far.due() == [mended]
    far.read(mended, at=now)
    assert far.due() == []


def test_nobody_is_passed_over_by_what_came_later_or_is_proved_otherwise(far: Far, settings: Any) -> None:
    """A service's own checksum renews a proof; the turn of a copy that was never read stays what it was."""
    settings.DFC_REREAD_DAYS, now = 365, timezone.now()
    Version.objects.update(published_at=now - timedelta(days=3))
    never, once, long_ago = far.copies
    far.read(once, at=now - timedelta(days=366))
    far.read(long_ago, at=now - timedelta(days=400))
    Replica.objects.filter(pk=never.pk).update(verified_at=now)
    assert far.due() == [long_ago, never, once]


def test_what_is_over_the_budget_of_the_day_comes_on_the_next(far: Far) -> None:
    Mirror.objects.update(daily_read_bytes=SIZE + 1)
    far.ask()
    assert far.queued() == keys(far.copies[:2])
    for copy in far.copies[:2]:
        done(far, copy)
    far.ask("again")
    assert len(far.queued()) == 2
    MirrorDay.objects.update(on=timezone.now().date() - timedelta(days=1))
    engine.start("recheck:1", "recheck", 1)
    far.queue()
    assert far.queued() == keys(far.copies)


def done(far: Far, copy: Replica) -> None:
    """Let a re-read have ended well."""
    far.read(copy)
    MirrorDay.objects.charge(far.mirror.pk, timezone.now().date(), copy.asset.size_bytes)
    Job.objects.filter(pipeline="recheck-copy", subject=copy.pk).update(state=Job.State.DONE, ended_at=timezone.now())


def test_a_silent_mirror_is_left_alone_until_it_answers(far: Far) -> None:
    Mirror.objects.update(state=Mirror.State.SILENT)
    far.ask()
    assert far.queued() == []
    Mirror.objects.update(state=Mirror.State.ANSWERS)
    engine.start("recheck:1", "recheck", 1)
    far.queue()
    assert far.queued() == keys(far.copies)


def test_what_failed_waits_a_day_or_for_a_person_and_takes_nobodys_turn(far: Far) -> None:
    Mirror.objects.update(daily_read_bytes=1)
    far.ask("first")
    failed = Job.objects.filter(pipeline="recheck-copy")
    failed.update(state=Job.State.FAILED, ended_at=timezone.now())
    far.ask("second")
    assert far.queued() == keys(far.copies[:2])
    failed.update(state=Job.State.FAILED, ended_at=timezone.now() - timedelta(days=2))
    far.ask("third")
    assert far.queued() == keys([*far.copies[:2], far.copies[0]])


def test_our_own_directories_are_not_asked_through_the_net() -> None:
    copy = factories.proved(factories.asset(), factories.mirror())
    Deposit.objects.create(version=copy.asset.item.version, mirror=copy.mirror, created_at=timezone.now())
    request_reread(copy.asset.item.version_id, cause="test")
    assert Job.objects.get().state == Job.State.DONE
    assert not Step.objects.exists()
