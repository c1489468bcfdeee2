"""A container of podman or docker: no network, no privileges, a read-only system, and limits for its whole.

Inside, the code is always /code, what is read /in and what is written /out, whatever the folders are called outside:
a path that ends up in a file is then the same in each build and at everybody's who rebuilds.

A container outlives the engine's command that started it. So it has the name of its build, and the next try of that
build ends it first; podman ends it by itself a minute after its time is over.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from releases.errors import ContainerEngineError
from releases.executors.base import Execution, Task, Tick, nothing
from releases.executors.engine import NOBODY, Engine, environment, remove
from releases.executors.local import SIGNALLED, signed, wait

CODE, INPUTS, OUT = "/code", "/in", "/out"
TMP, SHARED_MEMORY = "/tmp", "/dev/shm"  # noqa: S108  the container's own
HOME = {"HOME": TMP, "TMPDIR": TMP}
ENGINE_FAILED = 125


class OverDiskError(Exception):
    """A container wrote more than it may; never leaves this file."""


class ContainerExecutor:
    """Runs a task in a container of one image, named by its id."""

    name = "container"

    def __init__(self, engine: Engine, image: str) -> None:
        self.engine = engine
        self.image = image

    @property
    def isolation(self) -> str:
        limits = "" if self.engine.has_limits else "; memory, processors and processes are not limited by this engine"
        return f"{self.engine.shown}: no network, no privileges, read-only system, code and inputs{limits}"

    def discard(self, name: str) -> None:
        remove(self.engine, name)

    def run(self, task: Task, *, tick: Tick = nothing) -> Execution:
        """Run a task; raises ContainerEngineError when the engine could not even make the container."""
        remove(self.engine, task.name)
        with tempfile.TemporaryDirectory(
            prefix="scratch-", dir=task.out.parent, ignore_cleanup_errors=True
        ) as scratch:
            made = Path(scratch) / "made"
            try:
                code = self.ended(task, Path(scratch), made, tick)
            except OverDiskError:
                return Execution(exit_code=None, isolation=self.isolation, is_over_disk=True)
            if code == ENGINE_FAILED and not made.exists():
                raise refused(self.engine, task.log)
        return Execution(exit_code=signed(code), isolation=self.isolation)

    def ended(self, task: Task, scratch: Path, made: Path, tick: Tick) -> int | None:
        """Give the exit code of a container, None if its time was over; it is gone however this ends."""
        written = (task.out, *writable(task.out, scratch))

        def look() -> None:
            if sum(size_of(folder) for folder in written) > task.limits.disk_bytes:
                raise OverDiskError
            tick()

        code = None
        try:
            with task.log.open("wb") as log:
                process = subprocess.Popen(
                    self.words(task, scratch, made),
                    cwd=scratch,
                    env=environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                code = wait(process, task.limits.wall_s, look)
        finally:
            if code is None or code > SIGNALLED or code < 0:
                remove(self.engine, task.name)
        return code

    def words(self, task: Task, scratch: Path, made: Path) -> list[str]:
        mounts = {
            f"{task.code}:{CODE}:ro",
            *(f"{folder}:{INPUTS}:ro" for folder in task.inputs),
            f"{task.out}:{OUT}",
            f"{scratch / 'tmp'}:{TMP}",
            f"{scratch / 'shm'}:{SHARED_MEMORY}",
        }
        variables = {**HOME, **task.environment}
        return [
            *("setpriv", "--pdeathsig", "KILL", "--"),
            *self.engine.confined(task.name, task.limits),
            *("--cidfile", str(made), "--workdir", CODE),
            *(word for mount in sorted(mounts) for word in ("--volume", mount)),
            *(word for name, text in variables.items() for word in ("--env", f"{name}={text}")),
            *("--entrypoint", task.command[0], self.image, *task.command[1:]),
        ]


def writable(out: Path, scratch: Path) -> tuple[Path, ...]:
    """Make the folders that a container writes besides `out`, on disk, and give all of them to who it is inside."""
    folders = (scratch / "tmp", scratch / "shm")
    for folder in folders:
        folder.mkdir()
    if os.getuid() == 0:
        for folder in (out, *folders):
            os.chown(folder, NOBODY, NOBODY)
    return folders


def size_of(folder: Path) -> int:
    """Add up what the files below a folder occupy; one that goes away meanwhile counts nothing."""
    total = 0
    for place, _folders, names in os.walk(folder, onerror=None):
        for name in names:
            try:
                total += (Path(place) / name).lstat().st_blocks * 512
            except OSError:
                continue
    return total


def refused(engine: Engine, log: Path) -> ContainerEngineError:
    words = " ".join(log.read_text(encoding="utf-8", errors="replace").split())[-400:]
    return ContainerEngineError(
        f"{engine.shown} could not make the container ({words}). Look with `manage.py doctor`.", engine=engine.name
    )
