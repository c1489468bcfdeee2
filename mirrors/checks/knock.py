"""Ask a public address as a client does, and never one of a private network unless it is allowed.

1. The connection goes to an address that catalog/addresses.py has looked at.
2. A redirect is followed a few times, each by the same rules; one that leads where nobody may be sent is a failure of
   who answered so, and no question of our rules.
3. All of it ends within TIMEOUT_S a request, and no more bytes are read than were asked for.
"""

import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from catalog.addresses import AddressRefusedError, NameUnknownError, Networks, resolve
from catalog.line import connected
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError

TIMEOUT_S = 10.0
MOST_REDIRECTS = 3
REDIRECTS = {301, 302, 303, 307, 308}
BLOCK_BYTES = 8192
PLAIN = "%/:?#[]@!$&'()*+,;=~"  # what an address may have as it is, beside letters and digits
AGENT = "Data for Canada - mirror probe"


@dataclass(frozen=True)
class Request:
    method: str
    url: SplitResult
    headers: Mapping[str, str]
    most_bytes: int
    timeout_s: float
    body: bytes | None = None

    @property
    def target(self) -> str:
        return (self.url.path or "/") + (f"?{self.url.query}" if self.url.query else "")


@dataclass(frozen=True)
class Reply:
    """What an address said: the status, the headers in lower case, and at most as many bytes as were asked for.

    `certificate_ends_s` is when the certificate of its server ends (Unix time); None without encryption.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    certificate_ends_s: int | None = None


def knock(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    most_bytes: int = 0,
    allowed: Networks = (),
    timeout_s: float = TIMEOUT_S,
) -> Reply:
    """Ask once, redirects followed; raises MirrorUnavailableError for no answer, MirrorRefusedError by our rules."""
    address = address_of(urlsplit(url), allowed)
    for _ in range(MOST_REDIRECTS + 1):
        reply = knock_once(Request(method, urlsplit(url), headers or {}, most_bytes, timeout_s), address)
        if reply.status not in REDIRECTS or "location" not in reply.headers:
            return reply
        url, address = led_to(url, reply.headers["location"], allowed)
    raise MirrorUnavailableError(f"{url}: it redirects more than {MOST_REDIRECTS} times. Look at its server.")


def led_to(url: str, location: str, allowed: Networks) -> tuple[str, tuple[str, int]]:
    """Give where a redirect leads, its bytes as a browser writes them, and the address to connect to.

    Raises MirrorUnavailableError for what is no address, or none that anybody may be sent to.
    """
    try:
        led = urljoin(url, quote(location.encode("latin-1", "replace"), safe=PLAIN))
        return led, address_of(urlsplit(led), allowed)
    except (ValueError, MirrorRefusedError) as error:
        raise MirrorUnavailableError(
            f"{url}: it redirects where nobody can go. {error} Look at its server."
        ) from error


def knock_once(request: Request, address: tuple[str, int]) -> Reply:
    try:
        limits = {"silence_s": request.timeout_s, "total_s": request.timeout_s}
        with connected(request.url, address, **limits) as (connection, line):
            headers = {"User-Agent": AGENT, **request.headers}
            connection.request(request.method, request.target, body=request.body, headers=headers)
            answer = connection.getresponse()
            body = read(answer, request.most_bytes)
            line.refuse_if_late()
            headers = {name.lower(): text for name, text in answer.getheaders()}
            return Reply(answer.status, headers, body, end_of_certificate(line.end))
    except (OSError, http.client.HTTPException) as error:
        raise MirrorUnavailableError(f"{request.url.netloc}: {words(error)}. It is asked again later.") from error


def end_of_certificate(end: socket.socket) -> int | None:
    certificate = end.getpeercert() if isinstance(end, ssl.SSLSocket) else None
    return ssl.cert_time_to_seconds(str(certificate["notAfter"])) if certificate else None


def words(error: Exception) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__


def address_of(url: SplitResult, allowed: Networks) -> tuple[str, int]:
    """Give the address and port to connect to; raises MirrorRefusedError if our rules let nobody ask it."""
    try:
        return resolve(url, allowed)
    except AddressRefusedError as error:
        raise MirrorRefusedError(error.message) from error
    except NameUnknownError as error:
        raise MirrorUnavailableError(error.message) from error


def read(answer: http.client.HTTPResponse, most_bytes: int) -> bytes:
    body = b""
    while len(body) < most_bytes and (block := answer.read1(min(BLOCK_BYTES, most_bytes - len(body)))):
        body += block
    return body
