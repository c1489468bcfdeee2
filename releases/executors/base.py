"""What an executor of builds does: run one command over folders, confined, and say how well confined."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MEBI = 1 << 20

Tick = Callable[[], None]


@dataclass(frozen=True)
class Limits:
    """What a build may use at most: time of its whole and of each process, memory and file size of each process.

    A container's memory, processors, processes and disk (what it writes, all together) are counted for its whole.
    """

    wall_s: float = 3600
    cpu_s: int = 3600
    memory_bytes: int = 4096 * MEBI
    file_bytes: int = 20_480 * MEBI
    disk_bytes: int = 61_440 * MEBI
    processes: int = 256
    processors: float = 2


@dataclass(frozen=True)
class Task:
    """One run: `command` in `code`, reading `inputs`, writing only `out`; `log` receives what it prints.

    `name` is the same for every try of one build, so that a later try finds what a killed one has left.
    """

    command: tuple[str, ...]
    code: Path
    inputs: tuple[Path, ...]
    out: Path
    log: Path
    environment: Mapping[str, str]
    limits: Limits = Limits()
    name: str = ""


@dataclass(frozen=True)
class Execution:
    """How a run ended: `exit_code` is negative for a signal, None when a limit ended it.

    `isolation` says in words what really confined it; `is_over_disk` that it was the limit on disk, not on time.
    """

    exit_code: int | None
    isolation: str
    is_over_disk: bool = False


def nothing() -> None:
    """Take a tick that nobody asked for."""


class Executor(Protocol):
    """Runs tasks. Every process of a task is killed before `run` returns, however it returns.

    `tick` is called about every second while the task runs; what it raises ends the task and passes through.
    `discard` ends what an earlier try of a task of that name has left, and is called before folders are emptied.
    """

    name: str

    @property
    def isolation(self) -> str: ...

    def run(self, task: Task, *, tick: Tick = nothing) -> Execution: ...

    def discard(self, name: str) -> None: ...
