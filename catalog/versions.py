"""Numbers of our editions: SemVer 2.0.0 without build metadata.

Stored as `0.1.0-beta`, shown and in addresses as `v0.1.0-beta`; `parse` takes both. The number says what
changed in our product; the vintage of the source is a part of the dataset's identifier (`catalog.naming`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import semver

from catalog.errors import PersonMustActError
from catalog.sentences import Sentence
from catalog.sentences import sentence as _

NUMBER_DIGITS = 9
PRERELEASE_LENGTH = 40
TEXT_LENGTH = 80
EXAMPLE = _("Write three numbers and, if it is not stable, a word: v1.2.0 or v0.1.0-beta.")

_CHARACTERS = re.compile(r"[0-9A-Za-z.-]+")


class VersionNumberError(PersonMustActError):
    """A text is not a version number of ours; `text` and `code` say which and why."""

    message: Sentence


@dataclass(frozen=True)
class VersionNumber:
    """One SemVer number; `prerelease` is empty for a stable one.

    Raises VersionNumberError for parts that do not make a number which `parse` reads back.
    """

    major: int
    minor: int
    patch: int
    prerelease: str = ""

    def __post_init__(self) -> None:
        _checked(str(self))

    def __str__(self) -> str:
        core = f"{self.major}.{self.minor}.{self.patch}"
        return f"{core}-{self.prerelease}" if self.prerelease else core

    @property
    def shown(self) -> str:
        return f"v{self}"

    @property
    def is_stable(self) -> bool:
        return not self.prerelease

    @property
    def precedence(self) -> str:
        """Text of [0-9a-f] whose plain order is the precedence of SemVer 2.0.0 section 11; under 200 characters.

        A number is its count of digits and its digits, so longer is greater. A pre-release (`0…`) comes
        before its stable number (`1`). In it `0` ends the list, `1` opens a number, `2` opens a word in
        hexadecimal ASCII that `00` ends: a number is below a word, and a list below its own continuation.
        """
        core = "".join(_number_key(str(number)) for number in (self.major, self.minor, self.patch))
        if self.is_stable:
            return f"{core}1"
        parts = (_part_key(part) for part in self.prerelease.split("."))
        return f"{core}0{''.join(parts)}0"


def parse(text: str) -> VersionNumber:
    """Read `0.1.0-beta` or `v0.1.0-beta`; raises VersionNumberError for anything else."""
    parsed = _checked(text.removeprefix("v"), shown=text)
    return VersionNumber(parsed.major, parsed.minor, parsed.patch, parsed.prerelease or "")


def latest(numbers: Iterable[VersionNumber]) -> VersionNumber | None:
    """Give the highest precedence; a pre-release only where there is no stable number, None of none."""
    return max(numbers, key=lambda number: (number.is_stable, number.precedence), default=None)


def _checked(number: str, *, shown: str | None = None) -> semver.Version:
    text = number if shown is None else shown
    finding = _finding(number)
    if finding:
        raise _refusal(text, *finding)
    try:
        return semver.Version.parse(number)
    except ValueError as error:
        raise _refusal(text, "shape", _("this is not a SemVer number (leading zeros are none either)")) from error


def _finding(number: str) -> tuple[str, Sentence] | None:
    """Say what SemVer allows and we do not, before a parser sees a text of any length."""
    core, _dash, prerelease = number.partition("-")
    if number.lower() == "latest":
        return "latest", _("`latest` is an address that moves, not a version")
    if "+" in number:
        return "build-metadata", _("build metadata (`+…`) has no precedence and is not used here")
    if not _CHARACTERS.fullmatch(number):
        return "character", _("only ASCII letters, digits, dots and hyphens are used")
    if len(prerelease) > PRERELEASE_LENGTH or len(number) > TEXT_LENGTH:
        return "too-long", _("it is too long; a pre-release has up to %(most)s characters", most=PRERELEASE_LENGTH)
    if any(part.isdigit() and len(part) > NUMBER_DIGITS for part in [*core.split("."), *prerelease.split(".")]):
        return "too-large", _("a number has more than %(most)s digits", most=NUMBER_DIGITS)
    return None


def _refusal(text: str, code: str, finding: Sentence) -> VersionNumberError:
    words = _(
        "Version %(text)s: %(finding)s. %(example)s", text=ascii(text[:TEXT_LENGTH]), finding=finding, example=EXAMPLE
    )
    return VersionNumberError(words, text=text, code=code)


def _number_key(digits: str) -> str:
    return f"{len(digits)}{digits}"


def _part_key(part: str) -> str:
    return f"1{_number_key(part)}" if part.isdigit() else f"2{part.encode('ascii').hex()}00"
