"""A recipe is confined as the provenance says: what it cannot reach, use up, see, or leave behind."""

import ast
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from releases.builds.execute import judge
from releases.executors.base import MEBI, Execution, Limits, Task
from releases.executors.local import LocalExecutor, local_executor, working_bubblewrap
from releases.manifest import LockedCode, LockedEnvironment, LockedRecipe
from tests.releases.processes import alive, eventually

PYTHON = f"{sys.base_prefix}/bin/python3"
QUICK = Limits(wall_s=30, cpu_s=20)
BARE = LocalExecutor(None)

needs_bubblewrap = [
    pytest.mark.bubblewrap,
    pytest.mark.skipif(working_bubblewrap() is None, reason="bubblewrap does not work here"),
]
confined = pytest.mark.parametrize(
    "executor", [pytest.param(LocalExecutor(working_bubblewrap()), marks=needs_bubblewrap)]
)
both = pytest.mark.parametrize(
    "executor",
    [
        pytest.param(LocalExecutor(working_bubblewrap()), marks=needs_bubblewrap, id="bubblewrap"),
        pytest.param(BARE, id="bare"),
    ],
)


@dataclass(frozen=True)
class Place:
    """The folders of one run, and how its script is called."""

    folder: Path

    def task(self, script: str, *arguments: str, limits: Limits = QUICK) -> Task:
        (self.folder / "code" / "run.py").write_text(script)
        return Task(
            command=(PYTHON, "-I", "run.py", *arguments),
            code=self.folder / "code",
            inputs=(self.folder / "inputs",),
            out=self.folder / "out",
            log=self.folder / "log.txt",
            environment={"TZ": "UTC"},
            limits=limits,
        )

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    for name in ("code", "inputs", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "inputs" / "words.txt").write_text("one\n")
    return Place(tmp_path)


@pytest.fixture
def listener() -> Iterator[int]:
    """Listen on a loopback port, which is given."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


CONNECT = """
import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
print("connected")
"""


@confined
def test_there_is_no_network(place: Place, executor: LocalExecutor, listener: int) -> None:
    assert executor.run(place.task(CONNECT, str(listener))).exit_code == 1
    assert "connected" not in place.log
    assert "ConnectionRefusedError" in place.log or "OSError" in place.log


def test_without_bubblewrap_the_network_is_there_and_the_provenance_says_so(place: Place, listener: int) -> None:
    execution = BARE.run(place.task(CONNECT, str(listener)))
    assert execution.exit_code == 0
    assert execution.isolation == "process with resource limits only; the network and other files were not cut off"


@confined
def test_with_bubblewrap_the_provenance_names_it_and_what_it_cut_off(place: Place, executor: LocalExecutor) -> None:
    isolation = executor.run(place.task("pass")).isolation
    assert isolation.startswith("bubblewrap ")
    assert isolation.endswith(": no network, read-only system, code and inputs")
    assert local_executor().isolation == isolation


WRITE = """
import sys
from pathlib import Path
for name in sys.argv[1:]:
    try:
        Path(name).write_text("written")
        print("wrote", name)
    except OSError as error:
        print("refused", name, error.strerror)
"""


@confined
def test_nothing_but_the_output_and_a_private_tmp_can_be_written(place: Place, executor: LocalExecutor) -> None:
    allowed = [str(place.folder / "out" / "a"), "/tmp/a", "/dev/shm/a", "/dev/null"]  # noqa: S108  inside
    refused = [str(place.folder / name / "a") for name in ("code", "inputs")]
    refused += ["/a", "/usr/a", "/etc/a", "/dev/a", str(place.folder / "inputs" / "words.txt")]
    executor.run(place.task(WRITE, str(place.folder / "beside"), *allowed, *refused))
    answers = [line.split()[:2] for line in place.log.splitlines()[1:]]
    assert answers == [["wrote", name] for name in allowed] + [["refused", name] for name in refused]
    assert sorted(path.name for path in place.folder.iterdir()) == ["code", "inputs", "log.txt", "out"]
    assert not Path("/tmp/a").exists()  # noqa: S108  the machine's own


ESCAPE = """
import os, subprocess, sys
print(open("/proc/self/status").read().split("CapEff:")[1].split()[0])
for target in ("/usr", sys.argv[1], "/"):
    print(subprocess.run(["mount", "-o", "remount,bind,rw", target], capture_output=True).returncode)
