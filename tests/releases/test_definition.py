"""A release.toml is read whole or refused with every finding."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.drafts.definition import MAX_BYTES, read_definition
from releases.errors import DefinitionError

EXAMPLES = sorted(Path("examples").glob("*/release*.toml"))
TEXT = Path("examples/natural-earth-provinces/release.toml").read_text(encoding="utf-8")

WRONG = [
    ("identifier", 'identifier = "ca_natural-earth', 'identifier = "ca_natural earth', "dataset.identifier"),
    ("version in the identifier", '-50m"\ntitle', '-50m_v1.0.0"\ntitle', "version.number"),
    ("build metadata", 'number = "0.1.0-beta"', 'number = "0.1.0+build"', "version.number"),
    ("number called latest", 'number = "0.1.0-beta"', 'number = "latest"', "version.number"),
    ("short commit", 'commit = "b3f65cc0', 'commit = "', "recipe.commit"),
    ("path with ..", 'entry_point = "build.py"', 'entry_point = "../build.py"', "recipe.entry_point"),
    ("absolute path", 'environment = "requirements.lock"', 'environment = "/etc/passwd"', "recipe.environment"),
    ("reserved suffix", '_v0.1.0-beta.csv"\nkey', '_v0.1.0-beta.torrent"\nkey', "outputs"),
    ("key twice", 'key = "data-2"', 'key = "data"', "key 'data' stands 2 times"),
    ("unknown key", 'key = "data-2"', 'key = "extra"', "outputs[1].key"),
    ("digest in upper case", 'sha256 = "118de8e0', 'sha256 = "118DE8E0', "sources[0].sha256"),
    ("no French title", ', fr = "Provinces et territoires du Canada, 1:50 millions"', "", "'fr' is a required"),
    (
        "blank French title",
        'fr = "Provinces et territoires du Canada, 1:50 millions"',
        'fr = " "',
        "dataset.title.fr",
    ),
    ("box upside down", "41.66, -52.64, 83.12", "83.12, -52.64, 41.66", "dataset.bbox"),
    ("time backwards", 'end = "2022-12-31"', 'end = "2021-12-31"', "dataset.time"),
    ("no such day", 'end = "2022-12-31"', 'end = "2022-02-30"', "dataset.time"),
    ("unknown field", "[recipe.parameters]", 'colour = "red"\n[recipe.parameters]', "'colour' was unexpected"),
    ("repository path", 'repository = "natural-earth', 'repository = "../natural-earth', "recipe.repository"),
    ("unconfirmed without reason", "confirm = true", "confirm = false", "policy.confirm"),
    ("a date as parameter", "[recipe.parameters]", "[recipe.parameters]\nday = 2022-01-01", "recipe.parameters"),
]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_example_is_read(path: Path) -> None:
    definition = read_definition(path.read_text(encoding="utf-8"))
    assert f'identifier = "{definition.dataset.identifier}"' in definition.text
    assert definition.text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("old", "new", "named"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_field_is_refused_by_its_name(old: str, new: str, named: str) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(DefinitionError) as refusal:
        read_definition(TEXT.replace(old, new))
    assert named in str(refusal.value)
    assert len(refusal.value.facts["findings"]) >= 1  # type: ignore[arg-type]


def test_every_finding_is_reported_at_once() -> None:
    text = TEXT.replace('role = "producer"', 'role = "maker"').replace('key = "data-2"', 'key = "extra"')
    with pytest.raises(DefinitionError) as refusal:
        read_definition(text)
    assert len(refusal.value.facts["findings"]) == 2  # type: ignore[arg-type]
    assert "2 to correct, nothing was kept" in str(refusal.value)


def test_what_is_no_toml_is_refused_with_the_place() -> None:
    with pytest.raises(DefinitionError, match=r"not valid TOML.*line 1"):
        read_definition("[dataset\n")


def test_a_file_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(DefinitionError, match="longer than"):
        read_definition("#" * (MAX_BYTES + 1))


@given(st.text(max_size=300))
def test_no_text_at_all_makes_it_crash(text: str) -> None:
    with pytest.raises(DefinitionError):
        read_definition(text)


@given(st.integers(min_value=0, max_value=len(TEXT) - 1), st.characters())
def test_one_changed_character_is_read_or_refused(position: int, character: str) -> None:
    text = TEXT[:position] + character + TEXT[position + 1 :]
    with suppress(DefinitionError):
        assert read_definition(text).text == text
