"""The number that a change asks for (SemVer 2.0.0).

Rules:
1. MAJOR: what readers rely on broke. MINOR: something came. PATCH: something was corrected.
2. Below 1.0.0 the second number takes MAJOR's part, and the third that of MINOR and PATCH (SemVer section 4).
3. A pre-release promises nothing yet: any number after it with the same core is large enough (SemVer section 9).
   The proposal still raises the core and keeps the word, so that two contents never differ by their word alone.
"""

from dataclasses import dataclass
from enum import StrEnum

from catalog.versions import VersionNumber, parse


class Level(StrEnum):
    NONE = ""
    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"


ORDER = list(Level)


@dataclass(frozen=True)
class Bump:
    """What is proposed against what the author chose; numbers as text, empty where there is no version before."""

    level: Level
    before: str
    proposed: str
    chosen: str
    is_enough: bool
    is_more_than_needed: bool


def highest(levels: list[Level]) -> Level:
    return max(levels, key=ORDER.index, default=Level.NONE)


def propose(before: str, chosen: str, level: Level) -> Bump:
    """Propose a number for a change of `level` since `before`; a first edition may have any number."""
    number = parse(chosen)
    if not before:
        return Bump(Level.NONE, "", str(number), str(number), is_enough=True, is_more_than_needed=False)
    old = parse(before)
    needed = raised(old, level or Level.PATCH)
    is_preview = not old.is_stable and core(number) == core(old)
    return Bump(
        level=level,
        before=before,
        proposed=str(needed),
        chosen=str(number),
        is_enough=is_preview or core(number) >= core(needed),
        is_more_than_needed=core(number) > core(needed),
    )


def raised(old: VersionNumber, level: Level) -> VersionNumber:
    """Give the least number for a change of `level`, with the word of before."""
    if level == Level.MAJOR:
        first, second = (old.major + 1, 0) if old.major else (0, old.minor + 1)
        return VersionNumber(first, second, 0, old.prerelease)
    if level == Level.MINOR and old.major:
        return VersionNumber(old.major, old.minor + 1, 0, old.prerelease)
    return VersionNumber(old.major, old.minor, old.patch + 1, old.prerelease)


def core(number: VersionNumber) -> tuple[int, int, int]:
    return number.major, number.minor, number.patch
