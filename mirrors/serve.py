"""Serve the directories of local mirrors over HTTP: a WSGI application without Django.

    DFC_SERVE="origin=/srv/origin;second=/srv/second" gunicorn mirrors.serve:application

`/<mirror>/<locator>` answers GET and HEAD with one range at most (RFC 9110 section 14), ETag, CORS and nosniff.
Nothing is listed; names with a dot in front, links out of the directory and unfinished files do not exist.
"""

import errno
import mimetypes
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from catalog.errors import StewardshipError
from catalog.storage.files import locate, read_file

# 4300 digits are more than Python turns into a number; 100 are more than any file has.
RANGE = re.compile(r"bytes=([0-9]{0,100})-([0-9]{0,100})")
TYPES = {
    ".geojson": "application/geo+json",
    ".parquet": "application/vnd.apache.parquet",
    ".pmtiles": "application/vnd.pmtiles",
    ".gz": "application/gzip",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
}
COMMON = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "Accept-Ranges, Content-Length, Content-Range, ETag"),
    ("X-Content-Type-Options", "nosniff"),
]
# Of files only: a cache that kept a 404 would hide a file for an hour after it came.
CACHE = ("Cache-Control", "public, max-age=3600")
Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """What to say: the status line, headers, and the bytes `start` to `start + length` of `path`, or `text`."""

    status: str
    headers: Headers
    path: Path | None = None
    start: int = 0
    length: int = 0
    text: bytes = b""


class MirrorServer:
    """The WSGI application; `directories` by the mirror's slug."""

    def __init__(self, directories: dict[str, Path]) -> None:
        self.directories = directories

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answer = self.answer(environ)
        start_response(answer.status, [*COMMON, *answer.headers])
        if environ["REQUEST_METHOD"] == "HEAD":
            return []
        return [answer.text] if answer.path is None else blocks(answer.path, answer.start, answer.length)

    def answer(self, environ: dict[str, Any]) -> Answer:
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS":
            return preflight()
        if method not in {"GET", "HEAD"}:
            return said("405 Method Not Allowed", "Only GET and HEAD.", [("Allow", "GET, HEAD, OPTIONS")])
        path = self.find(environ)
        if path is None:
            return said("404 Not Found", "No such file on this mirror.")
        return describe(path, environ)

    def find(self, environ: dict[str, Any]) -> Path | None:
        """Give the file that an address names, None for whatever is not a plain published file."""
        try:
            slug, *names = requested(environ)
            path = locate(self.directories[slug], "/".join(names))
            return path if path.is_file() and not path.is_symlink() else None
        except (KeyError, ValueError, RuntimeError, StewardshipError):
            return None  # RuntimeError is a loop of links
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return None


def requested(environ: dict[str, Any]) -> list[str]:
    """Give the decoded names of the path; ValueError for an encoded slash, which is part of no name of ours.

    A server's raw path is preferred, since PATH_INFO does not tell an encoded slash from a plain one.
    """
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if not raw.startswith("/"):
        path: str = environ.get("PATH_INFO", "")
        return path.encode("latin-1").decode().split("/")[1:]
    names = [unquote_to_bytes(name).decode() for name in raw.split("?", 1)[0].split("/")[1:]]
    if any("/" in name for name in names):
        raise ValueError(raw)
    return names


def describe(path: Path, environ: dict[str, Any]) -> Answer:
    facts = path.stat()
    etag = f'"{facts.st_size:x}-{facts.st_mtime_ns:x}"'
    media_type = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    validators = [CACHE, ("ETag", etag), ("Last-Modified", formatdate(facts.st_mtime, usegmt=True))]
    if is_known(etag, environ.get("HTTP_IF_NONE_MATCH", "")):
        return Answer("304 Not Modified", validators)
    headers = [*validators, ("Content-Type", media_type), ("Accept-Ranges", "bytes")]
    return ranged(path, facts.st_size, headers, environ, etag)


def is_known(etag: str, named: str) -> bool:
    """Tell whether If-None-Match names this ETag, compared weakly (RFC 9110 section 13.1.2)."""
    tags = {tag.strip().removeprefix("W/") for tag in named.split(",")}
    return bool(tags & {etag, "*"})


def ranged(path: Path, size_bytes: int, headers: Headers, environ: dict[str, Any], etag: str) -> Answer:
    """Answer one range; several, malformed ones, and an If-Range of another ETag give the whole file."""
    match = RANGE.fullmatch(environ.get("HTTP_RANGE", "").strip())
    if match is None or match.groups() == ("", "") or environ.get("HTTP_IF_RANGE", etag) != etag:
        return Answer("200 OK", [*headers, ("Content-Length", str(size_bytes))], path, 0, size_bytes)
    start, end = bounds(match, size_bytes)
    if start > end:
        return said(
            "416 Range Not Satisfiable", "The file ends before.", [("Content-Range", f"bytes */{size_bytes}")]
        )
    length = end - start + 1
    headers = [
        *headers,
        ("Content-Length", str(length)),
        ("Content-Range", f"bytes {start}-{end}/{size_bytes}"),
    ]
    return Answer("206 Partial Content", headers, path, start, length)


def bounds(match: re.Match[str], size_bytes: int) -> tuple[int, int]:
    """Give first and last byte of `a-b`, `a-` or `-n`; first above last if nothing of it exists."""
    first, last = match.groups()
    if first == "":
        suffix = int(last)
        return (max(0, size_bytes - suffix), size_bytes - 1) if suffix else (1, 0)
    end = min(int(last), size_bytes - 1) if last else size_bytes - 1
    return int(first), end


def blocks(path: Path, start: int, length: int) -> Iterator[bytes]:
    return read_file(path, start, length)


def said(status: str, words: str, headers: Headers | None = None) -> Answer:
    text = f"{words}\n".encode()
    plain = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(text)))]
    return Answer(status, [*plain, *(headers or [])], text=text)


def preflight() -> Answer:
    return Answer(
        "204 No Content",
        [
            ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
            ("Access-Control-Allow-Headers", "Range, If-Range, If-None-Match"),
            ("Access-Control-Max-Age", "86400"),
        ],
    )


def directories(text: str) -> dict[str, Path]:
    """Read `slug=/path;slug=/path`; ValueError names a part that is not of that form."""
    found = {}
    for part in filter(None, text.split(";")):
        slug, separator, directory = part.partition("=")
        if not separator or not slug or not Path(directory).is_absolute():
            raise ValueError(f"DFC_SERVE: {part!r} is not slug=/absolute/path. Join several with semicolons.")
        found[slug] = Path(directory)
    return found


application = MirrorServer(directories(os.environ.get("DFC_SERVE", "")))
