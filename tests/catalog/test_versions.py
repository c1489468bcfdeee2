import re

import pytest
import semver
from hypothesis import given
from hypothesis import strategies as st

from catalog.versions import VersionNumber, VersionNumberError, latest, parse

# The order of SemVer 2.0.0, section 11, and what the sorting key has to get right beside it.
IN_ORDER = (
    "0.1.0-beta 0.1.0 0.2.0 0.10.0 1.0.0-0 1.0.0-2 1.0.0-10 1.0.0-10.a 1.0.0--1 1.0.0-1a 1.0.0-A 1.0.0-alpha "
    "1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-alpha0 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 "
    "2.0.0 10.0.0 999999999.0.0"
)
NUMBER_PARTS = st.integers(0, 999_999_999)
WORDS = st.from_regex(r"[0-9A-Za-z-]{0,8}[A-Za-z-][0-9A-Za-z-]{0,3}", fullmatch=True)
PRERELEASES = (
    st.lists(st.one_of(WORDS, NUMBER_PARTS.map(str)), max_size=6).map(".".join).filter(lambda text: len(text) <= 40)
)
SMALL = st.integers(0, 12)
VERSIONS = st.one_of(
    st.builds(VersionNumber, NUMBER_PARTS, NUMBER_PARTS, NUMBER_PARTS, PRERELEASES),
    st.builds(VersionNumber, SMALL, SMALL, SMALL, PRERELEASES),
    st.builds(VersionNumber, st.just(1), st.just(0), st.just(0), PRERELEASES),
)


@pytest.mark.parametrize("text", ["0.1.0-beta", "v0.1.0-beta"])
def test_a_number_is_read_with_and_without_v(text: str) -> None:
    number = parse(text)
    assert (number.major, number.minor, number.patch, number.prerelease) == (0, 1, 0, "beta")
    assert str(number) == "0.1.0-beta"
    assert number.shown == "v0.1.0-beta"
    assert not number.is_stable


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1.0.0+build", "build-metadata"),
        ("v1.0.0-rc.1+5", "build-metadata"),
        ("latest", "latest"),
        ("vlatest", "latest"),
        ("Latest", "latest"),
        ("", "character"),
        ("v", "character"),
        (" 1.0.0", "character"),
        ("1.0.0\n", "character"),
        ("1.0.0-b\u00eata", "character"),
        ("\u0661.0.0", "character"),
        ("1.0.0_1", "character"),
        ("01.0.0", "shape"),
        ("1.0.0-01", "shape"),
        ("1.0", "shape"),
        ("1", "shape"),
        ("1.0.0.0", "shape"),
        ("1.0.0-", "shape"),
        ("1.0.0-a..b", "shape"),
        ("-1.0.0", "shape"),
        ("V1.0.0", "shape"),
        ("vv1.0.0", "shape"),
        ("2026-03-19", "shape"),
        ("1234567890.0.0", "too-large"),
        ("1.0.0-1234567890", "too-large"),
        ("1.0.0-a.1234567890", "too-large"),
        ("1.0.0-" + "a" * 41, "too-long"),
        pytest.param("1" * 100_000, "too-long", id="100000 digits"),
    ],
)
def test_what_is_no_number_of_ours_is_refused_with_a_sentence(text: str, code: str) -> None:
    with pytest.raises(VersionNumberError, match=r"Write three numbers") as caught:
        parse(text)
    assert caught.value.facts == {"text": text, "code": code}
    assert len(str(caught.value)) < 1200


@pytest.mark.parametrize("parts", [(-1, 0, 0, ""), (1, 0, 0, "01"), (1, 0, 0, "a+b"), (10**9, 0, 0, "")])
def test_parts_that_would_not_read_back_make_no_number(parts: tuple[int, int, int, str]) -> None:
    with pytest.raises(VersionNumberError):
        VersionNumber(*parts)


def test_the_key_sorts_the_order_of_the_standard() -> None:
    expected = IN_ORDER.split()
    assert sorted(set(expected), key=lambda text: parse(text).precedence) == expected


@given(VERSIONS, VERSIONS)
def test_the_key_agrees_with_semver_on_any_two_numbers(one: VersionNumber, other: VersionNumber) -> None:
    ours = (one.precedence > other.precedence) - (one.precedence < other.precedence)
    assert ours == semver.Version.parse(str(one)).compare(str(other))


@given(VERSIONS)
def test_a_number_reads_back_and_its_key_fits_any_collation(number: VersionNumber) -> None:
    assert parse(str(number)) == parse(number.shown) == number
    assert re.fullmatch(r"[0-9a-f]{1,200}", number.precedence)
    assert len(str(number)) <= 80


@pytest.mark.parametrize("prerelease", [".".join("a" * 20), ".".join("1" * 20), "-" * 40, ".".join(["9" * 9] * 4)])
def test_the_longest_keys_fit_their_column(prerelease: str) -> None:
    assert len(VersionNumber(999_999_999, 999_999_999, 999_999_999, prerelease).precedence) <= 200


@given(st.text())
def test_any_text_is_a_number_or_a_refusal(text: str) -> None:
    try:
        number = parse(text)
    except VersionNumberError:
        return
    assert text in {str(number), number.shown}


def test_the_latest_is_stable_where_there_is_a_stable_one() -> None:
    numbers = [parse(text) for text in ("0.9.0", "1.0.0", "2.0.0-rc.1")]
    assert latest(numbers) == parse("1.0.0")
    assert latest(iter(numbers)) == parse("1.0.0")


def test_the_latest_of_pre_releases_is_the_highest_of_them() -> None:
    assert latest([parse("0.1.0-beta.2"), parse("0.1.0-beta.11"), parse("0.1.0-alpha")]) == parse("0.1.0-beta.11")
    assert latest([]) is None
