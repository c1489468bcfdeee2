"""What is known of an upstream file before it is asked for, and what its server announces of it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime

from releases.errors import UpstreamUnavailableError
from releases.ingest.ask import Answer

OK, PARTIAL, UNCHANGED, OUT_OF_RANGE = 200, 206, 304, 416
TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504, 507, 509}
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
LONGEST_ETAG, LONGEST_DATE = 255, 60
MEDIA_TYPE = re.compile(r"[a-z0-9.+-]+/[A-Za-z0-9.+-]+")
UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class Announced:
    """What a server says of the content at an address; empty texts and None where it says nothing."""

    size_bytes: int | None = None
    etag: str = ""
    last_modified: str = ""

    @property
    def validator(self) -> str:
        """What tells this content from any other (RFC 9110, 13.1.5): a strong ETag, or else a date."""
        return self.etag if self.etag.startswith('"') else self.last_modified

    @property
    def continued_bytes(self) -> int:
        """Give the length of what the server can be asked to go on with after a break; 0 where it cannot."""
        return (self.size_bytes or 0) if self.validator else 0

    @property
    def tag(self) -> str:
        """Name the content for a partial file: bytes of another content are never continued."""
        text = f"{self.validator}\n{self.size_bytes}"
        return hashlib.sha256(text.encode()).hexdigest()[:16] if self.validator else "unnamed"


@dataclass(frozen=True)
class Errand:
    """One file to ask for, and where its next content goes.

    `held` is what we keep of it: its content as announced then, and its digest.
    """

    row: int
    url: str
    key: str = ""
    edition: int = 0
    announced: Announced = field(default_factory=Announced)
    held: Announced = field(default_factory=Announced)
    held_sha256: str = ""

    @property
    def conditions(self) -> dict[str, str]:
        """Give the headers that let a server say that nothing changed (RFC 9110, 13.1)."""
        if not self.held_sha256:
            return {}
        given = {"If-None-Match": self.held.etag, "If-Modified-Since": self.held.last_modified}
        return {name: text for name, text in given.items() if text}


def announced(answer: Answer) -> Announced:
    """Read the announcement of an answer of 200, or of 206 for the whole that it is a part of."""
    whole = CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
    length = answer.headers.get("content-length", "")
    is_packed = bool(answer.headers.get("transfer-encoding"))
    size = int(whole[3]) if whole else int(length) if length.isdecimal() and not is_packed else None
    return Announced(size, short(answer, "etag", LONGEST_ETAG), short(answer, "last-modified", LONGEST_DATE))


def short(answer: Answer, name: str, most: int) -> str:
    """Give a header, or nothing where it is too long to be sent back one day."""
    text = answer.headers.get(name, "")
    return text if len(text) <= most and text.isprintable() else ""


def media_type(answer: Answer) -> str:
    found = MEDIA_TYPE.match(answer.headers.get("content-type", "").strip().lower())
    return found[0][:120] if found else UNKNOWN_TYPE


def refuse_busy(answer: Answer, *, now: datetime) -> None:
    """Raise UpstreamUnavailableError for a status that may be another one later."""
    if answer.status in TRY_AGAIN:
        after_s = retry_after(answer.headers, now=now)
        pause = f" It asks for {round(after_s)} s of patience." if after_s else ""
        raise UpstreamUnavailableError(
            f"{answer.url}: it answered with status {answer.status}.{pause} It is tried again.",
            after_s=after_s,
            status=answer.status,
        )


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float:
    """Give the seconds that a server asks to wait (RFC 9110, 10.2.3); 0 if it does not."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(min(int(text[:9]), 10**9))
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return 0.0
