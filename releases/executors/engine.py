"""The container engine of this machine: podman or docker, with a runtime and limits that were seen to work.

Nothing is believed: a tiny image of our own is loaded and run with the very flags of a build, first with an engine's
own runtime, then with the others that are installed, and last without the limits that some engines cannot enforce.
"""

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from releases.errors import ContainerEngineError
from releases.executors.archive import write_probe
from releases.executors.base import Limits

PROGRAMS = ("podman", "docker")
RUNTIMES = ("", "runc", "crun")
KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR")
KEPT_PREFIXES = ("XDG_", "DBUS_", "DOCKER_", "CONTAINER", "http", "HTTP", "no_proxy", "NO_PROXY")
OPEN_FILES, ALL_PROCESSES = 1024, 4096
NOBODY = 65_534
PROBE_TIMEOUT_S = 60
GRACE_S = 60


@dataclass(frozen=True)
class Wanted:
    """What the settings ask for; an empty text means: whatever works. `flags` are added to each run."""

    program: str = ""
    runtime: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Engine:
    """A container engine that ran our image; `has_limits` if memory, processors and processes are limited by it."""

    program: str
    name: str
    version: str
    runtime: str
    flags: tuple[str, ...]
    has_limits: bool = True

    @property
    def words(self) -> tuple[str, ...]:
        """Give the words that every command of it begins with; podman takes the runtime here."""
        is_global = self.runtime and self.name == "podman"
        return (self.program, "--runtime", self.runtime) if is_global else (self.program,)

    @property
    def shown(self) -> str:
        """Name it for people, such as `podman 4.3.1 with runc`."""
        return f"{self.name} {self.version}" + (f" with {self.runtime}" if self.runtime else "")

    def confined(self, name: str, limits: Limits) -> tuple[str, ...]:
        """Give the words that start one confined container, up to its mounts, variables and image."""
        runtime = ("--runtime", self.runtime) if self.runtime and self.name != "podman" else ()
        return (
            *self.words,
            *("run", "--rm", "--pull", "never", *runtime, "--name", name, "--hostname", "build"),
            *("--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--log-driver", "none", "--user", user()),
            *self.own_words(limits),
            *ulimits(limits),
            *(counted(limits) if self.has_limits else ()),
            *self.flags,
        )

    def own_words(self, limits: Limits) -> tuple[str, ...]:
        """Give what only podman knows: no proxy of ours, no writable folders of its own, an end without us."""
        if self.name != "podman":
            return ()
        end = str(int(limits.wall_s) + GRACE_S)
        names = ("--userns", "keep-id") if os.getuid() != 0 else ()
        return ("--http-proxy=false", "--read-only-tmpfs=false", "--timeout", end, *names)


def user() -> str:
    """Give who a recipe is inside: ourselves, but never root."""
    return f"{os.getuid()}:{os.getgid()}" if os.getuid() != 0 else f"{NOBODY}:{NOBODY}"


def ulimits(limits: Limits) -> tuple[str, ...]:
    """Give the limits of each process, which the kernel keeps with every engine."""
    pairs = {
        "nofile": OPEN_FILES,
        "nproc": ALL_PROCESSES,
        "fsize": limits.file_bytes,
        "cpu": limits.cpu_s,
        "core": 0,
    }
    return tuple(word for name, most in pairs.items() for word in ("--ulimit", f"{name}={most}:{most}"))


def counted(limits: Limits) -> tuple[str, ...]:
    """Give the limits of a whole container, which need control groups."""
    memory = f"{limits.memory_bytes}b"
    return (
        *("--memory", memory, "--memory-swap", memory),
        *("--cpus", f"{min(limits.processors, os.cpu_count() or 1):g}", "--pids-limit", str(limits.processes)),
    )


def environment() -> dict[str, str]:
    """Give what an engine needs of our environment; no secret of ours is among it."""
    return {name: text for name, text in os.environ.items() if name in KEPT or name.startswith(KEPT_PREFIXES)}


def call(engine: Engine, *words: str, timeout_s: float = PROBE_TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    """Run one command of an engine and give how it ended, with what it said; raises as subprocess.run does."""
    return subprocess.run(
        [*engine.words, *words],
        cwd=tempfile.gettempdir(),
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Give the last words of a command, in one line."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return " ".join(" ".join(lines[-3:]).split())[:400] or f"exit code {done.returncode}"


def remove(engine: Engine, name: str) -> None:
    """End and remove a container, whatever it does; nothing happens if there is none of that name."""
    call(engine, "kill", "--signal", "KILL", name)
    call(engine, "rm", "--force", name)


@functools.cache
def working_engine(wanted: Wanted) -> Engine:
    """Find an engine that really runs a container as wanted; only a success is remembered.

    Raises ContainerEngineError with what each try said.
    """
    tried: list[str] = []
    with tempfile.TemporaryDirectory(prefix="dfc-probe-") as scratch:
        archive = Path(scratch) / "probe.tar"
        image = write_probe(archive)
        for engine in candidates(wanted):
            finding = (
                "no program to try it with on this processor" if image is None else tries(engine, archive, image)
            )
            if not finding:
                return engine
            tried.append(f"{engine.shown}{'' if engine.has_limits else ' without limits'}: {finding}")
    raise ContainerEngineError(
        f"No container engine works here ({'; '.join(tried) or 'neither podman nor docker is installed'}). "
        "Install podman and runc, or name what works in DFC_CONTAINER_ENGINE, DFC_CONTAINER_RUNTIME and "
        "DFC_CONTAINER_FLAGS; `manage.py doctor` tries them.",
        tried=tried,
    )


def candidates(wanted: Wanted) -> Iterator[Engine]:
    """Give what to try, best first: an engine's own runtime, other runtimes, then the same without its limits."""
    for program in [wanted.program] if wanted.program else PROGRAMS:
        path = shutil.which(program)
        if path is None:
            continue
        name = "docker" if "docker" in Path(path).name else "podman"
        bare = Engine(path, name, version_of(path), "", wanted.flags)
        runtimes = [wanted.runtime] if wanted.runtime else [one for one in RUNTIMES if not one or shutil.which(one)]
        for has_limits in (True, False):
            yield from (replace(bare, runtime=one, has_limits=has_limits) for one in runtimes)


def version_of(program: str) -> str:
    try:
        done = subprocess.run(
            [program, "--version"], env=environment(), capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return "of unknown version"
    return next((word.strip(",") for word in done.stdout.split() if word[:1].isdigit()), "of unknown version")


def tries(engine: Engine, archive: Path, image: str) -> str:
    """Load the probe and run it as a build would be; gives why that failed, empty if it worked."""
    name = f"dfc-probe-{os.getpid()}"
    try:
        loaded = call(engine, "load", "--input", str(archive))
        done = (
            loaded
            if loaded.returncode
            else call(engine, *engine.confined(name, Limits())[len(engine.words) :], image)
        )
    except (OSError, subprocess.SubprocessError) as error:
        return " ".join(str(error).split())[:400]
    if done.returncode:
        remove(engine, name)
        return said(done)
    return "its limits are ignored" if engine.has_limits and is_ignored(done.stderr) else ""


def is_ignored(words: str) -> bool:
    """Tell whether an engine says that it does not keep limits, as podman does without root on old control groups."""
    return "limits are not supported" in words.lower() or "discarded" in words.lower()
