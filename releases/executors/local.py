"""A confined process on this machine: bubblewrap where it works, limits alone elsewhere.

What bubblewrap gives: no network, no privileges, a read-only system, code and inputs, own process ids, and the
end of every process of the recipe when ours ends, kill -9 included. Without it the recipe runs with resource
limits and a cleared environment only, may outlive us in processes of its own, and the provenance says so.

/tmp, HOME and /dev/shm are folders beside the output: on disk, so that they do not pass by the limit on memory.
"""

import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from releases.executors.base import Execution, Limits, Task, Tick, nothing

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/passwd")
# Root would keep its capabilities and could mount its way out; so they are dropped.
NAMESPACES = ("--unshare-all", "--die-with-parent", "--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev")
TMP, SHARED_MEMORY = "/tmp", "/dev/shm"  # noqa: S108  the build's own
SIGNALLED = 128
TICK_S = 1.0


class LocalExecutor:
    """Runs a task as a child process in a session of its own."""

    name = "local"

    def __init__(self, bubblewrap: str | None) -> None:
        self.bubblewrap = bubblewrap

    @property
    def isolation(self) -> str:
        if self.bubblewrap is None:
            return "process with resource limits only; the network and other files were not cut off"
        return f"{bubblewrap_version(self.bubblewrap)}: no network, read-only system, code and inputs"

    def run(self, task: Task, *, tick: Tick = nothing) -> Execution:
        with (
            tempfile.TemporaryDirectory(
                prefix="scratch-", dir=task.out.parent, ignore_cleanup_errors=True
            ) as scratch,
            task.log.open("wb") as log,
        ):
            process = subprocess.Popen(
                [*limited(task.limits), *self.confined(task, Path(scratch)), *task.command],
                cwd=task.code,
                env=self.environment(task, Path(scratch)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            code = wait(process, task.limits.wall_s, tick)
        return Execution(exit_code=code if self.bubblewrap is None else signed(code), isolation=self.isolation)

    def discard(self, name: str) -> None:
        """Do nothing: what a killed worker ran has ended with it."""

    def environment(self, task: Task, scratch: Path) -> dict[str, str]:
        """Give all that the recipe has of an environment: nothing of ours passes."""
        tmp = str(scratch) if self.bubblewrap is None else TMP
        return {"PATH": "/usr/bin:/bin", "HOME": tmp, "TMPDIR": tmp, **task.environment}

    def confined(self, task: Task, scratch: Path) -> tuple[str, ...]:
        """Give the words that put a command into bubblewrap, or none without it."""
        if self.bubblewrap is None:
            return ()
        readable = [Path(path) for path in SYSTEM if Path(path).exists()]
        readable += [*interpreter_roots(Path(task.command[0])), task.code, *task.inputs]
        binds = [word for path in readable for word in ("--ro-bind", str(path), str(path))]
        own = [word for path in (TMP, SHARED_MEMORY) for word in ("--bind", made(scratch, path), path)]
        return (
            self.bubblewrap,
            *NAMESPACES,
            *own,
            *binds,
            *("--bind", str(task.out), str(task.out)),
            *("--remount-ro", "/dev", "--remount-ro", "/"),
            *("--chdir", str(task.code), "--"),
        )


def signed(code: int | None) -> int | None:
    """Give a signal as a negative number where it is reported as shells do, by 128 and the signal."""
    if code is not None and SIGNALLED < code <= SIGNALLED + signal.SIGRTMAX:
        return SIGNALLED - code
    return code


def made(scratch: Path, path: str) -> str:
    folder = scratch / Path(path).name
    folder.mkdir()
    return str(folder)


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


def wait(process: "subprocess.Popen[bytes]", wall_s: float, tick: Tick) -> int | None:
    """Wait for the end, the time limit or what `tick` raises, then kill whatever is left of the group."""
    deadline = time.monotonic() + wall_s
    try:
        while (left := deadline - time.monotonic()) > 0:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(timeout=min(TICK_S, left))
            tick()
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
    probe = [program, "--ro-bind", "/", "/", *NAMESPACES, "--remount-ro", "/dev", "true"]
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
