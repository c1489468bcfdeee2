"""Choosing a copy: who is offered, in which order, and why the others are not."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrors.selection import CLOCK_SKEW, PROVING_LEVELS, TIERS, Candidate, Client, Ranking, rank

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
AGE = timedelta(days=90)
FILE = "f" * 64
GOOD = Candidate(
    mirror="north",
    mirror_name="North",
    operator="North operator",
    jurisdiction="CA",
    tier="primary",
    url="https://north.example.org/roads.bin",
    is_enabled=True,
    mirror_state="answers",
    offers_web_seed=True,
    state="verified",
    proved_at=NOW - timedelta(days=1),
    proved_level=4,
    failed_at=None,
)
STATES = ("pending", "stored", "verified", "damaged", "missing")
INSTANTS = st.none() | st.integers(-200, 2).map(lambda days: NOW + timedelta(days=days))
CANDIDATES = st.lists(
    st.builds(
        replace,
        st.just(GOOD),
        mirror=st.sampled_from([f"m{number}" for number in range(12)]),
        tier=st.sampled_from((*TIERS, "unheard-of")),
        is_enabled=st.integers(0, 3).map(bool),
        mirror_state=st.sampled_from(("answers",) * 4 + ("silent", "paused")),
        state=st.sampled_from(("verified",) * 5 + STATES),
        proved_at=INSTANTS,
        proved_level=st.sampled_from((None, 0, 1, 2, 3, 4, 4, 4)),
        failed_at=INSTANTS,
        is_in_draft=st.integers(0, 5).map(lambda number: not number),
    ),
    unique_by=lambda one: one.mirror,
    max_size=12,
)
CLIENTS = st.builds(
    Client, key=st.sampled_from(["", "192.0.2.0/24", "2001:db8::/48"]), wanted=st.sampled_from(["", "m1", "absent"])
)


def ranked(*candidates: Candidate, client: Client | None = None, file: str = FILE) -> Ranking:
    return rank(candidates, client or Client(key="192.0.2.0/24"), file=file, now=NOW, age=AGE)


def order(ranking: Ranking) -> list[str]:
    return [one.mirror for one in ranking.offered]


def code(candidate: Candidate) -> str | None:
    """Give the code of why one copy is not offered, None if it is."""
    ranking = ranked(candidate)
    return ranking.excluded[0].code if ranking.excluded else None


def named(*mirrors: str) -> list[Candidate]:
    return [replace(GOOD, mirror=mirror) for mirror in mirrors]


@given(candidates=CANDIDATES, client=CLIENTS)
def test_each_copy_is_offered_or_excluded_with_a_reason_and_never_both(
    candidates: list[Candidate], client: Client
) -> None:
    ranking = ranked(*candidates, client=client)
    shown = [*ranking.offered, *(one.candidate for one in ranking.excluded)]
    assert Counter(shown) == Counter(candidates)
    assert all(one.code and one.reason for one in ranking.excluded)


@given(candidates=CANDIDATES, client=CLIENTS)
def test_what_is_offered_is_proved_recently_and_by_nothing_less_than_a_checksum(
    candidates: list[Candidate], client: Client
) -> None:
    for one in ranked(*candidates, client=client).offered:
        assert one.is_enabled
        assert one.mirror_state == "answers"
        assert not one.is_in_draft
        assert one.state == "verified"
        assert one.proved_level in {2, 4}
        assert one.proved_at is not None
        assert NOW - AGE <= one.proved_at <= NOW + timedelta(hours=1)
        assert one.failed_at is None or one.failed_at < one.proved_at


@given(candidates=CANDIDATES, client=CLIENTS)
def test_whoever_is_good_is_offered_whatever_the_others_are(candidates: list[Candidate], client: Client) -> None:
    ranking = ranked(GOOD, *candidates, client=client)
    assert GOOD in ranking.offered


@given(candidates=CANDIDATES, client=CLIENTS, data=st.data())
def test_the_order_does_not_depend_on_the_order_of_the_rows(
    candidates: list[Candidate], client: Client, data: st.DataObject
) -> None:
    mixed = data.draw(st.permutations(candidates))
    assert ranked(*mixed, client=client).offered == ranked(*candidates, client=client).offered


@given(candidates=CANDIDATES, client=CLIENTS)
def test_tiers_come_in_their_order_behind_the_wanted_mirror(candidates: list[Candidate], client: Client) -> None:
    offered = ranked(*candidates, client=client).offered
    places = [(*TIERS, "unheard-of").index(one.tier) for one in offered if one.mirror != client.wanted]
    assert places == sorted(places)
    if client.wanted in {one.mirror for one in offered}:
        assert offered[0].mirror == client.wanted


@given(candidates=CANDIDATES, client=CLIENTS, lost=st.integers(0, 11))
def test_the_loss_of_one_mirror_does_not_reorder_the_others(
    candidates: list[Candidate], client: Client, lost: int
) -> None:
    gone = f"m{lost}"
    kept = [one for one in candidates if one.mirror != gone]
    before = [mirror for mirror in order(ranked(*candidates, client=client)) if mirror != gone]
    assert order(ranked(*kept, client=client)) == before


def test_one_client_stays_with_one_mirror_and_another_file_may_go_elsewhere() -> None:
    candidates = named("a", "b", "c", "d")
    assert len({tuple(order(ranked(*candidates))) for _ in range(5)}) == 1
    assert len({order(ranked(*candidates, file=f"{number:064x}"))[0] for number in range(60)}) == 4


def test_many_clients_spread_evenly() -> None:
    candidates = named("a", "b", "c", "d")
    clients = [Client(key=f"10.{number // 250}.{number % 250}.0/24") for number in range(2000)]
    chosen = Counter(order(ranked(*candidates, client=client))[0] for client in clients)
    assert set(chosen) == {"a", "b", "c", "d"}
    assert all(400 <= count <= 600 for count in chosen.values())


def test_the_wanted_mirror_comes_first_though_its_tier_is_last() -> None:
    candidates = [GOOD, replace(GOOD, mirror="far", tier="community")]
    assert order(ranked(*candidates)) == ["north", "far"]
    assert order(ranked(*candidates, client=Client(wanted="far"))) == ["far", "north"]
    assert order(ranked(*candidates, client=Client(wanted="absent"))) == ["north", "far"]


def test_a_wanted_mirror_is_not_offered_if_its_copy_is_bad() -> None:
    bad = replace(GOOD, mirror="far", state="damaged")
    assert order(ranked(GOOD, bad, client=Client(wanted="far"))) == ["north"]


def test_with_no_good_copy_none_is_offered() -> None:
    assert ranked() == Ranking(offered=(), excluded=())
    assert ranked(replace(GOOD, state="damaged")).offered == ()


@pytest.mark.parametrize("state", [state for state in STATES if state != "verified"])
def test_a_copy_that_is_not_verified_is_excluded_under_the_name_of_its_state(state: str) -> None:
    assert code(replace(GOOD, state=state)) == state


def test_a_mirror_out_of_service_is_not_offered() -> None:
    assert code(replace(GOOD, is_enabled=False)) == "disabled"
    assert code(replace(GOOD, is_in_draft=True)) == "draft"
    assert code(GOOD) is None


@pytest.mark.parametrize("state", ["silent", "paused"])
def test_a_mirror_that_is_silent_or_paused_is_not_offered_and_says_why(state: str) -> None:
    ranking = ranked(GOOD, replace(GOOD, mirror="far", mirror_state=state), client=Client(wanted="far"))
    assert order(ranking) == ["north"]
    assert [one.code for one in ranking.excluded] == [state]
    assert code(replace(GOOD, mirror_state=state, state="damaged")) in {"paused", "damaged"}


@pytest.mark.parametrize(("level", "expected"), [(None, "unproved"), (0, "unproved"), (1, "unproved"), (2, None)])
def test_sizes_and_listings_prove_nothing(level: int | None, expected: str | None) -> None:
    assert code(replace(GOOD, proved_level=level)) == expected


def test_sampled_ranges_alone_never_suffice() -> None:
    assert code(replace(GOOD, proved_level=3)) == "unproved"
    assert code(replace(GOOD, proved_at=None, proved_level=None)) == "unproved"
    assert {2, 4} == PROVING_LEVELS


def test_a_proof_older_than_the_age_is_due() -> None:
    assert code(replace(GOOD, proved_at=NOW - AGE)) is None
    assert code(replace(GOOD, proved_at=NOW - AGE - timedelta(seconds=1))) == "due"


def test_a_failure_excludes_until_a_newer_proof() -> None:
    proved_at = NOW - timedelta(days=1)
    assert code(replace(GOOD, proved_at=proved_at, failed_at=proved_at + timedelta(seconds=1))) == "failed"
    assert code(replace(GOOD, proved_at=proved_at, failed_at=proved_at)) == "failed"
    assert code(replace(GOOD, proved_at=proved_at, failed_at=proved_at - timedelta(seconds=1))) is None


def test_a_proof_of_the_future_proves_nothing_but_clocks_may_differ_a_little() -> None:
    assert code(replace(GOOD, proved_at=NOW + CLOCK_SKEW)) is None
    assert code(replace(GOOD, proved_at=NOW + CLOCK_SKEW + timedelta(seconds=1))) == "future"
    assert code(replace(GOOD, proved_at=NOW + timedelta(days=365))) == "future"
