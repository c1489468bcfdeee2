"""What a difference means: texts in two languages, places, files, and the number."""

import hashlib
from typing import Any

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from catalog.versions import VersionNumber, parse
from releases.diff.bump import Level, propose
from releases.diff.files import Fate, File, compare_files
from releases.diff.footprints import Change, area_km2, compare_footprints, compare_tiles
from releases.diff.judgement import of_files, of_metadata, of_places
from releases.diff.recipe import LONGEST_DIFF, CodeChange, Locked, compare_recipes, packages
from releases.diff.tables import is_table, is_too_large
from releases.diff.texts import Part, compare_facts, compare_fields, compare_text
from releases.reviews.remarks import FINDINGS, REASONS

ENGLISH, FRENCH = "Aerial photographs of Edmonton, 2022.", "Photographies aériennes d'Edmonton, 2022."


def said(before: tuple[str, str], after: tuple[str, str], path: str = "dataset.description") -> list[str]:
    fields = compare_fields({path: before}, {path: after})
    return [one.code for one in of_metadata(fields, (), is_first=False)]


@pytest.mark.parametrize(
    ("after", "codes"),
    [
        ((ENGLISH, FRENCH), []),
        ((ENGLISH + " Spring.", FRENCH + " Printemps."), ["metadata-changed"]),
        ((ENGLISH + " Spring.", FRENCH), ["translation-unchanged", "metadata-changed"]),
        ((ENGLISH, ENGLISH), ["translation-missing", "metadata-changed"]),
        ((ENGLISH, ""), ["translation-empty", "translation-unchanged", "metadata-changed"]),
        ((ENGLISH.replace("2022", "2023"), FRENCH + " Vu."), ["years-differ", "metadata-changed"]),
    ],
)
def test_a_translation_that_was_left_behind_is_told(after: tuple[str, str], codes: list[str]) -> None:
    assert said((ENGLISH, FRENCH), after) == codes


def test_a_title_may_be_the_same_in_both_languages() -> None:
    assert said(("Alberta", "Alberta"), ("Alberta", "Alberta"), "dataset.title") == []


def test_notes_that_nobody_wrote_anew_are_told() -> None:
    assert said(("First.", "Première."), ("First.", "Première."), "version.notes") == ["notes-unchanged"]


def test_another_licence_breaks() -> None:
    facts = compare_facts({"dataset.licence.id": "CC0-1.0"}, {"dataset.licence.id": "CC-BY-4.0"})
    found = list(of_metadata((), facts, is_first=False))
    assert [(one.code, one.level) for one in found] == [("licence-changed", "major"), ("metadata-changed", "patch")]


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_runs_of_a_text_give_both_texts_back(before: str, after: str) -> None:
    runs = compare_text(before, after).runs
    assert "".join(one.text for one in runs if one.part != Part.ADDED) == before
    assert "".join(one.text for one in runs if one.part != Part.REMOVED) == after


def box(west: float, east: float) -> bytes:
    return shapely.to_wkb(shapely.box(west, 50, east, 51))


@pytest.mark.parametrize(
    ("after", "change", "codes"),
    [
        (box(0, 1), Change.SAME, []),
        (box(0, 2), Change.GROWN, ["footprint-grew"]),
        (box(0, 0.5), Change.SHRUNK, ["footprint-shrank"]),
        (box(0.5, 1.5), Change.MOVED, ["footprint-grew", "footprint-shrank"]),
        (box(0, 1.0001), Change.SAME, []),
    ],
)
def test_a_footprint_grows_shrinks_or_moves(after: bytes, change: Change, codes: list[str]) -> None:
    found = compare_footprints(box(0, 1), after)
    assert found.change == change
    assert [one.code for one in of_places(found, compare_tiles([], []))] == codes


def test_areas_are_those_of_the_sphere() -> None:
    """A zone of the sphere has the area 2πR²·(sin φ₂ - sin φ₁), of which this is a 360th."""
    assert area_km2(shapely.box(0, 0, 1, 90)) == pytest.approx(708_422, rel=1e-3)


def test_a_shape_that_crosses_itself_is_compared_too() -> None:
    bow = shapely.to_wkb(shapely.Polygon([(0, 50), (1, 51), (1, 50), (0, 51)]))
    assert compare_footprints(bow, box(0, 1)).change == Change.GROWN


def test_tiles_that_go_break() -> None:
    found = list(of_places(None, compare_tiles(["a", "b"], ["b", "c", "d"])))
    assert [(one.code, one.found, one.instead) for one in found] == [
        ("tiles-removed", "1", "a"),
        ("tiles-added", "2", "c, d"),
    ]


def file(path: str, key: str = "data", content: str = "x") -> File:
    return File(path, key, "text/csv", 10, hashlib.sha256(content.encode()).hexdigest())


def test_files_are_paired_by_path_then_without_the_number_then_by_key() -> None:
    before = [file("a.csv"), file("b_v1.0.0.csv", "data-2"), file("old.csv", "data-3"), file("gone.csv", "data-4")]
    after = [
        file("a.csv", content="y"),
        file("b_v1.1.0.csv", "data-2"),
        file("new.csv", "data-3"),
        file("d.csv", "data-5"),
    ]
    found = compare_files(before, after, numbers=("1.0.0", "1.1.0"))
    assert [(one.path, one.fate) for one in found] == [
        ("a.csv", Fate.CHANGED),
        ("b_v1.1.0.csv", Fate.SAME),
        ("new.csv", Fate.SAME),
        ("d.csv", Fate.ADDED),
        ("gone.csv", Fate.REMOVED),
    ]
    assert [one.path for one in found if one.is_renamed] == ["b_v1.1.0.csv", "new.csv"]