print(os.path.exists(sys.argv[2]))
"""


@confined
def test_it_has_no_privileges_to_mount_its_way_out(place: Place, executor: LocalExecutor) -> None:
    (place.folder / "secret").write_text("secret")
    executor.run(place.task(ESCAPE, str(place.folder / "code"), str(place.folder / "secret")))
    privileges, *mounts, sees_secret = place.log.split()
    assert int(privileges, 16) == 0
    assert len(mounts) == 3
    assert "0" not in mounts
    assert sees_secret == "False"


ENVIRONMENT = """
import os
from pathlib import Path
print(sorted(os.environ))
for path in Path("/proc").glob("[0-9]*/environ"):
    try:
        print(path.read_bytes())
    except OSError:
        pass
"""


@both
def test_nothing_of_our_environment_passes(
    place: Place, executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFC_SECRET_KEY", "the-secret-of-ours")
    monkeypatch.setenv("DFC_MIRROR_SECOND_TOKEN", "the-secret-of-ours")
    assert executor.run(place.task(ENVIRONMENT)).exit_code == 0
    names = set(ast.literal_eval(place.log.splitlines()[0]))
    assert names - {"LC_CTYPE", "PWD"} == {"HOME", "PATH", "TMPDIR", "TZ"}  # Python and bubblewrap set these two


@confined
def test_no_other_process_can_be_seen(place: Place, executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFC_SECRET_KEY", "the-secret-of-ours")
    with subprocess.Popen(["sleep", "60"]) as other:
        executor.run(place.task(ENVIRONMENT))
        other.kill()
    assert "the-secret-of-ours" not in place.log
    assert place.log.count("b'") <= 3


@both
def test_memory_is_limited(place: Place, executor: LocalExecutor) -> None:
    limits = replace(QUICK, memory_bytes=256 * MEBI)
    assert executor.run(place.task(f"bytearray({512 * MEBI})", limits=limits)).exit_code == 1
    assert "MemoryError" in place.log
    assert executor.run(place.task(f"bytearray({64 * MEBI})", limits=limits)).exit_code == 0


@both
def test_the_size_of_a_file_is_limited(place: Place, executor: LocalExecutor) -> None:
    script = f"with open({str(place.folder / 'out' / 'a')!r}, 'wb') as f:\n    f.write(bytes({2 * MEBI}))\n"
    assert executor.run(place.task(script, limits=replace(QUICK, file_bytes=MEBI))).exit_code == 1
    assert "File too large" in place.log
    assert (place.folder / "out" / "a").stat().st_size <= MEBI


@both
def test_an_endless_log_is_limited_too(place: Place, executor: LocalExecutor) -> None:
    limits = replace(QUICK, file_bytes=MEBI)
    assert executor.run(place.task("while True: print('x' * 1000)", limits=limits)).exit_code not in {0, None}
    assert (place.folder / "log.txt").stat().st_size <= MEBI


@both
def test_the_time_of_the_whole_is_limited(place: Place, executor: LocalExecutor) -> None:
    task = place.task("import time; time.sleep(600)", limits=replace(QUICK, wall_s=0.5))
    started = time.monotonic()
    assert executor.run(task).exit_code is None
    assert time.monotonic() - started < 30


@both
def test_the_processor_time_is_limited(place: Place, executor: LocalExecutor) -> None:
    assert executor.run(place.task("while True: pass", limits=replace(QUICK, cpu_s=1))).exit_code == -signal.SIGKILL


@both
@pytest.mark.parametrize("code", [0, 1, 3, 77, 255])
def test_an_exit_code_is_reported(place: Place, executor: LocalExecutor, code: int) -> None:
    assert executor.run(place.task(f"raise SystemExit({code})")).exit_code == code


@both
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_signal_is_reported_as_a_negative_number(place: Place, executor: LocalExecutor, number: int) -> None:
    execution = executor.run(place.task(f"import os; os.kill(os.getpid(), {int(number)})"))
    assert execution.exit_code == -number
    assert f"ended by signal {int(number)}" in sentence(execution)


def sentence(execution: Execution) -> str:
    code, environment = LockedCode("r", "a" * 40, "b" * 40, 0), LockedEnvironment("l", "c" * 64, "3.11")
    return judge(Path("absent"), LockedRecipe("d", "1.0.0", "e", "{}", (), (), code, environment), execution)


@both
def test_what_it_prints_is_kept_in_order(place: Place, executor: LocalExecutor) -> None:
    script = "import os\nfor n in range(6):\n    os.write(1 + n % 2, b'line %d\\n' % n)\nraise SystemExit(4)"
    assert executor.run(place.task(script)).exit_code == 4
    assert place.log.splitlines() == [f"line {number}" for number in range(6)]


@both
def test_it_reads_nothing_from_our_terminal(place: Place, executor: LocalExecutor) -> None:
    assert executor.run(place.task("import sys; print(repr(sys.stdin.read()))")).exit_code == 0
    assert place.log == "''\n"


BACKGROUND = """
import subprocess, sys, time
from pathlib import Path
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]])
Path(sys.argv[2]).write_text("started")
if len(sys.argv) > 3:
    time.sleep(600)
