"""A citation names who, when, what and where, in both languages, and BibTeX survives any title."""

import pytest

from catalog.citation import Citation

ONE = Citation("Provinces & territories_50 %", "v0.1.0-beta", "2026", "10.5072/d4c.9b19.v0.1.0-beta", "en")


def test_the_sentence_has_creator_year_title_version_kind_and_address() -> None:
    assert ONE.text == (
        "Data for Canada (2026). Provinces & territories_50 % (v0.1.0-beta) [Data set]. "
        "https://doi.org/10.5072/d4c.9b19.v0.1.0-beta"
    )


def test_it_is_french_in_french() -> None:
    french = Citation("Provinces", "v1.0.0", "2026", "10.5072/x", "fr")
    assert french.text.startswith("Données pour le Canada (2026). Provinces (v1.0.0) [Jeu de données].")


@pytest.mark.parametrize("title", ["100 % & more", "a_b#c$d", "{brace}", "back\\slash"])
def test_bibtex_escapes_what_has_a_meaning(title: str) -> None:
    entry = Citation(title, "v1.0.0", "2026", "10.5072/x-1", "en").bibtex
    assert entry.startswith("@misc{x-1,\n")
    assert entry.endswith("}\n")
    body = entry.replace("\\{", "").replace("\\}", "")
    assert body.count("{") == body.count("}")
    assert all(f"\\{mark}" in entry for mark in "%&_#$" if mark in title)
