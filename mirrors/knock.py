"""Ask a public address as a client does, and never one of a private network unless it is allowed.

1. A name is resolved first, and every address that it has must be public or in the allowed networks.
2. The connection goes to an address that was looked at, so that a name cannot change in between.
3. A redirect is followed a few times, each by the same rules.
4. All of it ends within TIMEOUT_S a request, and no more bytes are read than were asked for.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, urljoin, urlsplit

from mirrors.errors import MirrorRefusedError, MirrorUnavailableError

TIMEOUT_S = 10.0
MOST_REDIRECTS = 3
REDIRECTS = {301, 302, 303, 307, 308}
PORTS = {"http": 80, "https": 443}
BLOCK_BYTES = 8192
AGENT = "Data for Canada - mirror probe"
Networks = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]


@dataclass(frozen=True)
class Request:
    method: str
    url: SplitResult
    headers: Mapping[str, str]
    most_bytes: int
    timeout_s: float

    @property
    def target(self) -> str:
        return (self.url.path or "/") + (f"?{self.url.query}" if self.url.query else "")


@dataclass(frozen=True)
class Reply:
    """What an address said: the status, the headers in lower case, and at most as many bytes as were asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Line:
    """Hangs up when the time for a whole request is over, however slowly the other side goes on talking."""

    def __init__(self, end: socket.socket, timeout_s: float) -> None:
        self.end = end
        self.is_late = threading.Event()
        self.timer = threading.Timer(timeout_s, self.hang_up)
        self.timer.daemon = True

    def __enter__(self) -> Self:
        self.timer.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.timer.cancel()
        self.timer.join()
        if error is not None:
            self.refuse_if_late()

    def hang_up(self) -> None:
        self.is_late.set()
        with suppress(OSError):
            self.end.shutdown(socket.SHUT_RDWR)

    def refuse_if_late(self) -> None:
        if self.is_late.is_set():
            raise TimeoutError


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
    for _ in range(MOST_REDIRECTS + 1):
        parts = urlsplit(url)
        request = Request(method, parts, headers or {}, most_bytes, timeout_s)
        reply = knock_once(request, resolve(parts, allowed))
        if reply.status not in REDIRECTS or "location" not in reply.headers:
            return reply
        url = urljoin(url, reply.headers["location"])
    raise MirrorUnavailableError(f"{url}: it redirects more than {MOST_REDIRECTS} times. Look at its server.")


def knock_once(request: Request, address: tuple[str, int]) -> Reply:
    try:
        with connected(request, address) as (connection, line):
            connection.request(request.method, request.target, headers={"User-Agent": AGENT, **request.headers})
            answer = connection.getresponse()
            body = read(answer, request.most_bytes)
            line.refuse_if_late()
            return Reply(answer.status, {name.lower(): text for name, text in answer.getheaders()}, body)
    except (OSError, http.client.HTTPException) as error:
        raise MirrorUnavailableError(f"{request.url.netloc}: {words(error)}. It is asked again later.") from error


def words(error: Exception) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__


def resolve(url: SplitResult, allowed: Networks) -> tuple[str, int]:
    """Give the address and port to connect to; raises MirrorRefusedError if any address of the name is private."""
    if url.scheme not in PORTS or not url.hostname:
        raise MirrorRefusedError(f"{url.geturl()}: it is no web address. Correct the mirror's public address.")
    port = url.port or PORTS[url.scheme]
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise MirrorUnavailableError(f"{url.hostname}: its name is not known ({error}).") from error
    private = sorted(address for address in found if not is_allowed(address, allowed))
    if private:
        raise MirrorRefusedError(
            f"{url.hostname}: {private[0]} is no public address. If it is meant, allow its network in "
            "DFC_PRIVATE_NETWORKS."
        )
    return min(found), port


def is_allowed(text: str, allowed: Networks) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_global or any(address in network for network in allowed)


@contextmanager
def connected(request: Request, address: tuple[str, int]) -> Iterator[tuple[http.client.HTTPConnection, Line]]:
    """Connect to an address that was looked at, while name and certificate are those of the web address."""
    host, port, is_plain = request.url.hostname or "", request.url.port, request.url.scheme == "http"
    context = ssl.create_default_context()
    with socket.create_connection(address, timeout=request.timeout_s) as plain:
        end = plain if is_plain else context.wrap_socket(plain, server_hostname=host)
        connection = http.client.HTTPConnection(host, port) if is_plain else http.client.HTTPSConnection(host, port)
        connection.sock = end
        with end, closing(connection), Line(end, request.timeout_s) as line:
            yield connection, line


def read(answer: http.client.HTTPResponse, most_bytes: int) -> bytes:
    body = b""
    while len(body) < most_bytes and (block := answer.read1(min(BLOCK_BYTES, most_bytes - len(body)))):
        body += block
    return body