def test_a_file_that_lost_a_tenth_of_its_bytes_is_told() -> None:
    small = File("a.csv", "data", "text/csv", 8, "0" * 64)
    found = of_files(compare_files([file("a.csv")], [small], numbers=("", "")), {})
    assert [one.code for one in found] == ["file-changed", "size-shrank"]


def test_a_table_without_types_is_read_up_to_a_size() -> None:
    assert is_table("a.parquet", 1 << 50)
    assert (is_table("a.csv", 10), is_too_large("a.csv", 10)) == (True, False)
    assert (is_table("a.csv", 1 << 40), is_too_large("a.csv", 1 << 40)) == (False, True)
    assert (is_table("a.tif", 10), is_too_large("a.tif", 1 << 40)) == (False, False)


@pytest.mark.parametrize(
    ("before", "level", "proposed", "enough", "too_small"),
    [
        ("1.2.3", Level.MAJOR, "2.0.0", "2.0.0", "1.9.9"),
        ("1.2.3", Level.MINOR, "1.3.0", "2.0.0", "1.2.4"),
        ("1.2.3", Level.PATCH, "1.2.4", "1.2.4", ""),
        ("0.2.3", Level.MAJOR, "0.3.0", "0.3.0", "0.2.4"),
        ("0.2.3", Level.MINOR, "0.2.4", "0.2.4", ""),
        ("0.1.0-beta", Level.MAJOR, "0.2.0-beta", "0.2.0-beta", "0.1.1-beta"),
        ("0.1.0-beta", Level.MAJOR, "0.2.0-beta", "0.1.0-beta.2", ""),
        ("1.0.0-rc.1", Level.MAJOR, "2.0.0-rc.1", "1.0.0", ""),
        ("", Level.NONE, "0.1.0", "0.1.0", ""),
    ],
)
def test_the_number_follows_semver(before: str, level: Level, proposed: str, enough: str, too_small: str) -> None:
    found = propose(before, enough, level)
    assert (found.proposed, found.is_enough) == (proposed, True)
    assert not too_small or not propose(before, too_small, level).is_enough


NUMBERS = st.builds(VersionNumber, *[st.integers(0, 9)] * 3, st.sampled_from(["", "beta"]))


@given(NUMBERS, st.sampled_from([Level.PATCH, Level.MINOR, Level.MAJOR]))
def test_what_is_proposed_is_enough_and_comes_after(before: VersionNumber, level: Level) -> None:
    proposed = propose(str(before), str(before), level).proposed
    assert parse(proposed).precedence > before.precedence
    found = propose(str(before), proposed, level)
    assert (found.is_enough, found.is_more_than_needed) == (True, False)


LOCK = "# a comment about left==1.0\nGdal[extra]==3.11.3 \\\n    --hash=sha256:00\nnumpy==2.0\n"


def locked(**facts: Any) -> Locked:
    given = {"repository": "r", "commit": "a", "entry_point": "b.py", "parameters": {}, "sources": {}}
    return Locked(**{**given, "environment": "requirements.lock", "environment_text": LOCK, **facts})


def test_an_environment_is_compared_package_by_package() -> None:
    assert packages(LOCK) == {"gdal": "3.11.3", "numpy": "2.0"}
    after = locked(environment_text=LOCK.replace("3.11.3", "3.11.4").replace("numpy", "shapely"))
    found = compare_recipes(locked(), after, CodeChange())
    assert [(one.name, one.before, one.after) for one in found.packages] == [
        ("gdal", "3.11.3", "3.11.4"),
        ("numpy", "2.0", ""),
        ("shapely", "", "2.0"),
    ]
    assert "-Gdal[extra]==3.11.3" in found.environment_patch
    assert "--hash" not in found.environment_patch


def test_what_is_installed_in_an_image_is_compared_too() -> None:
    before = locked(
        environment_text="FROM scratch\n", installed="deb gdal-bin 3.10.3 amd64\npypi numpy 2.0\napk curl-8\n"
    )
    after = locked(environment_text="FROM scratch\n", installed="deb gdal-bin 3.11.0 amd64\npypi numpy 2.0\n")
    assert [(one.name, one.before, one.after) for one in compare_recipes(before, after, CodeChange()).packages] == [
        ("apk curl-8", "curl-8", ""),
        ("deb gdal-bin", "3.10.3 amd64", "3.11.0 amd64"),
    ]


def test_parameters_are_compared_at_any_depth_and_a_long_patch_is_cut() -> None:
    old, new = locked(parameters={"a": {"b": 1, "c": [2]}}), locked(parameters={"a": {"b": 2, "c": [2]}, "d": None})
    found = compare_recipes(old, new, CodeChange("1 file", "x" * (LONGEST_DIFF + 1)))
    assert [(one.name, one.before, one.after) for one in found.parameters] == [("a.b", "1", "2"), ("d", "", "null")]
    assert (len(found.code.patch), found.code.is_cut) == (LONGEST_DIFF, True)


def test_a_code_has_one_sentence() -> None:
    assert not FINDINGS.keys() & REASONS.keys()
