"""What a difference means: how far it moves the number, and what a reviewer has to look at.

MAJOR: a file, column, key or tile went, a column has another name, type or CRS, or the licence is another.
MINOR: a file, column, row or tile came, or the footprint grew. PATCH: anything else that is not as it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from catalog.inspection import Severity
from releases.diff import texts
from releases.diff.bump import Bump, Level
from releases.diff.files import Fate, FilePair
from releases.diff.footprints import Change, FootprintDiff, TilesDiff
from releases.diff.recipe import RecipeDiff
from releases.diff.rows import RowChanges
from releases.diff.schema import Column, ColumnChange, Kind, is_other_crs
from releases.diff.statistics import Statistics
from releases.diff.tables import TableDiff
from releases.diff.texts import FactDiff, FieldDiff

DROPPED = 0.1
NULLS_GREW = 0.01
SHRANK = 0.1
REMARKS_MOST = 40  # of one kind about one file; the tables have them all
LONGEST = 200
NO_COLUMN = Statistics(0, None, None, None)


@dataclass(frozen=True)
class Remark:
    """One thing to say: `level` moves the number, `severity` is for the reviewer; one of them may be empty.

    `place` is a column of `file`, or a field of release.toml.
    """

    code: str
    level: Level = Level.NONE
    severity: str = ""
    file: str = ""
    place: str = ""
    found: str = ""
    instead: str = ""


def major(code: str, file: str, place: str = "", found: str = "", instead: str = "") -> Remark:
    return Remark(code, Level.MAJOR, Severity.WARNING.value, file, place, found[:LONGEST], instead[:LONGEST])


def minor(code: str, file: str, place: str = "", found: str = "", instead: str = "") -> Remark:
    return Remark(code, Level.MINOR, Severity.NOTE.value, file, place, found[:LONGEST], instead[:LONGEST])


def patch(code: str, file: str = "", place: str = "", found: str = "", instead: str = "") -> Remark:
    return Remark(code, Level.PATCH, "", file, place, found[:LONGEST], instead[:LONGEST])


def warning(code: str, file: str, place: str = "", found: str = "", instead: str = "") -> Remark:
    return Remark(code, Level.NONE, Severity.WARNING.value, file, place, found[:LONGEST], instead[:LONGEST])


def note(code: str, file: str = "", place: str = "", found: str = "", instead: str = "") -> Remark:
    return Remark(code, Level.NONE, Severity.NOTE.value, file, place, found[:LONGEST], instead[:LONGEST])


def of_files(pairs: Sequence[FilePair], tables: Mapping[str, TableDiff]) -> Iterator[Remark]:
    """Judge files; a changed one that is a table is judged by what changed in it, and else for its bytes alone."""
    for one in pairs:
        if one.fate == Fate.ADDED:
            yield minor("file-added", one.path)
        elif one.fate == Fate.REMOVED:
            yield major("file-removed", one.path)
        elif one.fate == Fate.CHANGED:
            inside = list(of_table(one.path, tables[one.path])) if one.path in tables else []
            yield from inside
            if not any(remark.level for remark in inside):
                yield patch("file-changed", one.path)
            yield from of_sizes(one)


def of_sizes(one: FilePair) -> Iterator[Remark]:
    if one.before and one.after and one.after.size_bytes < one.before.size_bytes * (1 - SHRANK):
        yield warning("size-shrank", one.path, "", str(one.before.size_bytes), str(one.after.size_bytes))


def of_table(file: str, table: TableDiff) -> Iterator[Remark]:
    if table.before is None or table.after is None:
        return
    schema = [remark for change in table.columns for remark in of_column(file, table, change)]
    yield from few(schema)
    if table.rows is not None:
        yield from of_rows(file, table, table.rows)
    yield from few([remark for change in table.columns for remark in of_statistics(file, table, change)])


def few(remarks: Sequence[Remark]) -> Iterator[Remark]:
    """Give at most REMARKS_MOST of each kind."""
    given: dict[str, int] = {}
    for one in remarks:
        given[one.code] = given.get(one.code, 0) + 1
        if given[one.code] <= REMARKS_MOST:
            yield one


def of_column(file: str, table: TableDiff, change: ColumnChange) -> Iterator[Remark]:
    old, new = sides(table, change)
    if change.kind == Kind.ADDED and new:
        yield minor("column-added", file, new.name, new.shown)
    elif change.kind == Kind.REMOVED and old:
        yield major("column-removed", file, old.name, old.shown)
    elif change.kind == Kind.RENAMED and old and new:
        yield major("column-renamed", file, new.name, old.name, new.name)
    elif change.kind == Kind.REWRITTEN and old and new:
        yield patch("column-rewritten", file, new.name, old.shown, new.shown)
    elif change.kind == Kind.CHANGED and old and new:
        yield of_changed_type(file, old, new, is_guessed=table.is_guessed)


def sides(table: TableDiff, change: ColumnChange) -> tuple[Column | None, Column | None]:
    old = table.before.columns[change.before] if table.before and change.before is not None else None
    new = table.after.columns[change.after] if table.after and change.after is not None else None
    return old, new


def of_changed_type(file: str, old: Column, new: Column, *, is_guessed: bool) -> Remark:
    if is_other_crs(old, new):
        return major("crs-changed", file, new.name, old.crs, new.crs)
    if is_guessed:
        return patch("guessed-type-changed", file, new.name, old.shown, new.shown)
    return major("type-changed", file, new.name, old.shown, new.shown)


def of_rows(file: str, table: TableDiff, rows: RowChanges) -> Iterator[Remark]:
    before, after = (one.facts.rows if one else 0 for one in (table.before, table.after))
    key = table.after.columns[rows.key[1]].name if table.after and rows.key else ""
    if key and rows.removed:
        yield major("keys-removed", file, key, str(rows.removed), first(rows.removed_examples))
    elif after < before:
        yield major("rows-fewer", file, "", str(before), str(after))
    if key and rows.added:
        yield minor("keys-added", file, key, str(rows.added), first(rows.added_examples))
    elif after > before:
        yield minor("rows-more", file, "", str(before), str(after))
    if rows.changed or (not key and rows.added and rows.removed):
        yield patch("values-changed", file, "", str(rows.changed or max(rows.added, rows.removed)))
    if after < before * (1 - DROPPED):
        yield warning("rows-dropped", file, "", str(before), str(after))


def first(examples: Sequence[str]) -> str:
    return ", ".join(examples[:3])


def of_statistics(file: str, table: TableDiff, change: ColumnChange) -> Iterator[Remark]:
    """Tell of columns that lost values: all of them, or a share that is worth a look."""
    if table.before is None or table.after is None or change.after is None:
        return
    name, rows = table.after.columns[change.after].name, table.after.facts.rows
    new = table.after.facts.columns[change.after]
    old = table.before.facts.columns[change.before] if change.before is not None else NO_COLUMN
    old_rows = table.before.facts.rows or 1
    if not rows:
        return
    if new.nulls == rows and (change.before is None or old.nulls < old_rows):
        yield warning("column-empty", file, name)
    elif change.before is not None and new.nulls / rows > old.nulls / old_rows + NULLS_GREW:
        yield warning("nulls-grew", file, name, percent(old.nulls, old_rows), percent(new.nulls, rows))


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}"


def of_places(footprint: FootprintDiff | None, tiles: TilesDiff) -> Iterator[Remark]:
    if footprint is not None:
        yield from of_footprint(footprint)
    if tiles.removed and tiles.before:
        yield major("tiles-removed", "items.geojson", "", str(tiles.removed), first(tiles.removed_examples))
    if tiles.added and tiles.before:
        yield minor("tiles-added", "items.geojson", "", str(tiles.added), first(tiles.added_examples))


def of_footprint(one: FootprintDiff) -> Iterator[Remark]:
    gained, lost = f"{one.gained_km2:.0f}", f"{one.lost_km2:.0f}"
    file, place = "release.toml", "dataset.footprint"
    if one.change in {Change.GROWN, Change.MOVED}:
        yield minor("footprint-grew", file, place, gained)
    if one.change in {Change.SHRUNK, Change.MOVED}:
        yield Remark("footprint-shrank", Level.PATCH, Severity.WARNING.value, file, place, lost)


def of_metadata(fields: Sequence[FieldDiff], facts: Sequence[FactDiff], *, is_first: bool) -> Iterator[Remark]:
    for field in fields:
        yield from of_translation(field, is_first=is_first)
    if is_first:
        return
    changed = [one.path for one in fields if one.en.is_changed or one.fr.is_changed]
    changed += [one.path for one in facts if one.before != one.after]
    licence = next((one for one in facts if one.path == "dataset.licence.id" and one.before != one.after), None)
    if licence:
        yield major("licence-changed", "release.toml", licence.path, licence.before, licence.after)
    if changed:
        yield patch("metadata-changed", "release.toml", "", ", ".join(changed))
    if any(one.path == "version.notes" and not one.en.is_changed for one in fields):
        yield warning("notes-unchanged", "release.toml", "version.notes")


def of_translation(field: FieldDiff, *, is_first: bool) -> Iterator[Remark]:
    """Compare the two languages of a field: empty, a copy, left behind, or about other years."""
    for text, other, language in ((field.en, field.fr, "en"), (field.fr, field.en, "fr")):
        if not text.after and other.after:
            yield Remark("translation-empty", severity="error", file="release.toml", place=f"{field.path}.{language}")
    if texts.is_untranslated(field):
        yield warning("translation-missing", "release.toml", f"{field.path}.fr")
    elif not is_first and field.en.is_changed != field.fr.is_changed and field.en.before:
        left = "fr" if field.en.is_changed else "en"
        yield warning("translation-unchanged", "release.toml", f"{field.path}.{left}")
    english, french = texts.years(field.en.after), texts.years(field.fr.after)
    if english != french and field.en.after and field.fr.after:
        years = " ".join(sorted(english - french)) or "–", " ".join(sorted(french - english)) or "–"
        yield warning("years-differ", "release.toml", f"{field.path}.fr", *years)


def of_recipe(recipe: RecipeDiff, *, is_first: bool) -> Iterator[Remark]:
    if is_first:
        return
    if recipe.code.commit.before != recipe.code.commit.after:
        yield patch("code-changed", "release.toml", "recipe.commit")
    if recipe.parameters:
        yield patch("parameters-changed", "release.toml", "recipe.parameters", names(recipe.parameters))
    if recipe.sources:
        yield patch("sources-changed", "release.toml", "sources", names(recipe.sources))
    if recipe.packages or recipe.environment_patch:
        yield patch("environment-changed", "release.toml", "recipe.environment")
    for one in recipe.packages[:REMARKS_MOST]:
        yield note("package-changed", "release.toml", one.name, one.before or "–", one.after or "–")


def names(entries: Sequence[object]) -> str:
    return ", ".join(str(getattr(one, "name", one)) for one in entries)


def of_number(bump: Bump, pairs: Sequence[FilePair]) -> Iterator[Remark]:
    file, place = "release.toml", "version.number"
    if not bump.before:
        yield note("first-edition", file, place, bump.chosen)
        return
    if not bump.is_enough:
        yield warning("number-too-small", file, place, bump.chosen, bump.proposed)
    elif bump.is_more_than_needed:
        yield note("number-larger", file, place, bump.chosen, bump.proposed)
    if all(one.fate == Fate.SAME for one in pairs):
        yield warning("nothing-changed", file, place, bump.before)
