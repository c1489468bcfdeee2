"""What an executor of builds does: run one command over folders, confined, and say how well confined."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MEBI = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What a build may use at most."""

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


class Executor(Protocol):
    """Runs tasks. The whole process group of a task is gone when `run` returns, and when our process dies."""

    name: str

    def run(self, task: Task) -> Execution: ...
