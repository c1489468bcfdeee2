"""A conversation with a server that ends in time."""

import socket
import threading
from contextlib import suppress
from typing import Self


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
