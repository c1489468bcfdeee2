"""Lists of addresses: one on a line, blank lines and `#` comments left out, the order being the priority.

Text in, values out. Every finding is reported at once, with its line.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from catalog.sentences import Sentence
from catalog.sentences import sentence as _
from releases.errors import ListingError

MOST_FILES = 100_000
URL_LENGTH = 1000
NAME_LENGTH = 120
SHOWN_FINDINGS = 20
AS_THEY_ARE = "%/:@!$&'()*+,;=~-._?[]"  # what stands in an address already, percent signs included
NO_NAME = "file"


@dataclass(frozen=True)
class Listed:
    """The addresses of a list in order, each once; `repeated` are those that stood in it again."""

    urls: tuple[str, ...]
    repeated: tuple[str, ...]


def read_list(text: str) -> Listed:
    """Read a pasted list; raises ListingError naming every line that is no address, and for an empty list."""
    lines = ((number, line.strip()) for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1))
    return checked((number, line) for number, line in lines if line and not line.startswith("#"))


def checked(entries: Iterable[tuple[int, str]]) -> Listed:
    """Check numbered addresses; raises ListingError with every finding."""
    urls: dict[str, None] = {}
    repeated, findings = [], []
    for number, entry in entries:
        url = normal(entry)
        if finding := url_finding(url):
            findings.append(_("line %(number)s: %(finding)s", number=number, finding=finding))
        elif url in urls:
            repeated.append(url)
        else:
            urls[url] = None
        if len(urls) > MOST_FILES:
            raise ListingError(_("The list: it has more than %(most)s files. Make several of it.", most=MOST_FILES))
    if findings:
        raise refuse(findings)
    if not urls:
        raise ListingError(_("The list: there is no address in it. Write one address on a line."))
    return Listed(tuple(urls), tuple(repeated))


def refuse(findings: list[Sentence]) -> ListingError:
    shown = tuple(findings[:SHOWN_FINDINGS])
    return ListingError(
        _(
            "The list: lines to correct: %(count)s. Nothing was kept. %(findings)s",
            count=len(findings),
            findings=shown,
        ),
        findings=shown,
    )


def normal(text: str) -> str:
    """Write blanks and accents in an address as its server is asked for them; the rest stays as it is.

    A fragment is left out: it is never sent.
    """
    return quote(text.partition("#")[0], safe=AS_THEY_ARE)


def url_finding(url: str) -> Sentence | None:
    """Say what is wrong with an address; None if nothing is."""
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_web = False
    if not is_web:
        return _("%(url)s is no web address. Write it like https://data.example.org/file.zip.", url=url[:200])
    if parts.username is not None or parts.password is not None:
        return _("%(host)s: it holds a user name or password. Leave them out.", host=parts.hostname)
    if len(url) > URL_LENGTH:
        return _("%(url)s… has more than %(most)s characters. Leave it out.", url=url[:80], most=URL_LENGTH)
    return None


def file_name(url: str) -> str:
    """Give the name under which a file is kept: the last part of its address, in letters that are safe anywhere."""
    last = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])
    return safe_name(last)


def safe_name(text: str) -> str:
    """Turn any name into at most 120 ASCII letters, digits, `.`, `_` and `-`, beginning with a letter or digit.

    An extension survives the cut.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", plain).lstrip("._-").rstrip(".") or NO_NAME
    stem, dot, extension = name.rpartition(".")
    if len(name) <= NAME_LENGTH or not dot:
        return name[:NAME_LENGTH]
    tail = f".{extension}"[:20]
    return stem[: NAME_LENGTH - len(tail)] + tail


def different_names(names: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Give a name to each pair of name and address so that none comes twice, not even in another case.

    A name that was given already gets part of the digest of its address.
    """
    given: set[str] = set()
    for name, url in names:
        found = name
        if name.casefold() in given:
            stem, dot, extension = name.rpartition(".")
            found = f"{(stem if dot else name)[:90]}-{url_digest(url)}{dot}{extension[:20] if dot else ''}"
        given.add(found.casefold())
        yield found


def url_digest(url: str) -> str:
    """Give the short digest that keeps two files of one name apart."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]
