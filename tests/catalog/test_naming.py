import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from catalog.naming import (
    PACKAGES,
    Code,
    Grade,
    Identifier,
    IdentifierError,
    compose,
    grade,
    parse,
    suggest,
)
from catalog.versions import VersionNumber

TABLES = Path(__file__).parent.parent / "data"
VANCOUVER = "ca-bc_vancouver-2022A00055915022_d4c-datapkg-orthoimagery_2022_075mm"
PARTS = Identifier("ca-bc", "vancouver", "2022A00055915022", "d4c-datapkg-orthoimagery", "2022", "075mm")


def rows(name: str) -> list[list[str]]:
    lines = (TABLES / name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


SAMPLES = rows("naming-samples.tsv")
REFUSED = [
    (text.encode("ascii").decode("unicode_escape"), expected, code)
    for text, expected, code in rows("refused-identifiers.tsv")
]
WORDS = st.from_regex(r"[a-z0-9]{1,9}(-[a-z0-9]{1,9}){0,2}", fullmatch=True)
IDENTIFIERS = st.builds(
    Identifier,
    region=st.sampled_from(["ca", "ca-bc", "ca-qc", "ca-nu", "us-wa", "gl"]),
    source=WORDS,
    dguid=st.sampled_from(
        ["2021A000011124", "2022A00055915022", "2021S05079320001.00", "2021S9999X", "2021A0011H2X"]
    ),
    package=st.sampled_from(PACKAGES),
    vintage=st.one_of(
        st.dates().map(str),
        st.sampled_from(["2021", "2024-06", "20260215T1542Z", "20260215T154200Z"]),
    ),
    variant=st.one_of(st.just(""), WORDS),
    version=st.one_of(
        st.none(),
        st.builds(VersionNumber, *[st.integers(0, 99)] * 3, st.sampled_from(["", "beta", "rc.1", "RC-2.x"])),
    ),
)
PIECES = (
    "ca ca-bc CA statcan red deer-2024A00054808011 x-2021A000011124 2021A000011124 2021a000011124 d4c-datapkg-x "
    "orthoimagery 2021 2024-06 2026-03-19 2026-02-15-1542 20260215T1542Z 075mm index test.gdb .tif v0.1.0-beta v2 "
    "V1.0.0 epsg3347 NAD83 a--b - latest 1.5m bc"
)
LIKELY_TEXTS = st.one_of(
    st.lists(st.sampled_from(["", *PACKAGES, *PIECES.split()]), min_size=1, max_size=8).map("_".join),
    st.sampled_from([text for text, *_ in SAMPLES + REFUSED]),
    st.from_regex(r"[a-zA-Z0-9._-]{0,60}", fullmatch=True),
    st.text(),
)


@pytest.mark.parametrize(("text", "expected"), SAMPLES)
def test_a_published_identifier_has_its_grade(text: str, expected: str) -> None:
    grading = grade(text)
    assert grading.grade == expected
    assert any(finding.breaks for finding in grading.findings) == (expected == "legacy")
    assert grading.identifier is not None
    if expected == "strict":
        assert compose(parse(text)) == text
    else:
        with pytest.raises(IdentifierError):
            parse(text)


@pytest.mark.parametrize(("text", "expected", "code"), REFUSED)
def test_what_a_new_identifier_may_not_be_has_its_finding(text: str, expected: str, code: str) -> None:
    grading = grade(text)
    assert grading.grade == expected
    assert code in {finding.code for finding in grading.findings if finding.breaks}
    with pytest.raises(IdentifierError, match=r"^Identifier '.*': \S.*[.`] ?") as caught:
        parse(text)
    assert caught.value.facts["identifier"] == text
    assert caught.value.facts["suggestion"] == grading.suggestion


def test_the_table_of_refusals_is_long_and_knows_most_codes() -> None:
    assert len(REFUSED) >= 40
    advisory = {Code.SUBDIVISION_UNCHECKED, Code.DGUID_SCHEMA_UNKNOWN, Code.DGUID_TYPE, Code.DGUID_REGION}
    assert set(Code) - advisory - {code for *_, code in REFUSED} == {Code.ROUND_TRIP}


def test_a_dataset_and_a_version_are_taken_apart_and_composed() -> None:
    version = replace(PARTS, version=VersionNumber(0, 1, 0, "beta"))
    assert parse(VANCOUVER) == PARTS
    assert parse(f"{VANCOUVER}_v0.1.0-beta") == version
    assert compose(version) == str(version) == f"{VANCOUVER}_v0.1.0-beta"
    assert version.dataset == PARTS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (VANCOUVER, VANCOUVER),
        (
            "ca_statcan_2021A000011124_d4c-datapkg-statistical_census_tracts_digital_2021_v0.1.0-beta",
            "ca_statcan-2021A000011124_d4c-datapkg-statistical_2021_census-tracts-digital_v0.1.0-beta",
        ),
        (
            "ca-ab_red_deer-2024A00054808011_orthoimagery_2024_075mm",
            "ca-ab_red-deer-2024A00054808011_d4c-datapkg-orthoimagery_2024_075mm",
        ),
        (
            "ca-bc_vancouver-2022A00055915022_d4c-datapkg-orthoimagery_index_2022_075mm_2026-03-09",
            f"{VANCOUVER}-index",
        ),
        (
            "ca-on_province_of_ontario-2024A000235_drape_eastern_ontario_orthoimagery_2024_16cm",
            "ca-on_province-of-ontario-2024A000235_d4c-datapkg-orthoimagery_2024_16cm-drape-eastern-ontario",
        ),
        (
            "ca_statcan_2021A000011124_d4c-datapkg-statistical_federal_electoral_districts_2013_representation_order_2021",
            "ca_statcan-2021A000011124_d4c-datapkg-statistical_2021_federal-electoral-districts-2013-representation-order",
        ),
        (
            "ca-on_x-2026A00053520005_d4c-datapkg-field-imagery_test_01_2026-02-15-1542-1742",
            "ca-on_x-2026A00053520005_d4c-datapkg-field-imagery_2026-02-15_1542-1742-test-01",
        ),
        (VANCOUVER.replace("ca-bc", "ca_bc"), VANCOUVER),
        (f"{VANCOUVER}_v0.1.0-beta.pmtiles", f"{VANCOUVER}_v0.1.0-beta"),
        (f"{VANCOUVER}-epsg-3005", VANCOUVER),
        (f"{VANCOUVER}_nad83", VANCOUVER),
        (VANCOUVER.replace("2022A", "2022a").replace("vancouver", "Vancouver"), VANCOUVER),
    ],
)
def test_a_known_slip_has_its_canonical_form(text: str, expected: str) -> None:
    assert suggest(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "ca_nrcan_land_cover_2020_30m",
        "ca-bc_burnaby-2020A00055915025",
        "ca-yt_whitehorse-2019A000556001009_d4c-datapkg-orthoimagery_2019_200mm_v0.1.0-beta",
        "ca_versatiles-2021A000011124_d4c-datapkg-orthoimagery_2025-08-10",
        f"{VANCOUVER}_v1.0",
        f"{VANCOUVER}_v1.0.0_index",
        f"{VANCOUVER}_vlatest",
        VANCOUVER.replace("2022_075mm", "latest_2022_utm10"),
        VANCOUVER.replace("075mm", "1.5m"),
        VANCOUVER.replace("orthoimagery", "satellites"),
        "",
    ],
)
def test_a_missing_part_is_never_guessed(text: str) -> None:
    assert suggest(text) is None