"""


@both
def test_a_process_in_the_background_is_gone_after_the_run(place: Place, executor: LocalExecutor) -> None:
    token = f"background-{os.getpid()}-{time.monotonic_ns()}"
    task = place.task(BACKGROUND, token, str(place.folder / "out" / "started"))
    assert executor.run(task).exit_code == 0
    eventually(lambda: not alive(token))
    assert (place.folder / "out" / "started").exists()


@both
def test_every_process_is_gone_after_the_time_limit(place: Place, executor: LocalExecutor) -> None:
    token = f"limit-{os.getpid()}-{time.monotonic_ns()}"
    started = place.folder / "out" / "started"
    task = place.task(BACKGROUND, token, str(started), "stay", limits=replace(QUICK, wall_s=3))
    assert executor.run(task).exit_code is None
    assert started.exists()
    eventually(lambda: not alive(token))


class StoppedError(Exception):
    """What a tick raises in these tests."""


@both
def test_what_a_tick_raises_ends_the_run_and_passes(place: Place, executor: LocalExecutor) -> None:
    token, started = f"tick-{os.getpid()}-{time.monotonic_ns()}", place.folder / "out" / "started"

    def tick() -> None:
        if started.exists():
            raise StoppedError

    with pytest.raises(StoppedError):
        executor.run(place.task(BACKGROUND, token, str(started), "stay"), tick=tick)
    eventually(lambda: not alive(token))
    assert not list(place.folder.glob("scratch-*"))


OURS = """
import sys
from pathlib import Path
from releases.executors.base import Task
from releases.executors.local import LocalExecutor, working_bubblewrap
folder = Path(sys.argv[1])
command = (sys.argv[2], "-I", "run.py", sys.argv[3], str(folder / "out" / "started"), "stay")
task = Task(command, folder / "code", (folder / "inputs",), folder / "out", folder / "log.txt", {})
LocalExecutor(working_bubblewrap() if sys.argv[4] == "bubblewrap" else None).run(task)
"""


def killed_while_running(place: Place, token: str, kind: str) -> None:
    """Run a task in a process of ours, and kill that with -9 once the task has begun."""
    place.task(BACKGROUND)
    words = [sys.executable, "-c", OURS, str(place.folder), PYTHON, token, kind]
    with subprocess.Popen(words) as ours:
        eventually((place.folder / "out" / "started").exists)
        assert len(alive(token)) >= 2
        ours.kill()


@confined
def test_every_process_is_gone_when_ours_is_killed(place: Place, executor: LocalExecutor) -> None:
    token = f"killed-{os.getpid()}-{time.monotonic_ns()}"
    killed_while_running(place, token, "bubblewrap")
    eventually(lambda: not alive(token))


def test_without_bubblewrap_the_recipe_itself_is_gone_when_ours_is_killed(place: Place) -> None:
    token = f"bare-{os.getpid()}-{time.monotonic_ns()}"
    killed_while_running(place, token, "bare")
    eventually(lambda: not any(b"run.py" in words for words in alive(token).values()))
    for pid in alive(token):  # its own child has outlived us, as the docstring of the executor says
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(token))


@both
def test_temporary_files_lie_on_disk_and_are_gone_after_the_run(place: Place, executor: LocalExecutor) -> None:
    script = "import tempfile; f = tempfile.mkstemp(); print(f[1]); import os; os.mkdir(tempfile.gettempdir() + '/x')"
    assert executor.run(place.task(script)).exit_code == 0
    assert not Path(place.log.strip()).exists()
    assert not list(place.folder.glob("scratch-*"))
