import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.paths import PathError, check_path, check_paths

SEGMENTS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,12}[A-Za-z0-9_]", fullmatch=True)
LIKELY_PATHS = st.lists(SEGMENTS, min_size=1, max_size=5).map("/".join)


@pytest.mark.parametrize(
    "path",
    [
        "ca_nrcan-2021A000011124_d4c-datapkg-orthoimagery_2020_30m_v0.1.0-beta.pmtiles",
        "tiles/12/656/1582.tif",
        "REBUILD.md",
        "source-bundle.tar.gz",
        "console.txt",
        "a..b",
        "com10",
        "torrent",
        "sha256sums.txt",
        "a" * 120,
        "/".join(["a" * 84] * 3),
    ],
)
def test_a_plain_relative_path_is_given_back(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("//host/share", "absolute"),
        ("C:/data.tif", "absolute"),
        ("c:data.tif", "absolute"),
        ("a\\b", "backslash"),
        ("..\\a", "backslash"),
        ("a//b", "empty-segment"),
        ("a/", "empty-segment"),
        ("..", "dots"),
        (".", "dots"),
        ("a/../b", "dots"),
        ("./a", "dots"),
        (".hidden", "edge"),
        ("a/.git", "edge"),
        ("-rf", "edge"),
        ("a/-b", "edge"),
        ("a.", "edge"),
        ("...", "edge"),
        ("a b", "character"),
        ("a\nb", "character"),
        ("a\n", "character"),
        ("a\x00b", "character"),
        ("a\x7f", "character"),
        ("ab:c", "character"),
        ("a%2fb", "character"),
        ("a?b", "character"),
        ("a#b", "character"),
        ("~a", "character"),
        ("donn\u00e9es.csv", "character"),
        ("donne\u0301es.csv", "character"),
        ("\u0430.tif", "character"),
        ("a\u2044b", "character"),
        ("\ud800", "character"),
        ("con", "device"),
        ("NUL.txt", "device"),
        ("a/aux", "device"),
        ("Com1.tar.gz", "device"),
        ("lpt9/a", "device"),
        ("a.torrent", "suffix"),
        ("a.sha256", "suffix"),
        ("a.META4", "suffix"),
        ("a/b.mirrors.json", "suffix"),
        ("SHA256SUMS", "checksum-list"),
        ("a/sha256sums", "checksum-list"),
        ("a" * 121, "too-long"),
        ("/".join(["a" * 85] * 3), "too-long"),
        pytest.param("a/" * 100_000, "too-long", id="200000 characters"),
    ],
)
def test_an_unsafe_path_is_refused_with_its_name_and_the_remedy(path: str, code: str) -> None:
    with pytest.raises(PathError, match=r"^Path '.*'.*: .*; .*\.$") as caught:
        check_path(path)
    assert caught.value.facts == {"path": path, "code": code}


@pytest.mark.parametrize(
    ("paths", "code"),
    [
        (["a", "a"], "duplicate"),
        (["a/b", "c", "a/b"], "duplicate"),
        (["a", "A"], "case"),
        (["d/Data.tif", "d/data.tif"], "case"),
        (["Data/a", "data/b"], "case"),
        (["x/Data/a", "x/data/b"], "case"),
        (["a", "a/b"], "folder"),
        (["a/b/c", "a/b"], "folder"),
        (["A", "a/b"], "folder"),
        (["ok", "../no"], "dots"),
    ],
)
def test_paths_that_cannot_lie_side_by_side_are_refused(paths: list[str], code: str) -> None:
    with pytest.raises(PathError) as caught:
        check_paths(paths)
    assert caught.value.facts["code"] == code


def test_paths_side_by_side_are_given_back_in_their_order() -> None:
    paths = ["b/2.tif", "b/1.tif", "a", "ab", "b/c/1.tif"]
    assert check_paths(iter(paths)) == tuple(paths)
    assert check_paths([]) == ()


@given(st.one_of(st.text(), LIKELY_PATHS))
def test_whatever_passes_keeps_every_rule(path: str) -> None:
    try:
        assert check_path(path) is path
    except PathError:
        return
    assert path.isascii()
    assert path.isprintable()
    assert unicodedata.normalize("NFC", path) == path
    assert len(path) <= 255
    assert not {" ", "\\", ":", "%", "?", "#"} & set(path)
    assert all(part and part[0] not in ".-" and part[-1] != "." for part in path.split("/"))


@given(st.lists(LIKELY_PATHS, max_size=6))
def test_paths_that_pass_together_are_distinct_on_any_system(paths: list[str]) -> None:
    try:
        checked = check_paths(paths)
    except PathError:
        return
    assert list(checked) == paths
    assert len({path.lower() for path in paths}) == len(paths)


@given(st.lists(LIKELY_PATHS, min_size=1, max_size=4, unique_by=str.lower), st.data())
def test_another_case_of_a_path_never_passes(paths: list[str], data: st.DataObject) -> None:
    twin = data.draw(st.sampled_from(paths)).swapcase()
    with pytest.raises(PathError):
        check_paths([*paths, twin])
