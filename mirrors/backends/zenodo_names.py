"""Names of files at Zenodo, which has no folders: each path as one name, and back. Pure.

A `/` becomes `~`, which no path of ours has; `%` and `~` themselves, should one ever have them, are written as in
addresses. So every name is that of one path only.
"""

import re

from mirrors.errors import MirrorRefusedError

LONGEST_NAME = 255
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def flat(path: str) -> str:
    """Give the one name of a path; raises MirrorRefusedError for one that Zenodo cannot have."""
    name = path.replace("%", "%25").replace("~", "%7E").replace("/", "~")
    if not path or CONTROL.search(path) or name in {".", ".."}:
        raise MirrorRefusedError(f"{path!r}: Zenodo cannot keep a file of that name. Rename it in a new version.")
    if len(name.encode()) > LONGEST_NAME:
        raise MirrorRefusedError(
            f"{path}: its name has more than the {LONGEST_NAME} bytes that Zenodo keeps. Shorten it in a new version."
        )
    return name


def path_of(name: str) -> str:
    """Give the path that a name stands for."""
    return name.replace("~", "/").replace("%7E", "~").replace("%25", "%")
