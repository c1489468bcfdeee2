"""A conversation with a server that ends in time."""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Self
from urllib.parse import SplitResult


class Line:
    """Hangs up when the time for a whole request is over, however slowly the other side goes on talking."""

    def __init__(self, end: socket.socket, timeout_s: float) -> None:
        self.end = end
        self.is_late = threading.Event()
        self.timer = threading.Timer(timeout_s, self.run_out)
        self.timer.daemon = True

    def __enter__(self) -> Self:
        self.timer.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.timer.cancel()
        self.timer.join()
        if isinstance(error, Exception):
            self.refuse_if_late()

    def run_out(self) -> None:
        self.is_late.set()
        self.hang_up()

    def hang_up(self) -> None:
        """End the conversation now; whoever waits for the other side wakes up. For any thread."""
        with suppress(OSError):
            self.end.shutdown(socket.SHUT_RDWR)

    def refuse_if_late(self) -> None:
        """Raise TimeoutError once the time is over."""
        if self.is_late.is_set():
            raise TimeoutError


@contextmanager
def connected(
    url: SplitResult, address: tuple[str, int], *, silence_s: float, total_s: float
) -> Iterator[tuple[http.client.HTTPConnection, Line]]:
    """Connect to an address that was looked at, while name and certificate are those of the web address.

    It ends with OSError when the other side says nothing for `silence_s`, or has not ended after `total_s`.
    """
    host, port, is_plain = url.hostname or "", url.port, url.scheme == "http"
    with socket.create_connection(address, timeout=silence_s) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = plain if is_plain else ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        connection = http.client.HTTPConnection(host, port) if is_plain else http.client.HTTPSConnection(host, port)
        connection.sock = end
        with end, closing(connection), Line(end, total_s) as line:
            yield connection, line
