"""A container confines a recipe as the provenance says, and nothing of it outlives its build."""

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from releases.errors import ContainerEngineError
from releases.executors.base import MEBI, Execution, Limits, Task
from releases.executors.container import ContainerExecutor
from releases.executors.engine import Wanted, call, working_engine
from tests.releases.containers import base_image, engine, needs_podman
from tests.releases.processes import alive, eventually

pytestmark = needs_podman
QUICK = Limits(wall_s=60, cpu_s=30)


class Place:
    """The folders of one run, and how its script is called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"dfc-test-{os.getpid()}-{folder.name}"[:60]
        for name in ("code", "inputs", "out"):
            (folder / name).mkdir()
        (folder / "inputs" / "words.txt").write_text("one\n")

    def task(self, script: str, limits: Limits = QUICK) -> Task:
        (self.folder / "code" / "run.py").write_text(script)
        return Task(
            command=("python3", "run.py"),
            code=self.folder / "code",
            inputs=(self.folder / "inputs",),
            out=self.folder / "out",
            log=self.folder / "log.txt",
            environment={"TZ": "UTC"},
            limits=limits,
            name=self.name,
        )

    def run(self, script: str, limits: Limits = QUICK) -> Execution:
        return ContainerExecutor(engine(), base_image()).run(self.task(script, limits))

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text()

    def is_known(self) -> bool:
        return call(engine(), "container", "inspect", self.name).returncode == 0


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    assert not made.is_known()


LOOK = """
import os, socket
found = {}
for name in ("/x", "/code/x", "/in/x", "/run/x", "/out/x", "/tmp/x", "/dev/shm/x"):
    try:
        open(name, "w").close()
        found[name] = True
    except OSError:
        found[name] = False
try:
    socket.create_connection(("192.0.2.1", 80), timeout=2)
except OSError as error:
    found["network"] = error.errno
found["links"] = sorted(name for _, name in socket.if_nameindex())
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
found["capabilities"] = {status[name].strip() for name in ("CapEff", "CapBnd", "CapPrm")}
found["privileges"] = status["NoNewPrivs"].strip()
found["user"] = os.getuid() != 0
found["environment"] = sorted(set(os.environ) - {"container", "TERM", "HOSTNAME"})
found["read"] = open("/in/words.txt").read()
print(found)
"""


def test_a_recipe_reaches_no_network_writes_only_its_output_and_has_no_privileges(place: Place) -> None:
    execution = place.run(LOOK)
    assert execution.exit_code == 0, place.log
    found = ast.literal_eval(place.log)
    writable = {name for name, can in found.items() if can is True and name.startswith("/")}
    assert writable == {"/out/x", "/tmp/x", "/dev/shm/x"}  # noqa: S108  inside the container
    assert (found["network"], found["links"]) == (101, ["lo"])  # ENETUNREACH
    assert (found["capabilities"], found["privileges"], found["user"]) == ({"0" * 16}, "1", True)
    assert found["environment"] == ["HOME", "PATH", "TMPDIR", "TZ"]
    assert found["read"] == "one\n"
    assert "no network, no privileges" in execution.isolation
    assert (place.folder / "out" / "x").exists()
    assert not list(place.folder.glob("scratch-*"))


@pytest.mark.parametrize("code", [0, 3, 125, 255])
def test_an_exit_code_is_reported(place: Place, code: int) -> None:
    assert place.run(f"print('said'); raise SystemExit({code})").exit_code == code
    assert place.log == "said\n"


def test_memory_is_limited(place: Place) -> None:
    execution = place.run("x = b'a' * (400 << 20)", replace(QUICK, memory_bytes=100 * MEBI))
    assert execution.exit_code == -signal.SIGKILL


def test_processes_are_limited(place: Place) -> None:
    script = """
import os, time
for number in range(100):
    try:
        if os.fork() == 0:
            time.sleep(60)
    except OSError:
        raise SystemExit(40 + (number < 20))
"""
    assert place.run(script, replace(QUICK, processes=16)).exit_code == 41


def test_disk_is_limited_for_all_files_together(place: Place) -> None:
    script = """
import time
for number in range(600):
    open(f"/out/{number}", "wb").write(b"a" * (2 << 20))
    time.sleep(0.05)
"""
    execution = place.run(script, replace(QUICK, disk_bytes=10 * MEBI))
    assert (execution.exit_code, execution.is_over_disk) == (None, True)


def test_a_run_that_takes_too_long_is_ended(place: Place) -> None:
    execution = place.run("import time; time.sleep(600)", replace(QUICK, wall_s=2))
    assert (execution.exit_code, execution.is_over_disk) == (None, False)


class StoppedError(Exception):
    """What a tick raises in this test."""


def test_what_a_tick_raises_ends_the_container_and_passes(place: Place) -> None:
    token = f"tick{time.monotonic_ns()}"

    def tick() -> None:
        if (place.folder / "out" / "started").exists():
            raise StoppedError

    script = f"import time; open('/out/started', 'w').close(); time.sleep(600)  # {token}"
    with pytest.raises(StoppedError):
        ContainerExecutor(engine(), base_image()).run(place.task(script), tick=tick)
    assert (place.folder / "out" / "started").exists()


OURS = """
import sys
from pathlib import Path
from releases.executors.base import Task
from releases.executors.container import ContainerExecutor
from releases.executors.engine import Wanted, working_engine
folder = Path(sys.argv[1])
task = Task(
    ("python3", "-c", "import time; open('/out/started', 'w').close(); time.sleep(600)", sys.argv[4]),
    folder / "code", (folder / "inputs",), folder / "out", folder / "log.txt", {}, name=sys.argv[2],
)
ContainerExecutor(working_engine(Wanted()), sys.argv[3]).run(task)
"""


def test_the_next_try_ends_what_a_killed_worker_left_running(place: Place) -> None:
    token = f"orphan{time.monotonic_ns()}"
    started = place.folder / "out" / "started"
    with subprocess.Popen([sys.executable, "-c", OURS, str(place.folder), place.name, base_image(), token]) as ours:
        eventually(started.exists)
        ours.kill()
    assert place.is_known()  # the engine keeps it running without us
    assert place.run("raise SystemExit(0)").exit_code == 0
    eventually(lambda: not alive(token))


def test_an_engine_that_has_no_such_image_is_no_failure_of_the_recipe(place: Place) -> None:
    with pytest.raises(ContainerEngineError, match=r"could not make the container"):
        ContainerExecutor(engine(), "0" * 64).run(place.task(""))


def test_an_engine_is_believed_only_when_it_ran_our_image() -> None:
    found = engine()
    assert found.name in {"podman", "docker"}
    assert found.version[0].isdigit()
    assert working_engine(Wanted()) is found
    with pytest.raises(
        ContainerEngineError, match=r"No container engine works here .*no-such-runtime.*DFC_CONTAINER"
    ):
        working_engine(Wanted(runtime="no-such-runtime"))
    with pytest.raises(ContainerEngineError, match=r"neither podman nor docker is installed"):
        working_engine(Wanted(program="/nowhere/podman"))
