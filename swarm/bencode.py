"""Bencoding (BEP 3), strict both ways, so that decoding and encoding again gives the same bytes.

- A dictionary's keys are byte strings, sorted as raw bytes, none twice.
- An integer has no leading zero and no minus zero, and fits in 63 bits and a sign (libtorrent reads -2^63 as 0).
- Nothing follows the value. Depth and size are bounded, since torrents come from strangers too.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from catalog.errors import PersonMustActError

Bencoded: TypeAlias = "int | bytes | list[Bencoded] | dict[bytes, Bencoded]"

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 100
_INTEGER = re.compile(rb"i(0|-?[1-9][0-9]{0,18})e")
_LENGTH = re.compile(rb"(0|[1-9][0-9]{0,9}):")
_INTEGERS = range(-(2**63) + 1, 2**63)


class BencodeError(PersonMustActError):
    """A value cannot be bencoded, or bytes are not strict bencoding. Fact: `offset` when decoding."""


def encode(value: object) -> bytes:
    """Return the one bencoding of ints, bytes, lists, tuples and mappings; text keys become UTF-8.

    BencodeError: any other type (text, float, bool, None), an int beyond 63 bits and a sign, a key twice.
    """
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


def _write(value: object, parts: list[bytes]) -> None:
    match value:
        case bool():
            raise BencodeError("Bencoding knows no true and false; say 0 or 1.")
        case int():
            if value not in _INTEGERS:
                raise BencodeError(f"An integer of {value.bit_length()} bits does not fit in 63 and a sign.")
            parts.append(b"i%de" % value)
        case bytes():
            parts += (b"%d:" % len(value), value)
        case list() | tuple():
            parts.append(b"l")
            for element in value:
                _write(element, parts)
            parts.append(b"e")
        case Mapping():
            _write_dictionary(value, parts)
        case _:
            raise BencodeError(
                f"A {type(value).__name__} cannot be bencoded; give int, bytes, list or dict.",
                type=type(value).__name__,
            )


def _write_dictionary(value: Mapping[object, object], parts: list[bytes]) -> None:
    entries = {_key(key): element for key, element in value.items()}
    if len(entries) != len(value):
        raise BencodeError("A dictionary has the same key as text and as bytes; keep one.")
    parts.append(b"d")
    for key in sorted(entries):
        parts += (b"%d:" % len(key), key)
        _write(entries[key], parts)
    parts.append(b"e")


def _key(key: object) -> bytes:
    if isinstance(key, str):
        return key.encode()
    if isinstance(key, bytes):
        return key
    raise BencodeError(f"A {type(key).__name__} cannot be a key; give text or bytes.", type=type(key).__name__)


def decode(raw: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Bencoded:
    """Return the one value in `raw`. BencodeError: it is not strict bencoding, too long or too deep."""
    if len(raw) > max_bytes:
        raise BencodeError(
            f"The bencoded file has {len(raw)} bytes and at most {max_bytes} are read; check what it is.",
            size_bytes=len(raw),
        )
    reader = _Reader(raw, max_depth)
    value = reader.value(depth=0)
    if reader.at != len(raw):
        raise reader.error("bytes follow the end of the value")
    return value


class _Reader:
    def __init__(self, raw: bytes, max_depth: int) -> None:
        self.at = 0
        self._raw = raw
        self._max_depth = max_depth

    def error(self, finding: str) -> BencodeError:
        return BencodeError(
            f"Not strict bencoding at byte {self.at}: {finding}. Get the file again or from its maker.",
            offset=self.at,
        )

    def value(self, depth: int) -> Bencoded:
        if depth > self._max_depth:
            raise self.error(f"deeper than {self._max_depth} levels")
        match self._raw[self.at : self.at + 1]:
            case b"i":
                return self._integer()
            case b"l":
                return self._list(depth)
            case b"d":
                return self._dictionary(depth)
        return self._bytes()

    def _integer(self) -> int:
        found = _INTEGER.match(self._raw, self.at)
        if not found or (number := int(found[1])) not in _INTEGERS:
            raise self.error("no integer of 63 bits and a sign in its shortest form")
        self.at = found.end()
        return number

    def _bytes(self) -> bytes:
        found = _LENGTH.match(self._raw, self.at)
        if not found:
            raise self.error("no value starts here")
        end = found.end() + int(found[1])
        if end > len(self._raw):
            raise self.error("a byte string goes on after the end")
        self.at = end
        return self._raw[found.end() : end]

    def _list(self, depth: int) -> list[Bencoded]:
        elements: list[Bencoded] = []
        self._until_end(lambda: elements.append(self.value(depth + 1)))
        return elements

    def _dictionary(self, depth: int) -> dict[bytes, Bencoded]:
        entries: dict[bytes, Bencoded] = {}
        self._until_end(lambda: self._entry(entries, depth))
        return entries

    def _entry(self, entries: dict[bytes, Bencoded], depth: int) -> None:
        last = next(reversed(entries), None)
        key = self._bytes()
        if last is not None and key <= last:
            raise self.error("a key is out of order or there twice")
        entries[key] = self.value(depth + 1)

    def _until_end(self, read_one: Callable[[], None]) -> None:
        self.at += 1
        while self._raw[self.at : self.at + 1] != b"e":
            read_one()
        self.at += 1