def test_every_published_slip_that_has_all_parts_has_a_suggestion() -> None:
    suggested = [suggest(text) for text, expected in SAMPLES if expected == "legacy"]
    strict = [text for text in suggested if text is not None]
    assert len(strict) > 70
    assert all(grade(text).grade is Grade.STRICT for text in strict)


def test_the_readable_parts_of_a_legacy_identifier_are_kept() -> None:
    grading = grade("ca_nrcan_land_cover_2020_30m")
    assert grading.identifier == Identifier("ca", "nrcan", "", "", "2020", "30m-land-cover")
    assert grade("ca-yt_whitehorse-2019A000556001009").identifier == Identifier(
        "ca-yt", "whitehorse", "2019A000556001009", "", ""
    )
    assert grade("___").identifier is None


def test_a_refusal_says_the_finding_and_what_to_write_instead() -> None:
    with pytest.raises(IdentifierError, match=r"follows an underscore.* Write `ca_statcan-2021A000011124_"):
        parse("ca_statcan_2021A000011124_d4c-datapkg-foundation_2021_road-network")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (VANCOUVER.replace("ca-bc", "us-wa"), Code.SUBDIVISION_UNCHECKED),
        (VANCOUVER.replace("ca-bc", "ca-on"), Code.DGUID_REGION),
        (VANCOUVER.replace("2022A0005", "2022S9999"), Code.DGUID_SCHEMA_UNKNOWN),
        (VANCOUVER.replace("2022A", "2022S"), Code.DGUID_TYPE),
    ],
)
def test_what_is_only_worth_a_look_stays_strict(text: str, code: Code) -> None:
    grading = grade(text)
    assert grading.grade is Grade.STRICT
    assert [finding.code for finding in grading.findings] == [code]
    assert compose(parse(text)) == text


