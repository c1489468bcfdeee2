"""The files of an item, as the Internet Archive lists them, without those that it adds itself."""

import re
from typing import Any

from mirrors.backends.base import RemoteStat

OWN_FILES = ("_meta.xml", "_files.xml", "_meta.sqlite", "_reviews.xml", "_archive.torrent")
HISTORY = "history/"
Entry = dict[str, Any]


def files_of(identifier: str, item: Entry) -> dict[str, Entry]:
    """Give the files that were put into an item, by path, without what the Archive adds itself."""
    entries = item.get("files", [])
    return {str(one["name"]): one for one in entries if is_put(identifier, one)} if isinstance(entries, list) else {}


def is_put(identifier: str, entry: Any) -> bool:
    if not isinstance(entry, dict) or entry.get("source") != "original":
        return False
    name = str(entry.get("name", ""))
    return bool(name) and not is_own_name(identifier, name)


def is_own_name(identifier: str, path: str) -> bool:
    """Tell whether the Archive uses a path for itself."""
    return path.startswith((HISTORY, "__")) or path in {f"{identifier}{end}" for end in OWN_FILES}


def size_of(entry: Entry) -> int:
    text = str(entry.get("size", ""))
    return int(text) if re.fullmatch(r"[0-9]{1,19}", text) else -1


def stat_of(entry: Entry, item: Entry) -> RemoteStat:
    checksums = {name: str(entry[name]).lower() for name in ("md5", "sha1") if entry.get(name)}
    return RemoteStat(size_of(entry), checksums, is_settling=bool(item.get("pending_tasks") or item.get("tasks")))
