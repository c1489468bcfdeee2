"""Write the next release.toml from one that is there: number and identifier change where they stand as values. Pure.

The text stays as its author wrote it, comments and layout included. Each place where a word stands is marked, the
marked text is parsed once, and only the marks that lie in the wanted values are replaced.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalog.sentences import sentence as _
from releases.errors import NotRenewableError

MARK = re.compile(r"dfc-mark-([0-9]+)-end")
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Change:
    """A word and what stands there instead, in the values whose place begins with one of `places`; None is any."""

    before: str
    after: str
    places: Sequence[tuple[str | None, ...]]

    @property
    def pattern(self) -> str:
        """Find the word where it is whole: `1.2.0` is not in `1.2.0-beta`, `11.2.0` or `1.2.0.4`."""
        return rf"(?<![0-9A-Za-uw-z])(?<![0-9]\.){re.escape(self.before)}(?![0-9A-Za-z-]|\.[0-9])"


def rewrite(text: str, changes: Sequence[Change]) -> str:
    """Give the text with every change made; raises NotRenewableError where a mark would break the TOML."""
    if MARK.search(text):
        raise NotRenewableError(
            _("release.toml: it holds a word that is used for rewriting. Change the number by hand.")
        )
    found = [(one, change) for change in changes for one in re.finditer(change.pattern, text)]
    found.sort(key=lambda pair: pair[0].start())
    marked = filled(text, [(one, f"dfc-mark-{place}-end") for place, (one, _change) in enumerate(found)])
    try:
        landed = dict(marks_in(tomllib.loads(marked)))
    except tomllib.TOMLDecodeError as error:
        raise NotRenewableError(
            _("release.toml: the number stands where it cannot be changed by itself. Change it by hand.")
        ) from error
    wanted = [
        (one, change.after if fits(landed.get(place), change.places) else one[0])
        for place, (one, change) in enumerate(found)
    ]
    return filled(text, wanted)


def filled(text: str, replacements: Sequence[tuple[re.Match[str], str]]) -> str:
    """Put a text in the place of each match; matches are in order and apart."""
    parts, end = [], 0
    for match, instead in replacements:
        parts += [text[end : match.start()], instead]
        end = match.end()
    return "".join([*parts, text[end:]])


def marks_in(value: Any, place: Place = ()) -> Iterator[tuple[int, Place]]:
    """Give the number of each mark in the texts of a TOML value, with the place of its text; keys are passed by."""
    if isinstance(value, str):
        yield from ((int(match[1]), place) for match in MARK.finditer(value))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from marks_in(inner, (*place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from marks_in(inner, (*place, number))


def fits(place: Place | None, wanted: Sequence[tuple[str | None, ...]]) -> bool:
    return place is not None and any(
        len(place) >= len(one) and all(part in {None, own} for part, own in zip(one, place, strict=False))
        for one in wanted
    )
