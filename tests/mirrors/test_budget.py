"""How much of each mirror is read in a day: what is charged, who gets a turn, and how long a whole cycle takes."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from mirrors.backends.memory import MemoryMirror
from mirrors.checks.budget import charged, cycle_days, read_on, within
from mirrors.checks.recheck import AHEAD, queue_some, start_recheck
from mirrors.errors import MirrorUnavailableError
from mirrors.models import Check, Mirror, MirrorDay, Replica
from mirrors.verify import SAMPLE_BYTES, SAMPLES, check_replica
from releases.jobs import engine
from releases.models import Job
from tests import factories
from tests.mirrors.local_copies import Kept, keep, mend

DAY = timedelta(days=1)
CONTENT = factories.CONTENT
sizes = st.lists(st.integers(0, 1000), max_size=30)


@pytest.fixture
def kept(db: None, own_storage_dir: Path, tmp_path: Path) -> Kept:
    return keep(own_storage_dir, tmp_path)


def read_today(slug: str) -> int:
    return read_on(Mirror.objects.get(slug=slug), timezone.now().date())


def test_a_re_read_is_charged_to_its_own_mirror_and_a_look_without_bytes_to_none(kept: Kept) -> None:
    for level in Check.Level:
        if level != Check.Level.CHECKSUM:
            kept.look("second", level)
    assert read_today("second") == len(CONTENT) + SAMPLES * min(SAMPLE_BYTES, len(CONTENT))
    assert not MirrorDay.objects.exclude(mirror__slug="second").exists()


def test_what_broke_off_is_charged_as_far_as_it_came(own_storage_dir: Path, db: None) -> None:
    copy, backend = factories.replica(factories.asset(), factories.mirror()), MemoryMirror()
    backend.files[copy.locator] = CONTENT

    def breaks_off(_start: int, _length: int) -> Iterator[bytes]:
        yield CONTENT[:1000]
        raise MirrorUnavailableError("it broke off")

    for reads in (1, 2):
        with pytest.raises(MirrorUnavailableError):
            check_replica(copy, backend=backend, level=Check.Level.FULL, now=timezone.now(), read_at=breaks_off)
        assert read_today("north") == reads * 1000


def test_who_is_killed_while_reading_leaves_the_whole_look_charged(kept: Kept) -> None:
    mirror = kept.copies["second"].mirror
    look = charged(mirror, 5000, now=timezone.now())
    look.__enter__()
    assert read_today("second") == 5000
    with charged(mirror, 300, now=timezone.now()) as meter:
        list(meter.reading(lambda _start, _length: iter([b"x" * 100]))(0, 100))
    assert read_today("second") == 5100


def age(days: int) -> None:
    """Let days go by: what was proved and read is so much older."""
    Replica.objects.update(verified_at=F("verified_at") - timedelta(days=days))
    MirrorDay.objects.all().delete()


def many(kept: Kept, slug: str, dice: random.Random) -> list[int]:
    """Keep files of any size at a mirror, all of them to be read again; gives their sizes."""
    found = []
    for number in range(dice.randint(1, 4)):
        content = dice.randbytes(dice.choice([0, 1, dice.randint(2, 500), dice.randint(500, 3000)]))
        asset = factories.asset(kept.asset.item, f"{slug}-{number}.csv", content, key=f"{slug}-{number}")
        copy = factories.proved(asset, kept.copies[slug].mirror)
        (kept.directory(slug) / copy.locator).write_bytes(content)
        found.append(len(content))
    return [*found, len(CONTENT)]


@pytest.mark.parametrize("seed", range(4))
def test_over_any_days_no_mirror_exceeds_its_budget_by_more_than_a_file_and_each_copy_has_its_turn(
    kept: Kept, seed: int
) -> None:
    dice, began = random.Random(seed), timezone.now()
    held = {slug: many(kept, slug, dice) for slug in ("origin", "second")}
    budgets = {slug: sum(some) // dice.randint(1, 4) + 1 for slug, some in held.items()}
    for slug, budget in budgets.items():
        Mirror.objects.filter(slug=slug).update(daily_read_bytes=budget)
    age(50)
    cycles = {slug: cycle_days(sum(some), budgets[slug]) or 0 for slug, some in held.items()}
    for day in range(max(cycles.values())):
        for number in range(dice.randint(1, 3)):
            engine.start(f"recheck:{day}.{number}", "recheck", number)
            mend()
        for slug, some in held.items():
            assert read_today(slug) < budgets[slug] + max(some)
            seen = Check.objects.filter(replica__mirror__slug=slug, method__startswith="sha256", at__gte=began)
            assert day + 1 < cycles[slug] or seen.count() == len(some)
        age(1)
    assert Check.objects.filter(method__startswith="sha256").count() == sum(map(len, held.values()))


@given(sizes, st.integers(0, 3000))
def test_rows_are_taken_in_their_order_while_something_is_left(some: list[int], left: int) -> None:
    taken = list(within(some, left, lambda size: size))
    assert taken == some[: len(taken)]
    assert sum(taken[:-1]) < left or not taken
    assert sum(taken) >= left or taken == some


def test_a_large_mirror_and_a_dear_one_do_not_take_the_others_turn(kept: Kept) -> None:
    kept.add("third")
    Mirror.objects.filter(slug="second").update(daily_read_bytes=1)
    many(kept, "second", random.Random(1))
    age(60)
    engine.start("recheck:1", "recheck", 1)
    mend()
    assert [kept.history(slug) for slug in ("origin", "third")] == [[(4, "passed")]] * 2
    assert Check.objects.filter(replica__mirror__slug="second", method__startswith="sha256").count() == 1


@pytest.mark.parametrize(("own", "count"), [(None, 1), (0, 0), (1, 1)])
def test_empty_is_the_usual_budget_and_0_is_nothing(kept: Kept, own: int | None, count: int) -> None:
    Mirror.objects.filter(slug="second").update(daily_read_bytes=own)
    age(60)
    assert queue_some(kept.copies["second"].mirror_id, now=timezone.now()) == count


def test_what_a_person_asked_for_is_read_whatever_is_left_and_counts(kept: Kept) -> None:
    Mirror.objects.filter(slug="second").update(daily_read_bytes=len(CONTENT))
    start_recheck(kept.copies["second"], now=timezone.now())
    many(kept, "second", random.Random(2))
    age(60)
    assert queue_some(kept.copies["second"].mirror_id, now=timezone.now()) == 0
    mend()
    assert kept.history("second") == [(4, "passed")]


@pytest.mark.django_db(transaction=True)
def test_two_who_queue_at_the_same_moment_spend_the_budget_once(own_storage_dir: Path, tmp_path: Path) -> None:
    kept = keep(own_storage_dir, tmp_path)
    mirror_id, together = kept.copies["second"].mirror_id, threading.Barrier(3)
    for number in range(6):
        factories.proved(
            factories.asset(kept.asset.item, f"{number}.csv", b"xx", key=f"k-{number}"), kept.copies["second"].mirror
        )
    Mirror.objects.filter(pk=mirror_id).update(daily_read_bytes=len(CONTENT) + 1)
    age(60)

    def queue(_number: int) -> int:
        together.wait(timeout=10)
        count = queue_some(mirror_id, now=timezone.now())
        connection.close()
        return count

    with ThreadPoolExecutor(max_workers=3) as pool:
        assert sum(pool.map(queue, range(3))) == 2
    assert Job.objects.filter(pipeline="recheck-copy").count() == 2


def test_of_what_is_due_a_few_wait_and_each_lets_the_next_follow(kept: Kept) -> None:
    second = kept.copies["second"].mirror
    for number in range(2 * AHEAD):
        copy = factories.proved(factories.asset(kept.asset.item, f"{number}.csv", b"xx", key=f"k-{number}"), second)
        (kept.directory("second") / copy.locator).write_bytes(b"xx")
    age(60)
    jobs = Job.objects.filter(pipeline="recheck-copy")
    assert queue_some(second.pk, now=timezone.now()) == AHEAD
    assert queue_some(second.pk, now=timezone.now()) == 0
    for ended in range(1, AHEAD + 2):
        engine.run_step(engine.due_steps()[0], has_heartbeat=False)
        assert jobs.filter(state=Job.State.OPEN).count() == AHEAD
        assert jobs.filter(state=Job.State.DONE).count() == ended
    mend()
    assert jobs.filter(state=Job.State.DONE).values("subject").distinct().count() == 2 * AHEAD + 1
    assert jobs.count() == 2 * AHEAD + 1


def test_a_cycle_takes_as_long_as_its_bytes_need() -> None:
    assert cycle_days(0, 10) == 1
    assert cycle_days(100, 10) == 10
    assert cycle_days(101, 10) == 11
    assert cycle_days(100, 0) is None
