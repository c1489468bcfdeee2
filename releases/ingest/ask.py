"""Ask servers of others for their files, as a polite stranger does.

1. Each address is looked at by the guard, and the connection goes to the address that was looked at; name and
   certificate are those of the web address.
2. A redirect is followed at most MOST_REDIRECTS times, each by the same rules, and never from https to http.
3. A server that says nothing for `stall_s` is left, and so is one that has not ended after `total_s`.
4. Files come as they lie there: no packing on the way is asked for.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3.exceptions
from urllib3 import HTTPHeaderDict
from urllib3.connection import HTTPConnection
from urllib3.response import BaseHTTPResponse
from urllib3.util.wait import wait_for_read

from catalog.addresses import AddressRefusedError, NameUnknownError, Networks, resolve
from catalog.line import Line
from releases.errors import UpstreamRefusedError, UpstreamUnavailableError

MOST_REDIRECTS = 5
MOVED_FOR_GOOD = {301, 308}
REDIRECTS = MOVED_FOR_GOOD | {302, 303, 307}
BLOCK_BYTES = 1 << 20
CONNECT_S = 10.0
BROKEN = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)


@dataclass(frozen=True)
class Manners:
    """How we ask: under which name, whom, and for how long we wait (seconds)."""

    agent: str
    allowed: Networks
    stall_s: float
    total_s: float


@dataclass(frozen=True)
class Answer:
    """What a server said; `url` is where it was said in the end, `is_moved` that only lasting redirects led there."""

    url: str
    is_moved: bool
    response: BaseHTTPResponse
    line: Line

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def headers(self) -> HTTPHeaderDict:
        return self.response.headers

    def blocks(self) -> Iterator[bytes]:
        """Give the body as it comes; raises UpstreamUnavailableError where it breaks off."""
        while block := self.block():
            yield block

    def has_more(self) -> bool:
        """Tell whether bytes came after the end that was announced, as far as they are here already."""
        if isinstance(self.line.end, ssl.SSLSocket):
            return self.line.end.pending() > 0
        try:
            return wait_for_read(self.line.end, timeout=0) and bool(self.line.end.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def block(self) -> bytes:
        try:
            block = self.response.read1(BLOCK_BYTES, decode_content=False)
            self.line.refuse_if_late()
        except BROKEN as error:
            raise broken(self.url, error) from error
        return block


class Caller:
    """Asks for one thread, and keeps the last connection for the next question to the same server.

    `hang_up` may be called from any thread: the question under way ends with UpstreamUnavailableError, and no other
    is asked.
    """

    def __init__(self, manners: Manners) -> None:
        self.manners = manners
        self.kept: dict[tuple[str, str], HTTPConnection] = {}
        self.lock = threading.Lock()
        self.line: Line | None = None
        self.is_hung_up = False

    @contextmanager
    def ask(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Answer]:
        """Ask, redirects followed.

        Raises UpstreamUnavailableError for no answer, UpstreamRefusedError for what our rules forbid.
        """
        is_moved, hop = True, url
        for _ in range(MOST_REDIRECTS + 1):
            with self.ask_once(method, hop, headers or {}) as (response, line):
                status, location = response.status, response.headers.get("location", "")
                if status not in REDIRECTS or not location:
                    yield Answer(hop, is_moved and hop != url, response, line)
                    return
            is_moved, hop = is_moved and status in MOVED_FOR_GOOD, followed(hop, location)
        raise UpstreamRefusedError(
            f"{url}: it redirects more than {MOST_REDIRECTS} times, perhaps in a circle. Name where the file lies."
        )

    @contextmanager
    def ask_once(self, method: str, url: str, headers: Mapping[str, str]) -> Iterator[tuple[BaseHTTPResponse, Line]]:
        parts = urlsplit(url)
        with self.connected(parts) as (connection, line):
            try:
                response = self.begin(connection, method, parts, headers)
                line.refuse_if_late()
            except BROKEN as error:
                raise broken(url, error) from error
            yield response, line
            if is_spent(response):
                response.read()  # nothing is left, which the connection has to learn
                self.kept[parts.scheme, parts.netloc] = connection

    def begin(
        self, connection: HTTPConnection, method: str, parts: SplitResult, headers: Mapping[str, str]
    ) -> BaseHTTPResponse:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        given = {
            "Host": parts.netloc.rpartition("@")[2],
            "User-Agent": self.manners.agent,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            **headers,
        }
        connection.request(method, target, headers=given, preload_content=False, decode_content=False)
        return connection.getresponse()

    @contextmanager
    def connected(self, parts: SplitResult) -> Iterator[tuple[HTTPConnection, Line]]:
        """Give a connection, and close it unless it was kept for the next question."""
        place = (parts.scheme, parts.netloc)
        connection = self.kept.pop(place, None)
        if connection is None or not connection.is_connected:  # its end came, or bytes that nobody asked for
            connection = self.reach(parts)
        try:
            with self.held(Line(connection.sock, self.manners.total_s), parts) as line:
                if parts.scheme == "https" and not isinstance(connection.sock, ssl.SSLSocket):
                    encrypt(connection, line, parts)
                yield connection, line
        finally:
            if self.kept.get(place) is not connection:
                connection.close()

    @contextmanager
    def held(self, line: Line, parts: SplitResult) -> Iterator[Line]:
        """Let `hang_up` reach a line while it is in use."""
        with self.lock:
            if self.is_hung_up:
                raise UpstreamUnavailableError(f"{parts.netloc}: it was not asked, since this work is being stopped.")
            self.line = line
        try:
            with line:
                yield line
        except TimeoutError as error:
            raise broken(parts.geturl(), error) from error
        finally:
            with self.lock:
                self.line = None

    def reach(self, parts: SplitResult) -> HTTPConnection:
        """Connect to an address that was looked at."""
        try:
            place = resolve(parts, self.manners.allowed)
            end = socket.create_connection(place, timeout=min(CONNECT_S, self.manners.stall_s))
        except AddressRefusedError as error:
            raise UpstreamRefusedError(error.message) from error
        except NameUnknownError as error:
            raise UpstreamUnavailableError(error.message) from error
        except OSError as error:
            raise broken(parts.geturl(), error) from error
        end.settimeout(self.manners.stall_s)
        connection = HTTPConnection(parts.hostname or "", place[1], timeout=self.manners.stall_s)
        connection.sock = end
        return connection

    def hang_up(self) -> None:
        with self.lock:
            self.is_hung_up = True
            if self.line is not None:
                self.line.hang_up()

    def close(self) -> None:
        for connection in self.kept.values():
            connection.close()
        self.kept.clear()


def encrypt(connection: HTTPConnection, line: Line, parts: SplitResult) -> None:
    """Begin TLS on a connection: the certificate has to be that of the name, whatever address was connected to."""
    context = ssl.create_default_context()
    try:
        line.end = connection.sock = context.wrap_socket(
            connection.sock, server_hostname=parts.hostname, do_handshake_on_connect=False
        )
        connection.sock.do_handshake()
    except OSError as error:
        raise broken(parts.geturl(), error) from error


def followed(url: str, location: str) -> str:
    """Give where a redirect leads; raises UpstreamRefusedError for one that gives up encryption."""
    target = urljoin(url, location)
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise UpstreamRefusedError(
            f"{url}: it redirects to {target}, which is not encrypted. Name where the file lies."
        )
    return target


def is_spent(response: BaseHTTPResponse) -> bool:
    """Tell whether all of an answer was read, so that its connection is good for another question."""
    is_whole = getattr(response, "length_remaining", None) == 0
    return is_whole and response.headers.get("connection", "").lower() != "close"


def broken(url: str, error: Exception) -> UpstreamUnavailableError:
    return UpstreamUnavailableError(f"{url}: {words_of(error)}. It is tried again.")


def words_of(error: Exception) -> str:
    """Say what broke off a conversation."""
    inner = error.args[1] if isinstance(error, urllib3.exceptions.ProtocolError) and len(error.args) > 1 else error
    if isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
        return "it fell silent, or took too long"
    if isinstance(inner, urllib3.exceptions.IncompleteRead) and inner.expected:
        return f"it gave {inner.partial} of the {inner.partial + inner.expected} bytes that it announced"
    return f"the conversation broke off ({str(inner)[:200] or type(inner).__name__})"
