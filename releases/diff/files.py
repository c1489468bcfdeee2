"""Files of two versions, paired: by path, by path without the version's number, then by key."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    SAME = "same"


@dataclass(frozen=True)
class File:
    """One file of a version as its rows say; `key` is the STAC key, uniform over versions."""

    path: str
    key: str
    media_type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class FilePair:
    """A file of before and of after; one of them is None where there is only the other."""

    fate: Fate
    before: File | None
    after: File | None

    @property
    def path(self) -> str:
        one = self.after or self.before
        return one.path if one else ""

    @property
    def is_renamed(self) -> bool:
        return bool(self.before and self.after and self.before.path != self.after.path)


def compare_files(before: Sequence[File], after: Sequence[File], *, numbers: tuple[str, str]) -> tuple[FilePair, ...]:
    """Pair files; `numbers` are those of the two versions, which names of files often carry."""
    old_number, new_number = numbers
    pairs: dict[str, File] = {}
    for old_name, new_name in (
        (path_of, path_of),
        (without(old_number), without(new_number)),
        (key_of, key_of),
    ):
        pairs |= matched(before, after, pairs, old_name, new_name)
    taken = {one.path for one in pairs.values()}
    gone = [FilePair(Fate.REMOVED, one, None) for one in before if one.path not in taken]
    return (*(pair(pairs.get(one.path), one) for one in after), *gone)


def path_of(file: File) -> str:
    return file.path


def key_of(file: File) -> str:
    return f"{file.key} {file.media_type}"


def without(number: str) -> Callable[[File], str]:
    return lambda file: file.path.replace(number, "{number}") if number else file.path


def matched(
    before: Sequence[File],
    after: Sequence[File],
    pairs: dict[str, File],
    old_name: Callable[[File], str],
    new_name: Callable[[File], str],
) -> dict[str, File]:
    """Pair by a name those that no earlier name paired."""
    taken = {one.path for one in pairs.values()}
    free = {old_name(one): one for one in before if one.path not in taken}
    return {one.path: free.pop(new_name(one)) for one in after if one.path not in pairs and new_name(one) in free}


def pair(before: File | None, after: File) -> FilePair:
    if before is None:
        return FilePair(Fate.ADDED, None, after)
    return FilePair(Fate.SAME if before.sha256 == after.sha256 else Fate.CHANGED, before, after)
