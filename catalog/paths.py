"""Paths of Assets: safe as an address, as a file on any system, as an object key and in a torrent.

Rules: relative and POSIX; segments of ASCII letters, digits, `.`, `_` and `-` (so always NFC), none empty, none
beginning with `.` or `-` or ending with `.`; no name that Windows keeps for devices; none of the names
that the resolver or a version's checksum list uses. Case is kept, but two paths may not differ in case only.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from catalog.errors import PersonMustActError
from catalog.sentences import Sentence
from catalog.sentences import sentence as _

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
        raise _refusal(files[key], "folder", _("it is a file here and a folder in another path; rename one"))
    return checked


def _path_finding(path: str) -> tuple[str, Sentence] | None:
    if not path:
        return "empty", _("it is empty; name a file")
    if len(path) > PATH_LENGTH:
        return "too-long", _("it has more than %(most)s characters; shorten it", most=PATH_LENGTH)
    if "\\" in path:
        return "backslash", _("it has a backslash; separate folders with /")
    if path.startswith("/") or _DRIVE.match(path):
        return "absolute", _("it is absolute; write it from the root of the version")
    return None


def _segment_findings(segment: str) -> Iterator[tuple[str, Sentence]]:
    if not segment:
        yield "empty-segment", _("it has an empty folder or file name; use single slashes, none at the end")
    if segment in {".", ".."}:
        yield "dots", _("it has the segment `%(segment)s`; write the plain path", segment=segment)
    if not _SEGMENT.fullmatch(segment):
        yield (
            "character",
            _("%(segment)s has another character; use A-Z a-z 0-9 . _ - only", segment=ascii(segment[:40])),
        )
    if segment.startswith((".", "-")) or segment.endswith("."):
        yield "edge", _("`%(segment)s` begins with . or -, or ends with .; rename it", segment=segment[:40])
    if len(segment) > SEGMENT_LENGTH:
        yield "too-long", _("a name in it has more than %(most)s characters; shorten it", most=SEGMENT_LENGTH)
    if is_device_name(segment):
        yield "device", _("Windows keeps the name `%(segment)s` for a device; rename it", segment=segment)


def _name_finding(name: str) -> tuple[str, Sentence] | None:
    for suffix in RESERVED_SUFFIXES:
        if name.lower().endswith(suffix):
            return "suffix", _(
                "names in `%(suffix)s` are made by the resolver; leave it out or rename it", suffix=suffix
            )
    if name.lower() == CHECKSUM_LIST.lower():
        return "checksum-list", _(
            "`%(name)s` is the list that we write ourselves; leave it out or rename it", name=CHECKSUM_LIST
        )
    return None


def _refusal(path: str, code: str, finding: Sentence) -> PathError:
    return PathError(
        _("Path %(path)s: %(finding)s.", path=ascii(path[:PATH_LENGTH]), finding=finding), path=path, code=code
    )


def _collision(path: str, other: str) -> PathError:
    if path == other:
        return _refusal(path, "duplicate", _("it is listed twice; list it once"))
    return _refusal(
        path, "case", _("it differs from %(other)s in case only; rename one of the two", other=ascii(other))
    )


def _note_folders(path: str, folders: dict[str, str]) -> None:
    """Note every folder of the path; one spelled in two cases is one folder on some systems, two on others."""
    for end in (index for index, character in enumerate(path) if character == "/"):
        other = folders.setdefault(path[:end].casefold(), path[:end])
        if other != path[:end]:
            raise _collision(path[:end], other)