@pytest.mark.parametrize(
    "change",
    [
        {"region": "CA"},
        {"region": ""},
        {"source": "red_deer"},
        {"source": ""},
        {"source": "a" * 81},
        {"dguid": ""},
        {"package": "orthoimagery"},
        {"vintage": "2022-00"},
        {"vintage": "2022-1-1"},
        {"variant": ""},
        {"variant": "075mm_index"},
        {"variant": "v1"},
        {"variant": "latest"},
        {"variant": "075mm-wgs84"},
        {"variant": "2023"},
        {"variant": "075mm\n"},
    ],
)
def test_parts_that_would_not_parse_back_are_not_composed(change: dict[str, str]) -> None:
    parts = {name: getattr(PARTS, name) for name in ("region", "source", "dguid", "package", "vintage", "variant")}
    with pytest.raises(IdentifierError):
        compose(Identifier(**(parts | change)))


@given(IDENTIFIERS)
def test_whatever_composes_parses_back_to_itself(identifier: Identifier) -> None:
    try:
        text = compose(identifier)
    except IdentifierError:
        assume(False)
    assert parse(text) == identifier
    assert suggest(text) == text


@given(LIKELY_TEXTS)
@example(VANCOUVER)
def test_whatever_parses_composes_to_the_same_text(text: str) -> None:
    grading = grade(text)
    if grading.grade is Grade.STRICT:
        assert compose(parse(text)) == text
        assert grading.suggestion is None
    else:
        assert any(finding.breaks for finding in grading.findings)


@given(LIKELY_TEXTS)
def test_whatever_is_suggested_is_strict_and_safe(text: str) -> None:
    suggestion = suggest(text)
    if suggestion is not None:
        assert grade(suggestion).grade is Grade.STRICT
        assert re.fullmatch(r"[a-zA-Z0-9._-]{1,200}", suggestion)


@given(LIKELY_TEXTS)
def test_an_imported_identifier_is_safe_and_its_parts_fit_their_columns(text: str) -> None:
    grading = grade(text)
    if grading.grade is not Grade.REFUSED:
        assert re.fullmatch(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,199}", text)
        assert ".." not in text
    if grading.identifier:
        limits = {"region": 8, "source": 80, "dguid": 24, "package": 60, "vintage": 32, "variant": 80}
        assert all(len(getattr(grading.identifier, part)) <= limit for part, limit in limits.items())


@pytest.mark.parametrize(
    "piece", ["a", "_", "-", ".", "2021-", "v1.", "x-2021A0000", "\ud800", ".tif", "epsg-", "\n"]
)
def test_a_text_of_any_length_is_graded_at_once(piece: str) -> None:
    started = time.perf_counter()
    for length in (190, 100_000):
        grade((piece * length)[:length])
    assert time.perf_counter() - started < 1
