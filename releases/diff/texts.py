"""Metadata of two versions side by side, word by word, in both languages."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

WORDS = re.compile(r"\s+|[^\s]+")
YEAR = re.compile(r"(?<!\d)(?:1[89]|20)\d\d(?!\d)")
LONGEST_DIFFED = 20_000  # characters; longer texts are shown whole, before and after
SAME_TEXT_WORDS = 4  # a title such as "Alberta" may well be the same in both languages


class Part(StrEnum):
    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True)
class Run:
    """Words in a row with one fate."""

    part: Part
    text: str


@dataclass(frozen=True)
class TextDiff:
    """One text in one language; `runs` read in order give both texts."""

    before: str
    after: str
    runs: tuple[Run, ...]

    @property
    def is_changed(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True)
class FieldDiff:
    """One field of release.toml in both languages; `path` is where it stands there, without the language."""

    path: str
    en: TextDiff
    fr: TextDiff


@dataclass(frozen=True)
class FactDiff:
    """One fact that has no language: licence, box, time, providers."""

    path: str
    before: str
    after: str


Bilingual = tuple[str, str]


def compare_fields(before: Mapping[str, Bilingual], after: Mapping[str, Bilingual]) -> tuple[FieldDiff, ...]:
    """Compare fields by path, in the order of after; one that is not there is empty."""
    return tuple(
        FieldDiff(path, *(compare_text(old, new) for old, new in zip(before.get(path, ("", "")), texts, strict=True)))
        for path, texts in after.items()
    )


def compare_facts(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[FactDiff, ...]:
    return tuple(
        FactDiff(path, before.get(path, ""), after.get(path, "")) for path in dict.fromkeys([*before, *after])
    )


def compare_text(before: str, after: str) -> TextDiff:
    return TextDiff(before, after, tuple(runs(before, after)))


def runs(before: str, after: str) -> list[Run]:
    """Give runs of words that stayed, went and came."""
    if before == after:
        return [Run(Part.SAME, after)] if after else []
    if max(len(before), len(after)) > LONGEST_DIFFED:
        return whole(before, after)
    old, new = WORDS.findall(before), WORDS.findall(after)
    found: list[Run] = []
    for _kind, start, end, other, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        found += block(old[start:end], new[other:last])
    return found


def block(old: Sequence[str], new: Sequence[str]) -> list[Run]:
    if old == new:
        return [Run(Part.SAME, "".join(new))]
    return whole("".join(old), "".join(new))


def whole(before: str, after: str) -> list[Run]:
    return [Run(part, text) for part, text in ((Part.REMOVED, before), (Part.ADDED, after)) if text]


def years(text: str) -> set[str]:
    return set(YEAR.findall(text))


def is_untranslated(field: FieldDiff) -> bool:
    """Tell whether a sentence stands in French as it does in English."""
    return field.en.after == field.fr.after and len(field.en.after.split()) >= SAME_TEXT_WORDS
