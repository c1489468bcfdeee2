"""A copy that its mirror holds and does not show to the public leaves every list, until the public can have it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import Version
from mirrors.backends.base import Draft
from mirrors.backends.memory import MemoryMirror
from mirrors.checks import recheck, repair
from mirrors.errors import AbsentError, MirrorSettlingError
from mirrors.models import Check, Deposit, Incident, Mirror, Replica
from mirrors.verify import PUBLICLY, check_replica
from releases.jobs import engine, steering
from releases.models import Job, Step
from tests import factories
from tests.mirrors.uploads import KEY, Kept, quiet, upload

pytestmark = pytest.mark.django_db


class Door:
    """The public address of a mirror: open or shut, whatever the mirror holds."""

    is_open = True

    def read(self, _asks: Any, url: str, start: int, length: int) -> Iterator[bytes]:
        if not self.is_open:
            raise AbsentError(f"{url}: it is not there (status 404). Put it there again.")
        yield factories.CONTENT[start : start + length]


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> MemoryMirror:
    opened = MemoryMirror()
    for module in (recheck, repair):
        monkeypatch.setattr(module, "connect", lambda _mirror: opened)
    return opened


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Door:
    made = Door()
    monkeypatch.setattr(recheck, "read_public", made.read)
    return made


@pytest.fixture
def copy(backend: MemoryMirror) -> Replica:
    """Give a proved copy of a public file at a service."""
    asset = factories.asset(factories.item(factories.version(state=Version.State.PUBLISHED)))
    locator = backend.put(Draft(KEY, KEY), upload(factories.CONTENT), checkpoint=Kept(), progress=quiet)
    made = factories.replica(asset, factories.mirror("far", kind=Mirror.Kind.S3), locator=locator)
    check_replica(made, backend=backend, level=Check.Level.CHECKSUM, now=timezone.now())
    return made


def state(copy: Replica) -> str:
    return Replica.objects.get(pk=copy.pk).state


def run_repairs() -> None:
    for step in Step.objects.filter(job__pipeline="repair", state=Step.State.DUE):
        engine.run_step(step.pk, has_heartbeat=False)


def look(copy: Replica, level: int = Check.Level.FULL) -> Check:
    return recheck.look_again(Replica.objects.get(pk=copy.pk), level, now=timezone.now())


def test_what_the_public_cannot_have_leaves_every_list_at_once(copy: Replica, door: Door) -> None:
    assert look(copy).result == Check.Result.PASSED
    door.is_open = False
    found = look(copy)
    assert (found.result, found.method) == (Check.Result.MISSING, f"nothing there{PUBLICLY}")
    assert state(copy) == Replica.State.MISSING
    assert not Replica.objects.proved().exists()


def test_what_the_mirror_says_of_itself_brings_it_back_for_nobody(
    copy: Replica, door: Door, backend: MemoryMirror
) -> None:
    door.is_open = False
    look(copy)
    for level in (Check.Level.CHECKSUM, Check.Level.FULL):
        row = Replica.objects.get(pk=copy.pk)
        assert check_replica(row, backend=backend, level=level, now=timezone.now()).result == Check.Result.PASSED
    assert state(copy) == Replica.State.MISSING


def test_its_repair_touches_nothing_and_says_what_to_mend(copy: Replica, door: Door, backend: MemoryMirror) -> None:
    door.is_open = False
    look(copy)
    run_repairs()
    failed = Step.objects.get(job__pipeline="repair")
    assert failed.state == Step.State.FAILED
    assert "holds it whole, but says at its public address" in failed.error
    assert backend.stat(copy.locator) is not None
    door.is_open = True
    steering.retry(failed, by=None)
    run_repairs()
    assert state(copy) == Replica.State.VERIFIED
    assert not Incident.objects.filter(ended_at=None).exists()
    assert not Job.objects.filter(pipeline="repair", state=Job.State.FAILED).exists()


def test_what_became_public_just_now_may_take_its_time(copy: Replica, door: Door) -> None:
    door.is_open = False
    Deposit.objects.create(
        version=copy.asset.item.version,
        mirror=copy.mirror,
        state=Deposit.State.PUBLIC,
        created_at=timezone.now(),
        described_at=timezone.now(),
    )
    with pytest.raises(MirrorSettlingError, match="accepted more than it shows yet"):
        look(copy)
    assert state(copy) == Replica.State.VERIFIED
