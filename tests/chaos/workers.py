"""The real `manage.py work` as a process of its own against the database of the running test, and ways to kill it."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from urllib.parse import quote

from django.db import connection
from django.db.models import Sum

from releases.models import Step

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
MARK = "CHAOS_MARK"
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")  # a test run that is killed leaves no workers behind
PATIENCE_S = 240.0
NO_CLUSTER = "the supervisor has no cluster"
FAST = {
    "DFC_LEASE_S": "2",
    "DFC_BACKOFF_S": "0.2",
    "DFC_LONGEST_BACKOFF_S": "2",
    "DFC_REWAKE_S": "0.5",
    "DFC_STALL_S": "5",
    "DFC_GRACE_S": "30",
    "DFC_ATTEMPTS": "100",
    "DFC_WORKERS": "2",
}


def database_url() -> str:
    """Give the address of the database that this test uses, as DATABASE_URL wants it."""
    chosen: dict[str, Any] = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{Path(chosen['NAME']).resolve()}"
    login = ":".join(quote(str(chosen[name]), safe="") for name in ("USER", "PASSWORD") if chosen[name])
    return f"postgres://{login}@{chosen['HOST']}:{chosen['PORT']}/{chosen['NAME']}"


POLL_S = 0.05  # asking more often takes the processors from the workers


def wait_until(condition: Callable[[], T], words: str) -> T:
    """Give what the condition gives as soon as that is true; AssertionError with the words if it takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"after {PATIENCE_S} s: {words}"
        time.sleep(POLL_S)
    return found


def sum_of_fences() -> int:
    return Step.objects.aggregate(total=Sum("fence"))["total"] or 0


def wait_for_claims(wanted: int, meanwhile: Callable[[], None]) -> None:
    """Return when so many steps more have been claimed; `meanwhile` sees to it that there is work."""
    seen = sum_of_fences()

    def claimed() -> bool:
        meanwhile()
        return sum_of_fences() >= seen + wanted

    wait_until(claimed, "no step was claimed")


class Workers:
    """A supervisor with its cluster. `kill` hurts it, `stop` ends it kindly, `end` leaves nothing behind."""

    def __init__(self, log: Path, *, settings_module: str = "dfc_site.settings", **environment: str) -> None:
        self.log = log
        self.mark = secrets.token_hex(16)
        self.environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": settings_module,
            MARK: self.mark,
            **FAST,
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*DIES_WITH_US, sys.executable, "manage.py", "work"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    @property
    def supervisor(self) -> "subprocess.Popen[bytes]":
        assert self.process is not None, "start it first"
        return self.process

    def alive(self) -> list[int]:
        """Give every process that has our mark in its environment, orphans too; what is dead has none."""
        mark = f"{MARK}={self.mark}".encode()
        pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
        return sorted(pid for pid in pids if mark in environment_of(pid))

    def below(self) -> list[int]:
        return [pid for pid in self.alive() if pid != self.supervisor.pid]

    def groups(self) -> set[int]:
        """Give the process groups of its clusters; one that was forked just now is in ours for a moment."""
        return {group_of(pid) for pid in self.below()} - {0, os.getpgrp()}

    def kill_one(self, random: Random) -> None:
        """Kill a worker, the pusher, the monitor, the sentinel or the cluster's main process."""
        send(random.choice(wait_until(self.below, NO_CLUSTER)), signal.SIGKILL)

    def kill_cluster(self, _random: Random) -> None:
        """Kill a whole process group at once."""
        send(-min(wait_until(self.groups, NO_CLUSTER)), signal.SIGKILL)

    def kill_supervisor(self, _random: Random) -> None:
        """Kill the supervisor; whatever it started has to die of it. Then start another."""
        self.supervisor.kill()
        self.supervisor.wait()
        self.wait_for_silence()
        self.start()

    def wait_for_silence(self) -> None:
        wait_until(lambda: not self.alive(), "processes live on without their supervisor")

    def kill(self, kills: int, random: Random, *, meanwhile: Callable[[], None]) -> None:
        """Kill so many times, each while work goes on: of five, three single processes, a cluster, a supervisor."""
        kinds = [self.kill_one, self.kill_one, self.kill_cluster, self.kill_one, self.kill_supervisor]
        for turn in range(kills):
            wait_for_claims(random.randint(1, 4), meanwhile)
            time.sleep(random.uniform(0, 0.2))
            kinds[turn % len(kinds)](random)

    def stop(self) -> int:
        """Ask the supervisor to stop and give its exit code."""
        self.supervisor.terminate()
        return self.supervisor.wait(PATIENCE_S)

    def end(self) -> None:
        """Kill whatever is left."""
        while left := self.alive():
            for pid in left:
                send(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def words(self) -> str:
        """Give the last of what it logged."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-4000:]


def environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def send(pid: int, number: int) -> None:
    """Signal a process, or a group for a negative number; one that has just died is as good."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
