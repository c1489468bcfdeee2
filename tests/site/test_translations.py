"""The French catalogue: whole, and left alone by the check."""

import shutil
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from dfc_site import translations

needs_xgettext = pytest.mark.skipif(shutil.which("xgettext") is None, reason="gettext is not installed")


@pytest.fixture(scope="module")
def used() -> set[str]:
    """Look through all rooms once, which takes seconds."""
    return translations.used()


@pytest.fixture
def own_catalogue(settings: Any, tmp_path: Any) -> Any:
    """A copy of the committed catalogue, which a test may spoil."""
    copy = tmp_path / "locale"
    shutil.copytree(translations.committed(), copy)
    settings.LOCALE_PATHS = [copy]
    return translations.catalogue(copy)


@needs_xgettext
def test_the_strings_of_every_room_are_found(used: set[str]) -> None:
    assert {"Make public", "Damaged", "Keep as draft", "See the evidence", "Torrents of this version"} <= used


@needs_xgettext
def test_the_check_changes_nothing() -> None:
    path = translations.catalogue(translations.committed())
    before = path.read_bytes()
    list(translations.findings())
    assert path.read_bytes() == before


@needs_xgettext
def test_a_string_without_its_entry_is_named(own_catalogue: Any) -> None:
    text = own_catalogue.read_text(encoding="utf-8")
    entry = 'msgid "See the evidence"\nmsgstr "Voir les preuves"\n'
    assert entry in text
    own_catalogue.write_text(text.replace(entry, ""), encoding="utf-8")
    with pytest.raises(CommandError, match=r"'See the evidence': used, but not in the catalogue"):
        call_command("translations", "check")


@needs_xgettext
@pytest.mark.parametrize(
    ("french", "finding"),
    [
        ("", "no French text"),
        ("Voir: preuves", "a colon without no-break space"),
        ("Voir les preuves !", "a space before ; ! or ?"),
        ("Voir «les preuves»", "guillemets without no-break space"),
        ("Voir %(what)s", "other placeholders"),
    ],
)
def test_a_wrong_french_text_is_named(
    own_catalogue: Any, used: set[str], monkeypatch: pytest.MonkeyPatch, french: str, finding: str
) -> None:
    monkeypatch.setattr(translations, "used", lambda: used)
    text = own_catalogue.read_text(encoding="utf-8")
    own_catalogue.write_text(text.replace('"Voir les preuves"', f'"{french}"'), encoding="utf-8")
    found = [line for line in translations.findings() if line.startswith("'See the evidence'")]
    assert any(finding in line for line in found), found
