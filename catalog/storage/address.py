"""Where our own storage lies, read from one address. Pure: settings call it before Django is there.

    file:///srv/dfc
    s3://bucket/prefix?endpoint=https://s3.example.org&region=ca-central-1&style=path

The bucket may be followed by a prefix. All that stands after `?` may be left out: without an endpoint it is AWS.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

MIB = 1 << 20
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PREFIX = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*")
CHOICES = {
    "style": ("auto", "path", "virtual"),
    "checksum": ("sha256", "md5"),
    "parts": ("growing", "equal"),
    "resume": ("yes", "no"),
}
PART_MIB = range(5, 1025)
WORDS = {"endpoint", "region", "part_mib", *CHOICES}


class AddressError(ValueError):
    """The address says nothing that can be used; the message is the finding, without the address."""


@dataclass(frozen=True)
class S3Address:
    """A place in an S3-compatible service. `prefix` is empty or ends in a slash.

    `checksum` is what each part carries to be checked on arrival. `parts` is `equal` for services that refuse an
    upload whose parts differ in length (the last may). `resume` is `no` for services that do not join objects to one
    (UploadPartCopy with a condition): there a long file that broke off begins anew.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    style: str = "auto"
    checksum: str = "sha256"
    parts: str = "growing"
    part_bytes: int = 8 * MIB
    resume: str = "yes"


def parse_address(text: str) -> Path | S3Address:
    """Give the folder or the place in a service; raises AddressError."""
    try:
        url = urlsplit(text)
        words = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
    except ValueError as error:
        raise AddressError("it cannot be read as an address") from error
    if "@" in url.netloc:
        raise AddressError("it holds a name or a key, which belong into variables of their own")
    if url.scheme == "file" and not url.netloc and not words and url.path.strip("/"):
        return Path(unquote(url.path))
    if url.scheme != "s3" or url.fragment:
        raise AddressError("it begins with neither s3:// nor file:///")
    return s3_address(url.netloc, url.path.strip("/"), dict(words))


def s3_address(bucket: str, path: str, words: dict[str, str]) -> S3Address:
    prefix = path and f"{path}/"
    if not BUCKET.fullmatch(bucket):
        raise AddressError(f"{bucket!r} is no name of a bucket")
    if not PREFIX.fullmatch(prefix):
        raise AddressError(f"{path!r} is no prefix of plain names")
    unknown = sorted(words.keys() - WORDS)
    if unknown:
        raise AddressError(f"{unknown[0]!r} is not among {', '.join(sorted(WORDS))}")
    chosen = {name: choice(name, words[name]) for name in CHOICES if name in words}
    return S3Address(
        bucket=bucket,
        prefix=prefix,
        endpoint=endpoint(words["endpoint"]) if "endpoint" in words else None,
        region=words.get("region") or None,
        part_bytes=part_mib(words.get("part_mib", "8")) * MIB,
        **chosen,
    )


def choice(name: str, value: str) -> str:
    if value not in CHOICES[name]:
        raise AddressError(f"{name} is {value!r}, not one of {', '.join(CHOICES[name])}")
    return value


def endpoint(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or "@" in url.netloc:
        raise AddressError("endpoint is no web address")
    return value.rstrip("/")


def part_mib(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", value) or int(value) not in PART_MIB:
        raise AddressError(f"part_mib is {value!r}, not a whole number from {PART_MIB[0]} to {PART_MIB[-1]}")
    return int(value)
