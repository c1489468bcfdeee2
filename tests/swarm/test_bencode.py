from typing import Any

import libtorrent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.bencode import BencodeError, decode, encode

INTEGERS = st.integers(-(2**63) + 1, 2**63 - 1)
VALUES: st.SearchStrategy[Any] = st.recursive(
    INTEGERS | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.binary(max_size=8), inner, max_size=5),
    max_leaves=25,
)


@given(VALUES)
def test_what_is_encoded_is_decoded_to_the_same(value: Any) -> None:
    assert decode(encode(value)) == value


@given(VALUES)
def test_libtorrent_reads_what_we_write_and_writes_the_same(value: Any) -> None:
    assert libtorrent.bdecode(encode(value)) == value
    assert libtorrent.bencode(value) == encode(value)


@given(st.binary(max_size=60) | st.text("ilde0123456789:-ab", max_size=30).map(str.encode))
def test_bytes_are_refused_or_come_back_unchanged(raw: bytes) -> None:
    try:
        value = decode(raw)
    except BencodeError:
        return
    assert encode(value) == raw


def test_keys_are_sorted_as_bytes_and_text_keys_are_utf8() -> None:
    assert encode({"é": 1, "z": 2, b"Z": (3, [])}) == b"d1:Zli3elee1:zi2e2:\xc3\xa9i1ee"


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        (1.5, "A float cannot"),
        ("text", "A str cannot"),
        (None, "A NoneType cannot"),
        ([True], "no true and false"),
        (2**63, "of 64 bits does not fit"),
        (-(2**63), "of 64 bits does not fit"),
        pytest.param(2**20000, "of 20001 bits does not fit", id="huge"),
        ({1: b""}, "A int cannot be a key"),
        ({"a": 1, b"a": 2}, "same key"),
    ],
)
def test_what_has_no_one_encoding_is_refused(value: object, finding: str) -> None:
    with pytest.raises(BencodeError, match=finding):
        encode(value)


@pytest.mark.parametrize(
    ("raw", "finding"),
    [
        (b"", "no value starts here"),
        (b"x", "no value starts here"),
        (b"i1ei2e", "bytes follow"),
        (b"i01e", "shortest form"),
        (b"i-0e", "shortest form"),
        (b"i+1e", "shortest form"),
        (b"ie", "shortest form"),
        (b"i1", "shortest form"),
        (b"i9223372036854775808e", "63 bits"),
        (b"i" + b"9" * 5000 + b"e", "63 bits"),
        (b"01:a", "no value starts here"),
        (b"-1:a", "no value starts here"),
        (b"5:abcd", "goes on after the end"),
        (b"99999999999:a", "no value starts here"),
        (b"l", "no value starts here"),
        (b"li1e", "no value starts here"),
        (b"d1:ae", "no value starts here"),
        (b"di1ei2ee", "no value starts here"),
        (b"d1:bi1e1:ai2ee", "out of order"),
        (b"d1:ai1e1:ai2ee", "there twice"),
        (b"l" * 200 + b"e" * 200, "deeper than 100 levels"),
    ],
)
def test_what_is_not_strict_is_refused(raw: bytes, finding: str) -> None:
    with pytest.raises(BencodeError, match=finding) as caught:
        decode(raw)
    assert 0 <= int(str(caught.value.facts["offset"])) <= len(raw)


def test_a_file_beyond_the_limit_is_not_read() -> None:
    assert decode(b"3:abc", max_bytes=5) == b"abc"
    with pytest.raises(BencodeError, match="at most 4"):
        decode(b"3:abc", max_bytes=4)


def test_depth_is_counted_from_the_outermost_value() -> None:
    assert decode(b"llee", max_depth=1) == [[]]
    with pytest.raises(BencodeError, match="deeper than 1 levels"):
        decode(b"llleee", max_depth=1)
