"""List the files below an address: the pages of a web server's folder, or the keys of an S3 bucket that is public.

Only what lies below the address is listed, in the order in which it is given. Pages, folders and bytes are bounded.
"""

from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import parse_qs, quote, unquote, urlencode, urljoin, urlsplit, urlunsplit
from xml.etree import ElementTree as ET

from catalog.sentences import sentence as _
from releases.errors import ListingError
from releases.ingest.ask import Answer, Caller
from releases.ingest.errand import OK
from releases.ingest.lists import MOST_FILES, normal

MOST_PAGES = 1000
PAGE_BYTES = 16 << 20
S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def list_files(address: str, caller: Caller) -> list[str]:
    """Give the addresses of the files below an address.

    Raises ListingError where there is no listing, or too long a one; UpstreamUnavailableError, UpstreamRefusedError.
    """
    found = list(of_bucket(address, caller) if is_bucket(address, caller) else of_folder(address, caller))
    if not found:
        raise ListingError(_("%(address)s: no file is listed there. Name a folder with files.", address=address))
    return found


def is_bucket(address: str, caller: Caller) -> bool:
    """Tell whether an address is that of an S3 listing, or of a place whose server gives no page for it."""
    if "list-type" in parse_qs(urlsplit(address).query):
        return True
    with caller.ask("GET", address) as answer:
        kind = answer.headers.get("content-type", "")
        return answer.status != OK or "xml" in kind.partition("html")[0]


def page(address: str, caller: Caller) -> tuple[str, bytes]:
    """Read one page of a listing; gives also where it was in the end."""
    with caller.ask("GET", address) as answer:
        if answer.status != OK:
            raise ListingError(
                _(
                    "%(address)s: it answered with status %(status)s. Name a folder that lists its files.",
                    address=address,
                    status=answer.status,
                )
            )
        return answer.url, body(address, answer)


def body(address: str, answer: Answer) -> bytes:
    content = b""
    for block in answer.blocks():
        content += block
        if len(content) > PAGE_BYTES:
            raise ListingError(
                _("%(address)s: its listing is longer than %(most)s MiB.", address=address, most=PAGE_BYTES >> 20)
            )
    return content


def too_many(address: str) -> ListingError:
    return ListingError(
        _(
            "%(address)s: it lists more than %(files)s files or %(pages)s pages. Name a smaller folder.",
            address=address,
            files=MOST_FILES,
            pages=MOST_PAGES,
        )
    )


class Links(HTMLParser):
    """Collects where the links of a page lead."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [text for name, text in attrs if tag == "a" and name == "href" and text]


def of_folder(address: str, caller: Caller) -> Iterator[str]:
    """Follow the folders of a web server's listing, those below `address` alone."""
    root = urlunsplit(urlsplit(normal(address))._replace(query="", fragment=""))
    root = root if root.endswith("/") else root.rpartition("/")[0] + "/"
    to_see, seen, count = [root], {root}, 0
    while to_see:
        if len(seen) > MOST_PAGES:
            raise too_many(address)
        place, content = page(to_see.pop(0), caller)
        for url in links_below(root, place, content):
            if url in seen:
                continue
            if url.endswith("/"):
                seen.add(url)
                to_see.append(url)
                continue
            count += 1
            if count > MOST_FILES:
                raise too_many(address)
            yield url


def links_below(root: str, place: str, content: bytes) -> list[str]:
    """Give the addresses below the root that a page links to, each once; links with a query sort a listing."""
    parser = Links()
    parser.feed(content.decode("utf-8", "replace"))
    urls = (normal(urljoin(place, link)) for link in parser.found)
    return list(dict.fromkeys(url for url in urls if url.startswith(root) and url != root and "?" not in url))


def of_bucket(address: str, caller: Caller) -> Iterator[str]:
    """List a bucket (ListObjectsV2), page by page. Keys that end in a slash are folders without content."""
    base, prefix = place_of(address)
    token, count = "", 0
    for _page in range(MOST_PAGES):
        asked = {"list-type": "2", "encoding-type": "url", "prefix": prefix}
        asked |= {"continuation-token": token} if token else {}
        listing = parsed(address, page(f"{base}?{urlencode(asked)}", caller)[1])
        for entry in listing.iter(f"{S3}Key"):
            key = unquote((entry.text or "").replace("+", " "))
            if key and not key.endswith("/"):
                count += 1
                yield base + quote(key)
        token = listing.findtext(f"{S3}NextContinuationToken", "")
        if listing.findtext(f"{S3}IsTruncated") != "true" or not token:
            return
        if count > MOST_FILES:
            break
    raise too_many(address)


def place_of(address: str) -> tuple[str, str]:
    """Give the bucket's address and the prefix: from the query of a listing, or from the path of a bucket by name."""
    parts = urlsplit(address)
    given = parse_qs(parts.query)
    if "list-type" in given:
        path = parts.path if parts.path.endswith("/") else f"{parts.path}/"
        return f"{parts.scheme}://{parts.netloc}{path}", given.get("prefix", [""])[0]
    return f"{parts.scheme}://{parts.netloc}/", unquote(parts.path.lstrip("/"))


def parsed(address: str, content: bytes) -> ET.Element:
    """Read an S3 listing; raises ListingError for anything else, and for XML that declares entities."""
    if b"<!" in content.partition(b"<ListBucketResult")[0]:
        raise no_listing(address)
    try:
        listing = ET.fromstring(content)  # noqa: S314  without a declaration there is nothing to expand
    except ET.ParseError as error:
        raise no_listing(address) from error
    if listing.tag != f"{S3}ListBucketResult":
        raise no_listing(address)
    return listing


def no_listing(address: str) -> ListingError:
    return ListingError(
        _("%(address)s: neither a folder's page nor the listing of a public bucket. Name another.", address=address)
    )
