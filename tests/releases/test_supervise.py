"""The watchdog tells a stalled cluster from a busy one and from one that has nothing to do."""

from typing import Any

import pytest

from releases.jobs.supervise import Watchdog
from tests.chaos.scripted import claim
from tests.releases.conftest import Start

pytestmark = pytest.mark.django_db


@pytest.fixture
def watchdog(settings: Any) -> Watchdog:
    settings.DFC_WORKERS = 2
    return Watchdog()


def after_a_long_time(watchdog: Watchdog) -> bool:
    """Look once, let the stall time pass, and look again."""
    watchdog.is_stalled()
    watchdog.moved_at -= 1e6
    return watchdog.is_stalled()


def test_due_steps_that_nobody_claims_are_a_stall(watchdog: Watchdog, start: Start) -> None:
    start("one", [[True]])
    assert not watchdog.is_stalled()
    assert after_a_long_time(watchdog)
    watchdog.restarted()
    assert not watchdog.is_stalled()


def test_having_nothing_to_do_is_no_stall(watchdog: Watchdog) -> None:
    assert not after_a_long_time(watchdog)


def test_workers_that_all_hold_a_lease_are_busy(watchdog: Watchdog, start: Start) -> None:
    first, second, _ = start("one", [[True, True, True]]).steps.all()
    claim(first)
    assert after_a_long_time(watchdog)
    claim(second)
    assert not after_a_long_time(watchdog)


def test_a_claim_is_movement(watchdog: Watchdog, start: Start) -> None:
    first, _ = start("one", [[True, True]]).steps.all()
    watchdog.is_stalled()
    watchdog.moved_at -= 1e6
    claim(first)
    assert not watchdog.is_stalled()


def test_a_cluster_that_needs_long_to_begin_is_given_more_time_after_each_stall(
    watchdog: Watchdog, start: Start, settings: Any
) -> None:
    settings.DFC_STALL_S = 5
    start("one", [[True]])
    watchdog.is_stalled()
    for doublings in (0, 1, 2):
        watchdog.moved_at -= 5 * 2**doublings - 1
        assert not watchdog.is_stalled()
        watchdog.moved_at -= 2
        assert watchdog.is_stalled()
        watchdog.restarted()
