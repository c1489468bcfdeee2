"""Paths of Assets: safe as an address, as a file on any system, as an object key and in a torrent.

Rules: relative and POSIX; segments of ASCII letters, digits, `.`, `_` and `-` (so always NFC), none empty, none
beginning with `.` or `-` or ending with `.`; no name that Windows keeps for devices; none of the names
that the resolver or a version's checksum list uses. Case is kept, but two paths may not differ in case only.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from catalog.errors import PersonMustActError

PATH_LENGTH = 255
SEGMENT_LENGTH = 120
RESERVED_SUFFIXES = (".torrent", ".sha256", ".meta4", ".mirrors.json")
CHECKSUM_LIST = "SHA256SUMS"

_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_DRIVE = re.compile(r"[A-Za-z]:")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE | re.DOTALL)


class PathError(PersonMustActError):
    """A path cannot be an Asset's; `path` and `code` say which and why."""


def is_device_name(name: str) -> bool:
    """Tell whether Windows keeps this file name for a device, with any extension or none."""
    return _DEVICE.fullmatch(name) is not None


def check_path(path: str) -> str:
    """Give the path back unchanged; raises PathError if it is not a safe relative path."""
    segments = path.split("/") if len(path) <= PATH_LENGTH else []
    finding = _path_finding(path) or next(chain.from_iterable(map(_segment_findings, segments)), None)
    finding = finding or _name_finding(segments[-1])
    if finding:
        raise _refusal(path, *finding)
    return path


def check_paths(paths: Iterable[str]) -> tuple[str, ...]:
    """Check each path and that all can lie side by side; gives them back in their order.

    Raises PathError also for a path that comes twice, that differs from another in case only, or that
    is a file where another has a folder.
    """
    checked = tuple(check_path(path) for path in paths)
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in checked:
        _note_folders(path, folders)
        if path.casefold() in files:
            raise _collision(path, files[path.casefold()])
        files[path.casefold()] = path
    for key in sorted(files.keys() & folders.keys()):
        raise _refusal(files[key], "folder", "it is a file here and a folder in another path", "rename one")
    return checked


def _path_finding(path: str) -> tuple[str, str, str] | None:
    if not path:
        return "empty", "it is empty", "name a file"
    if len(path) > PATH_LENGTH:
        return "too-long", f"it has more than {PATH_LENGTH} characters", "shorten it"
    if "\\" in path:
        return "backslash", "it has a backslash", "separate folders with /"
    if path.startswith("/") or _DRIVE.match(path):
        return "absolute", "it is absolute", "write it from the root of the version"
    return None


def _segment_findings(segment: str) -> Iterator[tuple[str, str, str]]:
    if not segment:
        yield "empty-segment", "it has an empty folder or file name", "use single slashes, none at the end"
    if segment in {".", ".."}:
        yield "dots", f"it has the segment `{segment}`", "write the plain path"
    if not _SEGMENT.fullmatch(segment):
        yield "character", f"{segment[:40]!a} has another character", "use A-Z a-z 0-9 . _ - only"
    if segment.startswith((".", "-")) or segment.endswith("."):
        yield "edge", f"`{segment[:40]}` begins with . or -, or ends with .", "rename it"
    if len(segment) > SEGMENT_LENGTH:
        yield "too-long", f"a name in it has more than {SEGMENT_LENGTH} characters", "shorten it"
    if is_device_name(segment):
        yield "device", f"Windows keeps the name `{segment}` for a device", "rename it"


def _name_finding(name: str) -> tuple[str, str, str] | None:
    for suffix in RESERVED_SUFFIXES:
        if name.lower().endswith(suffix):
            return "suffix", f"names in `{suffix}` are made by the resolver", "leave it out or rename it"
    if name.lower() == CHECKSUM_LIST.lower():
        return "checksum-list", f"`{CHECKSUM_LIST}` is the list that we write ourselves", "leave it out or rename it"
    return None


def _refusal(path: str, code: str, finding: str, remedy: str) -> PathError:
    return PathError(f"Path {path[:PATH_LENGTH]!a}: {finding}; {remedy}.", path=path, code=code)


def _collision(path: str, other: str) -> PathError:
    if path == other:
        return _refusal(path, "duplicate", "it is listed twice", "list it once")
    return _refusal(path, "case", f"it differs from {other!a} in case only", "rename one of the two")


def _note_folders(path: str, folders: dict[str, str]) -> None:
    """Note every folder of the path; one spelled in two cases is one folder on some systems, two on others."""
    for end in (index for index, character in enumerate(path) if character == "/"):
        other = folders.setdefault(path[:end].casefold(), path[:end])
        if other != path[:end]:
            raise _collision(path[:end], other)
