import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.naming import Code, Dguid, IdentifierError, check_dguid, parse_dguid


def codes(text: str, region: str = "") -> list[str]:
    return [finding.code for finding in check_dguid(text, region=region)]


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("2021A000011124", "country"),
        ("2021A00011", "geographic region"),
        ("2024A000235", "province or territory"),
        ("2021A00033520", "census division"),
        ("2013A000435108", "federal electoral district"),
        ("2022A00055915022", "census subdivision"),
        ("2021A0006590225", "designated place"),
        ("2021A0011H2X", "forward sortation area"),
        ("2021S05001010", "economic region"),
        ("2021S05014810", "census agricultural region"),
        ("2021S05024810036", "census consolidated subdivision"),
        ("2021S0503535", "census metropolitan area"),
        ("2021S0504010", "census agglomeration"),
        ("2021S050524505", "census metropolitan area or agglomeration, part"),
        ("2021S05079320001.00", "census tract"),
        ("2021S05101438", "population centre"),
        ("2021S051260010118", "dissemination area"),
        ("2021S051360010118001", "dissemination block"),
        ("2021S051610010001", "aggregate dissemination area"),
    ],
)
def test_a_published_dguid_is_read_without_a_finding(text: str, level: str) -> None:
    assert codes(text) == []
    assert parse_dguid(text).level == level
    assert str(parse_dguid(text)) == text


def test_the_four_parts_keep_their_zeros() -> None:
    assert parse_dguid("2021A000011124") == Dguid("2021", "A", "0000", "11124")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", Code.DGUID_MISSING),
        ("2021", Code.DGUID_SHAPE),
        ("2021A0000", Code.DGUID_SHAPE),
        ("21A000011124", Code.DGUID_SHAPE),
        ("2021AA00011124", Code.DGUID_SHAPE),
        ("2021-A000011124", Code.DGUID_SHAPE),
        ("2021A000011124\n", Code.DGUID_SHAPE),
        ("\u0662\u0660\u0662\u0661A000011124", Code.DGUID_SHAPE),
        ("2021\u0410000011124", Code.DGUID_SHAPE),
        ("2021A9999" + "1" * 16, Code.DGUID_SHAPE),
        ("2021a000011124", Code.DGUID_LETTER),
        ("2021A0011h2x", Code.DGUID_LETTER),
        ("2021A00001112", Code.DGUID_CODE),
        ("2021A00023", Code.DGUID_CODE),
        ("2019A000556001009", Code.DGUID_CODE),
        ("2021A0005591502A", Code.DGUID_CODE),
        ("2021S050793200010", Code.DGUID_CODE),
        ("2021S051112", Code.DGUID_SCHEMA_UNKNOWN),
    ],
)
def test_a_malformed_dguid_has_its_finding(text: str, code: Code) -> None:
    assert codes(text) == [code]


def test_a_digit_too_many_names_the_code_the_level_and_the_shape() -> None:
    with pytest.raises(IdentifierError, match=r"`56001009` .*census subdivision.* 7 digits") as caught:
        parse_dguid("2019A000556001009")
    assert caught.value.facts["identifier"] == "2019A000556001009"


def test_an_unknown_schema_is_a_finding_and_no_refusal() -> None:
    (finding,) = check_dguid("2021S9999ABC1")
    assert not finding.breaks
    assert parse_dguid("2021S9999ABC1").level is None


def test_an_unusual_letter_is_worth_a_look() -> None:
    (finding,) = check_dguid("2021S000235")
    assert (finding.code, finding.breaks) == (Code.DGUID_TYPE, False)
    assert finding.facts["letter"] == "A"


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("2022A00055915022", "ca-bc", []),
        ("2022A00055915022", "ca-ab", ["dguid-region"]),
        ("2022A00055915022", "ca", []),
        ("2021A000011124", "ca-ab", []),
        ("2021S0503535", "ca-on", []),
        ("2021A000235", "us-wa", []),
    ],
)
def test_a_dguid_of_another_province_is_worth_a_look(text: str, region: str, expected: list[str]) -> None:
    assert codes(text, region) == expected


@given(st.one_of(st.text(), st.from_regex(r"[0-9]{4}[A-Za-z][0-9]{4}[0-9A-Za-z.]{1,16}", fullmatch=True)))
def test_any_text_is_read_back_exactly_or_refused(text: str) -> None:
    broken = any(finding.breaks for finding in check_dguid(text))
    if broken:
        with pytest.raises(IdentifierError):
            parse_dguid(text)
    else:
        assert str(parse_dguid(text)) == text
