"""A confined process on this machine: bubblewrap where it works, limits alone elsewhere.

What bubblewrap gives: no network, read-only system, code and inputs, a private /tmp, own process ids. Without
it the recipe runs with resource limits and a cleared environment only, and the provenance says so.
"""

import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from releases.executors.base import Execution, Limits, Task

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/passwd")


class LocalExecutor:
    """Runs a task as a child process in a session of its own."""

    name = "local"

    def __init__(self, bubblewrap: str | None) -> None:
        self.bubblewrap = bubblewrap

    @property
    def isolation(self) -> str:
        if self.bubblewrap is None:
            return "process with resource limits; the network was not cut off"
        return f"{bubblewrap_version(self.bubblewrap)}: no network, read-only system, code and inputs"

    def run(self, task: Task) -> Execution:
        confined = () if self.bubblewrap is None else self.confined(task)
        with task.log.open("wb") as log:
            process = subprocess.Popen(
                [*limited(task.limits), *confined, *task.command],
                cwd=task.code,
                env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", **task.environment},  # noqa: S108  private in bubblewrap
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            return Execution(exit_code=wait(process, task.limits.wall_s), isolation=self.isolation)

    def confined(self, task: Task) -> tuple[str, ...]:
        readable = [Path(path) for path in SYSTEM if Path(path).exists()]
        readable += [*interpreter_roots(Path(task.command[0])), task.code, *task.inputs]
        binds = [word for path in readable for word in ("--ro-bind", str(path), str(path))]
        return (
            str(self.bubblewrap),
            *("--unshare-all", "--die-with-parent", "--new-session"),
            *("--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev"),  # noqa: S108  the build's own /tmp
            *binds,
            *("--bind", str(task.out), str(task.out)),
            *("--chdir", str(task.code), "--"),
        )


def interpreter_roots(python: Path) -> list[Path]:
    """Give the folders that an interpreter of a virtual environment needs: its own and the one it was made from."""
    root, base = python.parent.parent, Path(sys.base_prefix)
    roots = [root] if root.exists() else []
    return roots if base.is_relative_to("/usr") else [*roots, base]


def limited(limits: Limits) -> tuple[str, ...]:
    """Give the words that put a command under limits and let it die with us: prlimit(1) and setpriv(1)."""
    words = [f"--cpu={limits.cpu_s}", f"--as={limits.memory_bytes}", f"--fsize={limits.file_bytes}", "--core=0"]
    if os.getuid() != 0:  # root's processes are counted over the whole machine
        words.append(f"--nproc={limits.processes}")
    return ("prlimit", *words, "setpriv", "--pdeathsig", "KILL", "--")


def wait(process: "subprocess.Popen[bytes]", wall_s: float) -> int | None:
    """Wait for the end or the time limit, then kill whatever is left of the group."""
    try:
        return process.wait(timeout=wall_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        kill_group(process.pid)
        process.wait()


def kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@functools.cache
def bubblewrap_version(program: str) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()


@functools.cache
def working_bubblewrap() -> str | None:
    """Give bubblewrap's path if it really runs here; containers often forbid its namespaces."""
    program = shutil.which("bwrap")
    if program is None:
        return None
    probe = [program, "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    return program if succeeded(lambda: subprocess.run(probe, capture_output=True, timeout=20, check=True)) else None


def succeeded(act: Callable[[], object]) -> bool:
    try:
        act()
    except (subprocess.SubprocessError, OSError):
        return False
    return True


def local_executor() -> LocalExecutor:
    """Open the local executor with the best confinement that works here."""
    return LocalExecutor(working_bubblewrap())
