"""Each kind of change in a table is seen, named, and moves the number as far as it should."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from releases.diff import rows, statistics
from releases.diff.bump import Level
from releases.diff.schema import Kind
from releases.diff.tables import NoTableError, compare_tables, unchanged
from tests.releases.diff.tables import ROWS, codes, difference, level, remarks, without, written

MORE = {name: [*values, value] for (name, values), value in zip(ROWS.items(), (6, "Fernie", 6_000, 0.1), strict=True)}
LESS = {name: values[:-1] for name, values in ROWS.items()}
FIXED = {**ROWS, "people": [30_000, 8_000, 14_001, 108_000, 7_000]}
WIDER = {**ROWS, "area": [1.0, 2.0, 3.0, 4.0, 5.0]}
RENAMED = {{"people": "population"}.get(name, name): values for name, values in ROWS.items()}
RETYPED = {**ROWS, "people": [str(one) for one in ROWS["people"]]}
EMPTIED = {**ROWS, "share": pa.nulls(5, pa.float64())}


@pytest.mark.parametrize(
    ("after", "expected", "asked"),
    [
        (ROWS, [], Level.NONE),
        (FIXED, ["values-changed"], Level.PATCH),
        (MORE, ["keys-added"], Level.MINOR),
        (WIDER, ["column-added"], Level.MINOR),
        (LESS, ["keys-removed", "rows-dropped"], Level.MAJOR),
        (without(ROWS, "share"), ["column-removed"], Level.MAJOR),
        (RENAMED, ["column-renamed"], Level.MAJOR),
        (RETYPED, ["type-changed"], Level.MAJOR),
        (EMPTIED, ["column-empty", "values-changed"], Level.PATCH),
    ],
    ids=["same", "fixed", "rows", "column", "fewer rows", "removed", "renamed", "type", "emptied"],
)
def test_each_change_of_a_table_is_named(tmp_path: Path, after: Any, expected: list[str], asked: Level) -> None:
    found = difference(tmp_path, ROWS, after)
    assert codes(found) == expected
    assert level(found) == asked


def test_rows_are_told_by_their_key(tmp_path: Path) -> None:
    moved = {**FIXED, "id": [1, 2, 3, 4, 9]}
    found = difference(tmp_path, ROWS, moved).rows
    assert found is not None
    assert (found.key, found.added, found.removed, found.changed) == ((0, 0), 1, 1, 1)
    assert (found.added_examples, found.removed_examples, found.changed_examples) == (("9",), ("5",), ("3",))
    assert [(one.before, one.after, one.rows) for one in found.columns] == [(2, 2, 1)]


def test_the_declared_key_goes_before_a_likely_one(tmp_path: Path) -> None:
    found = difference(tmp_path, ROWS, FIXED, key="name").rows
    assert found is not None
    assert found.key == (1, 1)


def test_without_a_key_whole_rows_are_compared(tmp_path: Path) -> None:
    plain = {"colour": ["red", "red", "blue"]}
    found = difference(tmp_path, plain, {"colour": ["red", "blue", "green"]}).rows
    assert found is not None
    assert (found.key, found.added, found.removed) == (None, 1, 1)


def test_a_new_crs_breaks_and_another_name_of_the_same_does_not(tmp_path: Path) -> None:
    def shaped(name: str, crs: Any) -> Path:
        geo = {"version": "1.1.0", "primary_column": "g", "columns": {"g": {"encoding": "WKB", "crs": crs}}}
        return written(tmp_path / name, {"g": [shapely.to_wkb(shapely.Point(1, 2))]}, {"geo": json.dumps(geo)})

    utm, wgs = ({"id": {"authority": "EPSG", "code": code}} for code in (26910, 4326))
    lonlat = shaped("a.parquet", {"id": {"authority": "OGC", "code": "CRS84"}})
    moved = compare_tables(lonlat, shaped("b.parquet", utm), suffix=".parquet")
    assert (codes(moved), level(moved)) == (["crs-changed"], Level.MAJOR)
    assert remarks(moved)[0].found == "OGC:CRS84"
    same = compare_tables(lonlat, shaped("c.parquet", wgs), suffix=".parquet")
    assert (codes(same), level(same)) == (["column-rewritten"], Level.PATCH)


def test_how_a_writer_keeps_a_text_is_no_change(tmp_path: Path) -> None:
    plain, packed = pa.array(["a", "b", "a"]), pa.array(["a", "b", "a"]).dictionary_encode()
    found = difference(tmp_path, {"t": plain}, {"t": packed})
    assert [one.kind for one in found.columns] == [Kind.SAME]


@pytest.mark.parametrize("suffix", [".csv", ".ndjson", ".geojson"])
def test_files_without_types_are_compared_too(tmp_path: Path, suffix: str) -> None:
    found = compare_tables(typeless(tmp_path, "old", suffix, 5), typeless(tmp_path, "new", suffix, 7), suffix=suffix)
    assert found.rows is not None
    assert (found.is_guessed, found.rows.added, found.rows.removed) == (True, 2, 0)


def typeless(folder: Path, name: str, suffix: str, count: int) -> Path:
    path = folder / f"{name}{suffix}"
    objects = [{"id": number, "t": f"t{number}"} for number in range(count)]
    if suffix == ".csv":
        path.write_text("id,t\n" + "".join(f"{one['id']},{one['t']}\n" for one in objects))
    elif suffix == ".ndjson":
        path.write_text("".join(json.dumps(one) + "\n" for one in objects))
    else:
        features = [{"type": "Feature", "properties": one, "geometry": None} for one in objects]
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".json", ".geojson", ".ndjson"])
def test_what_is_no_table_is_refused_without_a_path_of_this_machine(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"PAR1 \xff\x00 not really")
    with pytest.raises(NoTableError) as caught:
        compare_tables(None, path, suffix=suffix)
    assert str(tmp_path) not in str(caught.value)


def test_a_large_table_is_counted_in_a_sample_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "VALUES_COUNTED", 400)
    monkeypatch.setattr(rows, "VALUES_COMPARED", 400)
    monkeypatch.setattr(rows, "WIDE_VALUES", 400)
    path = tmp_path / "long.parquet"
    few, all_other = [number % 10 for number in range(5000)], list(range(5000))
    parquet.write_table(pa.table([all_other, few, few], names=["z", "a", "z"]), path, row_group_size=250)
    found = compare_tables(path, path, suffix=".parquet")
    assert found.after is not None
    assert found.after.facts.sampled_rows == 128
    assert [one.distinct for one in found.after.facts.columns] == [pytest.approx(128, rel=0.1), 8, 8]
    assert found.after.facts.columns[0].greatest == "4999"
    assert found.rows is not None
    assert (found.rows.key, found.rows.changed) == ((0, 0), None)


NESTED = pa.struct([("a", pa.list_(pa.int8())), ("b", pa.string())])
HOSTILE = {
    "no rows": pa.table({"a": pa.array([], pa.int32())}),
    "no columns": pa.table({}),
    "one name twice": pa.table([pa.array([1, 2]), pa.array(["x", None])], names=["a", "a"]),
    "names by case": pa.table([pa.array([1]), pa.array([2])], names=["A", "a"]),
    "odd names": pa.table([pa.array([1]), pa.array([2]), pa.array([3])], names=['"; DROP TABLE x; --', "", "a.b"]),
    "all null": pa.table({"a": pa.nulls(3), "b": pa.nulls(3, pa.string())}),
    "not a number": pa.table({"a": pa.array([float("nan"), float("inf"), None, -0.0])}),
    "nested": pa.table({"a": pa.array([{"a": [1], "b": "x"}, None], NESTED)}),
    "a map": pa.table({"a": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64()))}),
    "long text": pa.table({"a": ["x" * 2_000_000, "y"]}),
    "bytes": pa.table({"a": [b"\xff\x00", None]}),
    "broken text": pa.table(
        {
            "a": pa.Array.from_buffers(
                pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]
            )
        }
    ),
    "times": pa.table(
        {"a": pa.array([0, -(2**62)], pa.timestamp("us", tz="America/Toronto")), "b": pa.array([1, 2], pa.date32())}
    ),
    "small floats": pa.table({"a": pa.array([1.5, None], pa.float16())}),
    "decimals": pa.table({"a": pa.array([1, None], pa.decimal128(38, 10))}),
    "words about shapes": pa.table({"g": [b"no WKB"]}).replace_schema_metadata(
        {"geo": json.dumps({"columns": {"g": {"encoding": ["WKB"], "crs": {"id": 5}}, "h": 3}})}
    ),
}


@pytest.mark.parametrize(("most_rows", "changed"), [(5, 1), (4, None)])
def test_a_wide_table_is_compared_value_by_value_where_its_rows_are_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_rows: int, changed: int | None
) -> None:
    monkeypatch.setattr(rows, "VALUES_COMPARED", 10)
    monkeypatch.setattr(rows, "WIDE_ROWS", most_rows)
    monkeypatch.setattr(rows, "PAIRS_AT_ONCE", 2)
    found = difference(tmp_path, ROWS, FIXED).rows
    assert found is not None
    assert (found.key, found.changed) == ((0, 0), changed)


def test_shapes_of_a_large_table_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "VALUES_COUNTED", 400)
    shapes = [shapely.to_wkb(shapely.Point(number, 2)) for number in range(1000)]
    geo = {"version": "1.1.0", "primary_column": "g", "columns": {"g": {"encoding": "WKB"}}}
    for columns in ({"id": list(range(1000)), "g": shapes}, {"g": shapes}):
        found = compare_tables(
            None, written(tmp_path / "a.parquet", columns, {"geo": json.dumps(geo)}), suffix=".parquet"
        )
        assert found.after is not None
        assert found.after.facts.columns[-1].distinct is None
        assert len(columns) == 1 or found.after.facts.columns[0].distinct == pytest.approx(200, rel=0.1)


def test_a_sample_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    path, rows = tmp_path / "long.parquet", 100_000
    texts = pa.array([f"text number {number}" for number in range(rows)])
    columns = {f"c{place}": texts for place in range(10)}
    parquet.write_table(pa.table(columns), path, row_group_size=50_000, use_dictionary=False)
    sample = statistics.sampled(path, rows)
    before, counted, most = pa.total_allocated_bytes(), 0, 0
    for batch in sample.read(range(10)):
        counted += batch.num_rows
        most = max(most, pa.total_allocated_bytes() - before)
    assert counted == sample.rows == rows
    assert most < 10 * texts.nbytes / 2


@pytest.mark.parametrize("before", HOSTILE)
def test_no_table_is_too_odd_to_be_compared(tmp_path: Path, before: str) -> None:
    """Whatever a file holds, the answer is a difference or a sentence; nothing else is raised."""
    odd, plain = tmp_path / "odd.parquet", written(tmp_path / "plain.parquet", ROWS)
    parquet.write_table(HOSTILE[before], odd)
    for pair in ((odd, odd), (odd, plain), (plain, odd)):
        assert is_answered(*pair) is (before != "broken text")


def is_answered(before: Path, after: Path) -> bool:
    try:
        remarks(compare_tables(before, after, suffix=".parquet"))
    except NoTableError:
        return False
    return True


VALUES = st.one_of(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3),
    st.lists(st.none() | st.floats(), min_size=3, max_size=3),
    st.lists(st.none() | st.text(), min_size=3, max_size=3),
    st.lists(st.none() | st.lists(st.integers(0, 9)), min_size=3, max_size=3),
)
TABLES = st.dictionaries(st.text(max_size=6), VALUES, min_size=1, max_size=4)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=TABLES, after=TABLES)
def test_any_two_tables_have_one_difference(tmp_path: Path, before: Any, after: Any) -> None:
    """The same two files give the same answer twice, and a file does not differ from itself."""
    first = difference(tmp_path, before, after)
    assert repr(difference(tmp_path, before, after)) == repr(first)
    itself = compare_tables(tmp_path / "new.parquet", tmp_path / "new.parquet", suffix=".parquet")
    assert level(itself) == Level.NONE
    assert itself.after == unchanged(tmp_path / "new.parquet", suffix=".parquet").after
