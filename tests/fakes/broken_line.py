"""A line to a server that breaks: passes bytes on, and hangs up after as many of the answer as it is told."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

BLOCK_BYTES = 64 * 1024


class BrokenLine(socketserver.ThreadingTCPServer):
    """Passes each connection on to `port`; one of which more than `breaks_after` bytes come back is cut there.

    `breaks` counts the cuts that are still to come.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, *, breaks_after: int, breaks: int) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.port, self.breaks_after, self.breaks = port, breaks_after, breaks

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Passing(socketserver.BaseRequestHandler):
    server: BrokenLine

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.port)) as other:
            threading.Thread(target=self.pass_questions, args=(other,), daemon=True).start()
            came = 0
            while block := other.recv(BLOCK_BYTES):
                came += len(block)
                if came > self.server.breaks_after and self.server.breaks > 0:
                    self.server.breaks -= 1
                    self.request.shutdown(socket.SHUT_RDWR)
                    return
                self.request.sendall(block)

    def pass_questions(self, other: socket.socket) -> None:
        try:
            while block := self.request.recv(BLOCK_BYTES):
                other.sendall(block)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            return  # the line was cut


@contextmanager
def broken_line(port: int, *, breaks_after: int, breaks: int) -> Iterator[BrokenLine]:
    with BrokenLine(port, breaks_after=breaks_after, breaks=breaks) as line:
        thread = threading.Thread(target=line.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield line
        line.shutdown()
        thread.join()
