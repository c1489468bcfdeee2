"""What tests of real processes share: waiting on a condition, and seeing who is still alive."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

# For scripts of their own process: its peak of memory in KiB. ru_maxrss would begin at that of its parent.
PEAK_KIB = 'int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])'


def eventually(found: Callable[[], object], seconds: float = 30) -> None:
    """Wait until `found()` is true; an AssertionError tells that it never was."""
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def alive(token: str) -> dict[int, bytes]:
    """Give the command lines of other processes that hold a token, by process, in whatever namespace they are."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes()
            if token.encode() in words and int(path.parent.name) != os.getpid():
                found[int(path.parent.name)] = words
    return found
