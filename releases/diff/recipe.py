"""How two recipes differ: code, parameters, sources, and the environment package by package."""

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)")
LONGEST_DIFF = 60_000  # characters
LONGEST_VALUE = 400


@dataclass(frozen=True)
class Entry:
    """One named thing of before and of after; the empty text where it is not there."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Code:
    """Code at two commits: git's own summary and difference, cut at LONGEST_DIFF; `note` says why there is none."""

    repository: Entry
    commit: Entry
    entry_point: Entry
    summary: str
    patch: str
    is_cut: bool
    note: str = ""


@dataclass(frozen=True)
class RecipeDiff:
    """What is otherwise in the recipe; entries that are the same are left out."""

    code: Code
    parameters: tuple[Entry, ...]
    sources: tuple[Entry, ...]
    environment: Entry
    packages: tuple[Entry, ...]
    environment_patch: str


@dataclass(frozen=True)
class Locked:
    """The recipe of one version as its manifest locks it; `sources` are digests by name.

    `installed` are the packages in the image of a container, one a line: kind, name, and what else is known.
    """

    repository: str
    commit: str
    entry_point: str
    parameters: Mapping[str, Any]
    sources: Mapping[str, str]
    environment: str
    environment_text: str
    installed: str = ""


@dataclass(frozen=True)
class CodeChange:
    """What git says between two commits."""

    summary: str = ""
    patch: str = ""
    note: str = ""


def compare_recipes(before: Locked | None, after: Locked, change: CodeChange) -> RecipeDiff:
    """Compare what two manifests lock; everything is new where there is no manifest of before."""
    old = before or Locked("", "", "", {}, {}, "", "")
    return RecipeDiff(
        code=code(old, after, change),
        parameters=entries(flat(old.parameters), flat(after.parameters)),
        sources=entries(old.sources, after.sources),
        environment=Entry("environment", old.environment, after.environment),
        packages=entries(packages_of(old), packages_of(after)),
        environment_patch=patch_of(old, after) if before else "",
    )


def code(old: Locked, new: Locked, change: CodeChange) -> Code:
    return Code(
        repository=Entry("repository", old.repository, new.repository),
        commit=Entry("commit", old.commit, new.commit),
        entry_point=Entry("entry_point", old.entry_point, new.entry_point),
        summary=change.summary[:LONGEST_DIFF],
        patch=change.patch[:LONGEST_DIFF],
        is_cut=len(change.patch) > LONGEST_DIFF,
        note=change.note,
    )


def entries(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Entry, ...]:
    """Give what differs, by name."""
    names = sorted({*before, *after})
    found = (Entry(name, before.get(name, ""), after.get(name, "")) for name in names)
    return tuple(one for one in found if one.before != one.after)


def flat(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Give nested parameters by dotted names."""
    found: dict[str, str] = {}
    for name, value in parameters.items():
        place = f"{prefix}{name}"
        found |= flat(value, f"{place}.") if isinstance(value, Mapping) else {place: as_text(value)}
    return found


def as_text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:LONGEST_VALUE]


def packages_of(locked: Locked) -> dict[str, str]:
    return packages(locked.environment_text) | installed(locked.installed)


def installed(listing: str) -> dict[str, str]:
    """Give what is installed in an image by kind and name, such as `deb gdal-bin`."""
    lines = (line.split(maxsplit=2) for line in listing.splitlines() if " " in line)
    return {f"{kind} {name}": rest[0] if rest else name for kind, name, *rest in lines}


def packages(lock: str) -> dict[str, str]:
    """Give the pinned packages of a lock, or of any text that pins with `==`."""
    lines = (line for line in lock.splitlines() if not line.lstrip().startswith("#"))
    return {found[1].lower().replace("_", "-"): found[2] for line in lines for found in PINNED.finditer(line)}


def patch_of(old: Locked, new: Locked) -> str:
    """Give the unified difference of two environment definitions without hashes, cut at LONGEST_DIFF."""
    mine, theirs = (
        [line for line in one.environment_text.splitlines() if "--hash=" not in line] for one in (old, new)
    )
    lines = difflib.unified_diff(mine, theirs, fromfile=old.environment, tofile=new.environment, lineterm="")
    return "\n".join(lines)[:LONGEST_DIFF]
