"""An edition is compared with the one before it, and the change asks for the right number."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from catalog.storage.connect import own_storage
from releases.models import Release, Step
from releases.reviews.findings import sentence
from releases.reviews.review_diff import make_diff
from tests import factories
from tests.releases.diff.editions import (
    TOWNS,
    Change,
    as_it_is,
    body,
    bump,
    edition,
    found_in,
    newest,
    public,
)
from tests.releases.recipes import author_fixture, bench_fixture  # noqa: F401  fixtures

pytestmark = pytest.mark.django_db

RENAMED = TOWNS.replace("people", "population")
FIXED = TOWNS.replace("14000", "14001")
MORE = TOWNS + "4,Delta,108000\n"
WIDER = "id,name,people,area\n1,Alma,30000,5\n2,Banff,8000,6\n3,Comox,14000,7\n"
SECOND_FILE = "(given.out / 'more.csv').write_text('id\\n1\\n')\n"
SECOND_OUTPUT = '\n[[outputs]]\npath = "more.csv"\nkey = "data-2"\nrole = "data"\nmedia_type = "text/csv"\n'


def swap(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


def with_notes(change: Change) -> Change:
    return lambda text: change(text.replace('en = "First.", fr = "Première."', 'en = "Second.", fr = "Deuxième."'))


NEW_LICENCE = swap('id = "CC0-1.0"', 'id = "CC-BY-4.0"')
SAME_TEXT = swap('fr = "Des mots, un par ligne."', 'fr = "Words, one a line."')
LARGER = swap("bbox = [-80.0,", "bbox = [-81.0,")
KINDS: dict[str, tuple[str, Change, str, str]] = {
    "column renamed": (RENAMED, as_it_is, "column-renamed", "2.0.0"),
    "another licence": (TOWNS, NEW_LICENCE, "licence-changed", "2.0.0"),
    "rows added": (MORE, as_it_is, "keys-added", "1.1.0"),
    "column added": (WIDER, as_it_is, "column-added", "1.1.0"),
    "footprint grown": (TOWNS, LARGER, "footprint-grew", "1.1.0"),
    "translation missing": (FIXED, SAME_TEXT, "translation-missing", "1.0.1"),
    "values fixed": (FIXED, as_it_is, "", "1.0.1"),
}


@pytest.fixture(name="first")
def first_fixture(bench: Path, author: Any) -> Release:
    release = edition(author, bench, "1.0.0")
    public(release)
    return release


def test_each_kind_of_change_asks_for_its_number(first: Release, bench: Path, author: Any) -> None:
    for place, (kind, (towns, change, code, proposed)) in enumerate(KINDS.items()):
        second = edition(author, bench, f"1.0.1-a{place}", towns, change=with_notes(change))
        assert bump(second)[1:] == (proposed, proposed == "1.0.1"), kind
        found = found_in(second)
        assert ("number-too-small" in found) is (proposed != "1.0.1"), kind
        assert not code or code in found, kind
        assert all(sentence(one) for one in found.values()), kind


def test_a_first_edition_has_nothing_to_compare_with(bench: Path, author: Any) -> None:
    release = edition(author, bench, "1.0.0")
    assert newest(release).against is None
    assert bump(release) == ("", "1.0.0", True)
    assert set(found_in(release)) == {"first-edition"}
    assert body(release)["totals"]["rows"] == {"before": 0, "after": 3}


def test_a_file_that_comes_adds_and_one_that_goes_breaks(first: Release, bench: Path, author: Any) -> None:
    def with_second(text: str) -> str:
        return text + SECOND_OUTPUT

    second = edition(author, bench, "1.1.0", TOWNS, change=with_second, more=SECOND_FILE)
    assert bump(second) == ("minor", "1.1.0", True)
    assert found_in(second)["file-added"].file == "more.csv"
    public(second)
    third = edition(author, bench, "1.2.0")
    assert bump(third) == ("major", "2.0.0", False)
    assert found_in(third)["file-removed"].file == "more.csv"


def test_recipe_and_environment_are_compared(first: Release, bench: Path, author: Any) -> None:
    second = edition(author, bench, "1.0.1", FIXED, change=swap('colour = "red"', 'colour = "blue"'))
    found = body(second)["comparison"]["recipe"]
    assert found["parameters"] == [{"name": "colour", "before": "red", "after": "blue"}]
    assert "build.py" in found["code"]["summary"]
    assert "-target.write_text('id,name,people\\n1,Alma" in found["code"]["patch"]
    assert "notes-unchanged" in found_in(second)


def test_the_same_two_editions_give_the_same_digest_and_one_row(first: Release, bench: Path, author: Any) -> None:
    second = edition(author, bench, "1.0.1", FIXED)
    before = newest(second)
    make_diff(factories.step("releases.reviews.review_diff.make_diff", second.pk), second.pk)
    after = second.diffs.get()
    assert (after.sha256, after.body) == (before.sha256, before.body)
    assert after.sha256 == hashlib.sha256(after.body.encode()).hexdigest()
    codes = list(second.findings.values_list("code", flat=True))
    assert len(codes) == len(set(codes))


def test_bytes_that_are_gone_are_a_note_and_no_crash(first: Release, bench: Path, author: Any) -> None:
    asset = first.version.items.get(tile="").assets.get(path="words.csv")
    own_storage().delete(asset.storage_key)
    second = edition(author, bench, "1.0.1", FIXED)
    assert found_in(second)["bytes-absent"].file == "words.csv"
    assert bump(second)[0] == "patch"


def test_an_edition_of_before_that_is_no_longer_readable_is_left_out(
    first: Release, bench: Path, author: Any
) -> None:
    Release.objects.filter(pk=first.pk).update(definition="[dataset]")
    second = edition(author, bench, "1.0.1", FIXED)
    assert second.state == Release.State.BUILT
    assert not Step.objects.exclude(error="").exists()
