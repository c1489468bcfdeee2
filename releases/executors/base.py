"""What an executor of builds does: run one command over folders, confined, and say how well confined."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MEBI = 1 << 20

Tick = Callable[[], None]


@dataclass(frozen=True)
class Limits:
    """What a build may use at most: time of its whole and of each process, memory and file size of each process."""

    wall_s: float = 3600
    cpu_s: int = 3600
    memory_bytes: int = 4096 * MEBI
    file_bytes: int = 20_480 * MEBI
    processes: int = 256


@dataclass(frozen=True)
class Task:
    """One run: `command` in `code`, reading `inputs`, writing only `out`; `log` receives what it prints."""

    command: tuple[str, ...]
    code: Path
    inputs: tuple[Path, ...]
    out: Path
    log: Path
    environment: Mapping[str, str]
    limits: Limits = Limits()


@dataclass(frozen=True)
class Execution:
    """How a run ended: `exit_code` is negative for a signal, None when the time limit ended it.

    `isolation` says in words what really confined it.
    """

    exit_code: int | None
    isolation: str


def nothing() -> None:
    """Take a tick that nobody asked for."""


class Executor(Protocol):
    """Runs tasks. The process group of a task is killed before `run` returns, however it returns.

    `tick` is called about every second while the task runs; what it raises ends the task and passes through.
    """

    name: str

    def run(self, task: Task, *, tick: Tick = nothing) -> Execution: ...
