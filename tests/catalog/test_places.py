"""Places have a name in each language, and the table of municipalities agrees with the table of provinces."""

import pytest

from catalog.naming.regions import SGC_PROVINCES
from catalog.places import MUNICIPALITIES, REGIONS, municipality_name, names_of, place_name, region_name


def test_every_province_and_territory_has_a_name_in_both_languages() -> None:
    assert set(REGIONS) == {"ca"} | {f"ca-{letters}" for letters in SGC_PROVINCES}
    assert all(english and french for english, french in REGIONS.values())


def test_every_municipality_lies_in_a_province() -> None:
    assert all(len(code) == 7 and code.isdecimal() for code in MUNICIPALITIES)
    assert {code[:2] for code in MUNICIPALITIES} <= set(SGC_PROVINCES.values())


@pytest.mark.parametrize(
    ("region", "dguid", "language", "name"),
    [
        ("ca-bc", "2022A00055915022", "en", "Vancouver, British Columbia"),
        ("ca-bc", "2022A00055915022", "fr", "Vancouver, Colombie-Britannique"),
        ("ca-qc", "2021A00052423027", "en", "Quebec City, Quebec"),
        ("ca-qc", "2021A00052423027", "fr", "Québec, Québec"),
        ("ca", "2021A000011124", "fr", "Canada"),
        ("ca-on", "2021A00059999999", "en", "Ontario"),
        ("us-ak", "", "en", "US-AK"),
        ("", "", "en", ""),
    ],
)
def test_a_place_is_named(region: str, dguid: str, language: str, name: str) -> None:
    assert place_name(region, dguid, language) == name


def test_the_code_of_another_kind_of_area_names_no_municipality() -> None:
    assert municipality_name("2021S05125915022", "en") == ""
    assert names_of("ca-yt", "2021A000260") == ("Yukon", "Yukon", "", "")
    assert region_name("ca-nu", "fr") == "Nunavut"
