"""The line of trust counts what may be offered, and nothing else; the database counts as the ranking does."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from catalog.models import Asset, Version
from mirrors.models import Check, Mirror, Replica
from mirrors.offer import offers
from mirrors.safety import safety_of
from tests import factories

DAYS = st.integers(min_value=-2, max_value=200)
CHECKS = st.lists(
    st.tuples(st.sampled_from(Check.Level.values), st.sampled_from(Check.Result.values), DAYS), max_size=4
)
COPIES = st.tuples(st.sampled_from(Replica.State.values), CHECKS)
MIRRORS = st.tuples(st.booleans(), st.sampled_from(Mirror.State.values), st.lists(COPIES, min_size=2, max_size=2))


def version_with(*paths: str) -> tuple[Version, list[Asset]]:
    item = factories.item()
    return item.version, [factories.asset(item, path, key=f"data-{path}") for path in paths]


@pytest.mark.django_db
def test_a_mirror_is_a_copy_when_every_file_is_proved_there() -> None:
    version, files = version_with("a", "b")
    north, south = factories.mirror("north"), factories.mirror("south", operator="north operator", jurisdiction="US")
    for one in files:
        factories.proved(one, north)
    factories.proved(files[0], south)
    found = safety_of([version.pk], now=timezone.now())[version.pk]
    assert (found.files, found.size_bytes) == (2, sum(one.size_bytes for one in files))
    assert (found.copies, found.operators, found.countries) == (1, 1, 1)
    assert {one.mirror_id: one.files for one in found.holdings} == {north.pk: 2, south.pk: 1}
    factories.proved(files[1], south)
    found = safety_of([version.pk], now=timezone.now())[version.pk]
    assert (found.copies, found.operators, found.countries) == (2, 1, 2)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("operators", "countries", "grade"), [(3, 2, "safe"), (3, 1, "help"), (2, 2, "help"), (0, 0, "risk")]
)
def test_the_grade_follows_operators_and_countries(operators: int, countries: int, grade: str) -> None:
    version, files = version_with("a")
    for number in range(operators):
        mirror = factories.mirror(f"m{number}", jurisdiction=("CA", "US")[number % 2] if countries == 2 else "CA")
        factories.proved(files[0], mirror)
    assert safety_of([version.pk], now=timezone.now())[version.pk].grade == grade


def proved_days_ago(days: int, level: int = Check.Level.FULL) -> list[Any]:
    return [(level, Check.Result.PASSED, days)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("mirror", "state", "checks", "counts"),
    [
        ({}, "verified", proved_days_ago(1), True),
        ({}, "verified", proved_days_ago(1, Check.Level.CHECKSUM), True),
        ({}, "verified", [*proved_days_ago(1), (Check.Level.SIZE, Check.Result.DAMAGED, 5)], True),
        ({}, "verified", [*proved_days_ago(5), (Check.Level.SIZE, Check.Result.DAMAGED, 1)], False),
        ({}, "verified", proved_days_ago(1, Check.Level.SAMPLED), False),
        ({}, "verified", proved_days_ago(91), False),
        ({}, "verified", proved_days_ago(-1), False),
        ({}, "verified", [*proved_days_ago(-1), *proved_days_ago(1)], True),
        ({}, "verified", [], False),
        ({}, "damaged", proved_days_ago(1), False),
        ({"is_enabled": False}, "verified", proved_days_ago(1), False),
        ({"state": "silent"}, "verified", proved_days_ago(1), False),
        ({"state": "paused"}, "verified", proved_days_ago(1), False),
    ],
)
def test_only_what_may_be_offered_counts(mirror: dict[str, Any], state: str, checks: list[Any], counts: bool) -> None:  # noqa: FBT001  a row of the table
    now = timezone.now()
    version, files = version_with("a")
    replica = factories.replica(files[0], factories.mirror(**mirror), state)
    for level, result, days in checks:
        factories.check(replica, level, result, at=now - timedelta(days=days))
    assert bool(offers(files, now=now)[files[0].pk].offered) is counts
    assert safety_of([version.pk], now=now)[version.pk].copies == counts


@pytest.mark.django_db
def test_the_newest_proof_of_whole_copies_is_dated() -> None:
    version, files = version_with("a", "b")
    now = timezone.now()
    for days, one in ((9, files[0]), (3, files[1])):
        factories.check(
            factories.replica(one, Mirror.objects.first() or factories.mirror()), at=now - timedelta(days=days)
        )
    assert safety_of([version.pk], now=now)[version.pk].checked_at == now - timedelta(days=3)


@pytest.mark.django_db
def test_many_versions_cost_two_queries(django_assert_num_queries: Any) -> None:
    dataset, mirror = factories.dataset(), factories.mirror()
    versions = [factories.version(dataset, f"1.{number}.0") for number in range(5)]
    for version in versions:
        factories.proved(factories.asset(factories.item(version)), mirror)
    with django_assert_num_queries(2):
        found = safety_of([one.pk for one in versions], now=timezone.now())
    assert [found[one.pk].copies for one in versions] == [1] * 5
    assert safety_of([], now=timezone.now()) == {}


class TestTheDatabaseAgreesWithTheRanking(TestCase):
    @settings(max_examples=60)
    @given(st.lists(MIRRORS, min_size=1, max_size=3))
    def test_a_file_counts_where_it_is_offered(self, mirrors: list[Any]) -> None:
        now = timezone.now()
        version, files = version_with("a", "b")
        for number, (is_enabled, state, copies) in enumerate(mirrors):
            mirror = factories.mirror(f"m{number}", is_enabled=is_enabled, state=state)
            for asset, (copy_state, checks) in zip(files, copies, strict=True):
                replica = factories.replica(asset, mirror, copy_state)
                for level, result, days in checks:
                    factories.check(replica, level, result, at=now - timedelta(days=days))
        offered: dict[str, int] = {}
        for ranking in offers(files, now=now).values():
            for one in ranking.offered:
                offered[one.mirror] = offered.get(one.mirror, 0) + 1
        slugs = dict(Mirror.objects.values_list("pk", "slug"))
        found = safety_of([version.pk], now=now)[version.pk]
        assert {slugs[one.mirror_id]: one.files for one in found.holdings} == offered


@pytest.mark.django_db
def test_what_lies_in_a_sandbox_is_neither_a_copy_nor_offered() -> None:
    asset = factories.asset()
    factories.proved(asset, factories.mirror("trial", is_sandbox=True))
    version, now = asset.item.version, timezone.now()
    assert safety_of([version.pk], now=now)[version.pk].copies == 0
    assert offers([asset], now=now)[asset.pk].offered == ()
