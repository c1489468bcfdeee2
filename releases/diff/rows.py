"""Which rows came, went and changed: by a key where the two tables have one, else by whole rows.

A key is a column that is never null and never repeats, in both tables under one name and type. The one that the
author declares is taken; without it one is looked for, names that mean a key first. Tables with more values than
VALUES_COMPARED are compared by key alone, not value by value, so that the work is bounded; of tables with a key and
no more than WIDE_ROWS rows, a few columns are compared at a time, up to WIDE_VALUES.
"""

# ruff: noqa: S608  what queries name is ours: tables, and columns by their places

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from releases.diff.schema import Column
from releases.diff.session import Session
from releases.diff.statistics import COLUMNS_AT_ONCE, LONGEST_VALUE, TableFacts

VALUES_COMPARED = 50_000_000
WIDE_ROWS, WIDE_VALUES = 2_000_000, 600_000_000
ROWS_KEYED = 50_000_000
KEYS_TRIED = 8
EXAMPLES = 20
PAIRS_AT_ONCE = COLUMNS_AT_ONCE // 2  # two tables are read at the same time
NEARLY = 0.9  # estimates of distinct values err by a few per cent
KEY_TYPES = {"string", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
KEY_NAMES = ("id", "dguid", "idugd", "uid", "uuid", "guid", "fid", "objectid", "gid", "key", "code")

Pair = tuple[int, int]


@dataclass(frozen=True)
class ChangedColumn:
    """How many rows of both tables have another value in a column; `before` and `after` are its places."""

    before: int
    after: int
    rows: int


@dataclass(frozen=True)
class RowChanges:
    """What became of rows. `key` is the place of the key in both tables, None where whole rows were compared.

    `changed` is None where values were not compared. Examples are the least keys, at most EXAMPLES of them.
    """

    key: Pair | None
    added: int
    removed: int
    changed: int | None
    added_examples: tuple[str, ...] = ()
    removed_examples: tuple[str, ...] = ()
    changed_examples: tuple[str, ...] = ()
    columns: tuple[ChangedColumn, ...] = ()


@dataclass(frozen=True)
class Side:
    """One of the two tables with what is known of it."""

    columns: Sequence[Column]
    facts: TableFacts


def find_key(tables: Session, before: Side, after: Side, pairs: Sequence[Pair], declared: str) -> Pair | None:
    """Give the declared key, else the first column that is one; None where there is none in both tables."""
    if not 0 < max(before.facts.rows, after.facts.rows) <= ROWS_KEYED:
        return None
    fitting = [pair for pair in pairs if is_candidate(before, pair[0]) and is_candidate(after, pair[1])]
    named = [pair for pair in fitting if after.columns[pair[1]].name == declared]
    ranked = named or sorted(fitting, key=lambda pair: rank(after.columns[pair[1]].name))
    return next((pair for pair in ranked[:KEYS_TRIED] if is_key(tables, pair)), None)


def is_candidate(side: Side, place: int) -> bool:
    """Tell by type and estimates whether it is worth counting."""
    facts, rows = side.facts.columns[place], side.facts.sampled_rows or side.facts.rows
    return side.columns[place].type in KEY_TYPES and not facts.nulls and (facts.distinct or 0) >= rows * NEARLY


def rank(name: str) -> int:
    """Put names that mean a key first, then those that end in one, then the rest."""
    plain = name.lower()
    if plain in KEY_NAMES:
        return KEY_NAMES.index(plain)
    return len(KEY_NAMES) if plain.endswith(("id", "_code", "_key", "uid")) else len(KEY_NAMES) + 1


def is_key(tables: Session, pair: Pair) -> bool:
    return all(
        tables.row(f"SELECT count(*) = count(DISTINCT c{place}) FROM {name}")[0]
        for name, place in zip(("before", "after"), pair, strict=True)
    )


def compare_rows(tables: Session, before: Side, after: Side, pairs: Sequence[Pair], key: Pair | None) -> RowChanges:
    """Count what came, went and changed; `pairs` are the columns that both tables have in one type."""
    is_small, is_wide = (all(fits(one) for one in (before, after)) for fits in (has_few_values, has_few_rows))
    if key is not None:
        return by_key(tables, key, [pair for pair in pairs if pair != key], has_values=is_small or is_wide)
    if not is_small or not pairs:
        grown = after.facts.rows - before.facts.rows
        return RowChanges(None, max(grown, 0), max(-grown, 0), None)
    return by_whole_rows(tables, pairs)


def has_few_values(side: Side) -> bool:
    return side.facts.rows * len(side.columns) <= VALUES_COMPARED


def has_few_rows(side: Side) -> bool:
    """Tell whether a table can be compared by key a few columns at a time, however many it has within reason."""
    return side.facts.rows <= WIDE_ROWS and side.facts.rows * len(side.columns) <= WIDE_VALUES


def by_key(tables: Session, key: Pair, pairs: Sequence[Pair], *, has_values: bool) -> RowChanges:
    added, added_examples = alone(tables, "after", key[1], "before", key[0])
    removed, removed_examples = alone(tables, "before", key[0], "after", key[1])
    if not has_values:
        return RowChanges(key, added, removed, None, added_examples, removed_examples)
    columns = tuple(note_changed(tables, key, pairs))
    changed = int(tables.row("SELECT count(DISTINCT k) FROM changed")[0])
    examples = listed(tables, "SELECT DISTINCT k FROM changed")
    return RowChanges(key, added, removed, changed, added_examples, removed_examples, examples, columns)


def alone(tables: Session, mine: str, my_key: int, theirs: str, their_key: int) -> tuple[int, tuple[str, ...]]:
    """Count the keys of one table that the other lacks, with the least of them."""
    missing = f"SELECT m.c{my_key} AS k FROM {mine} m ANTI JOIN {theirs} t ON m.c{my_key} = t.c{their_key}"
    count = int(tables.row(f"SELECT count(*) FROM ({missing})")[0])
    return count, listed(tables, missing) if count else ()


def listed(tables: Session, query: str) -> tuple[str, ...]:
    text = f"SELECT left(CAST(k AS VARCHAR), {LONGEST_VALUE}) FROM ({query}) ORDER BY k LIMIT {EXAMPLES}"
    return tuple(str(value) for (value,) in tables.rows(text))


def note_changed(tables: Session, key: Pair, pairs: Sequence[Pair]) -> Iterator[ChangedColumn]:
    """Write the keys whose rows have other values into the table `changed`, and count them for each column.

    A few columns at a time: a reader of Parquet holds a piece of every column that it is asked for.
    """
    tables.run(f"CREATE TEMP TABLE changed AS SELECT c{key[0]} AS k FROM before LIMIT 0")
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        some = pairs[start : start + PAIRS_AT_ONCE]
        mine, theirs = (hashed([pair[side] for pair in some]) for side in (0, 1))
        tables.run(
            "CREATE OR REPLACE TEMP TABLE part AS "
            f"SELECT b.k FROM (SELECT c{key[0]} AS k, {mine} AS h FROM before) b "
            f"JOIN (SELECT c{key[1]} AS k, {theirs} AS h FROM after) a ON a.k = b.k WHERE a.h <> b.h"
        )
        tables.run("INSERT INTO changed SELECT k FROM part")
        if tables.row("SELECT count(*) FROM part")[0]:
            yield from changed_columns(tables, key, some)


def hashed(places: Sequence[int]) -> str:
    return f"hash({', '.join(f'c{place}' for place in places)})"


def changed_columns(tables: Session, key: Pair, pairs: Sequence[Pair]) -> Iterator[ChangedColumn]:
    counts = ", ".join(f"count(*) FILTER (WHERE b.c{old} IS DISTINCT FROM a.c{new})" for old, new in pairs)
    found = tables.row(f"SELECT {counts} FROM part JOIN before b ON b.c{key[0]} = k JOIN after a ON a.c{key[1]} = k")
    for (old, new), rows in zip(pairs, found, strict=True):
        if rows:
            yield ChangedColumn(old, new, int(rows))


def by_whole_rows(tables: Session, pairs: Sequence[Pair]) -> RowChanges:
    """Count rows that only one table has, each as often as it is there more often."""
    mine, theirs = (hashed([pair[side] for pair in pairs]) for side in (0, 1))
    removed, added = tables.row(
        "SELECT coalesce(sum(greatest(n, 0)), 0), coalesce(sum(greatest(-n, 0)), 0) FROM (SELECT sum(one) AS n FROM "
        f"(SELECT {mine} AS h, 1 AS one FROM before UNION ALL SELECT {theirs}, -1 FROM after) GROUP BY h)"
    )
    return RowChanges(None, int(added), int(removed), None)


def same_values(tables: Session, key: Pair | None, pair: Pair) -> bool:
    """Tell whether two columns hold the same values: in nearly all rows of the same key, else all in any order."""
    old, new = pair
    if key is None:
        before, after = (
            tables.row(f"SELECT count(c{place}), bit_xor(hash(c{place})), sum(hash(c{place}) % 65521) FROM {name}")
            for name, place in (("before", old), ("after", new))
        )
        return before == after
    same, both = tables.row(
        f"SELECT count(*) FILTER (WHERE b.c{old} IS NOT DISTINCT FROM a.c{new}), count(*) "
        f"FROM before b JOIN after a ON b.c{key[0]} = a.c{key[1]}"
    )
    return bool(both) and same >= both * NEARLY
