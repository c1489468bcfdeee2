"""Run web, mirrors, workers, seeder and the demonstration as one group, and stop them as one.

Each child dies with this process, however it ends; if one of the lasting ones ends, all are stopped.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from django.conf import settings

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
GRACE_S = 15.0
LOOP_S = 0.3
Say = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """One child: its name for people, its words, and whether the group may go on without it."""

    name: str
    words: tuple[str, ...]
    is_lasting: bool = True


def programs(mirror_port: str) -> list[Program]:
    python, manage = sys.executable, str(Path(sys.argv[0]).resolve())
    gunicorn = (
        python,
        "-m",
        "gunicorn",
        "--no-control-socket",
        "--log-level",
        "warning",
        "--worker-class",
        "gthread",
    )
    web = ("--workers", "2", "--threads", "4", "--bind", f"127.0.0.1:{settings.DFC_PORT}", "dfc_site.wsgi")
    mirrors = ("--workers", "1", "--threads", "8", "--bind", f"127.0.0.1:{mirror_port}", "mirrors.serve:application")
    return [
        Program("web server", (*gunicorn, *web)),
        Program("mirror server", (*gunicorn, *mirrors)),
        Program("workers", (python, manage, "work")),
        Program("seeder", (python, manage, "seed")),
        Program("demonstration", (python, "-u", manage, "demo"), is_lasting=False),
    ]


def die_with_parent() -> None:
    """Ask the kernel (prctl(2)) to end this child when we are gone. It is started before any thread is."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Group:
    """The running programs."""

    def __init__(self, wanted: list[Program], say: Say) -> None:
        self.say = say
        self.stop_asked = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.ask_to_stop)
        self.running = {program: start(program) for program in wanted}

    def ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stop_asked.set()

    def run(self) -> int:
        """Wait for Ctrl-C or the end of a lasting program; gives the exit code of the group."""
        try:
            while not self.stop_asked.wait(LOOP_S):
                for program, process in list(self.running.items()):
                    if process.poll() is not None and self.ended(program, process.returncode):
                        return 1
            return 0
        finally:
            self.stop()

    def ended(self, program: Program, code: int) -> bool:
        """Take note of a program's end; true if the group has to end with it."""
        del self.running[program]
        if program.is_lasting:
            self.say(f"The {program.name} ended with exit code {code}; stopping all. Its last words are above.")
        elif code:
            self.say(f"The {program.name} could not go on; its last words are above. Everything else runs.")
        return program.is_lasting

    def stop(self) -> None:
        for process in self.running.values():
            process.terminate()
        deadline = time.monotonic() + GRACE_S
        for process in self.running.values():
            try:
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def start(program: Program) -> "subprocess.Popen[bytes]":
    """Start a child in a session of its own, so that Ctrl-C reaches only us and we decide the order."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(
        program.words,
        start_new_session=True,
        env=environment,
        preexec_fn=die_with_parent,  # noqa: PLW1509  no thread has been started yet
    )
