"""The environment of a local build: a requirements lock with hashes and the minor version of Python.

That of a container is in images.py.

Packages are downloaded once into `<environments>/<sha256>/wheels`; the virtual environment is made from these
wheels alone. Both appear whole, by a rename, under a lock that the kernel frees with its process: a kill leaves
only an unfinished folder, which the next preparation removes, and of two processes one waits for the other.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation import gettext as _

from catalog.say import say
from releases.builds import containerfile
from releases.errors import EnvironmentDefinitionError
from releases.executors.base import Executor
from releases.executors.local import local_executor

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PINNED = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9.!+_-]+"
    r"( ?;((?! --)[A-Za-z0-9 ._'\"<>=!~()+*-])+)?( --hash=sha256:[0-9a-f]{64})+"
)
TIMEOUT_S = 1800


@dataclass(frozen=True)
class Environment:
    """A ready environment: its interpreter, its name by digest, and the wheels that it was made from."""

    python: Path
    sha256: str
    wheels: Path

    def executor(self) -> Executor:
        return local_executor()

    def command(self, entry_point: str, *, inputs: Path, out: Path) -> tuple[str, ...]:
        """Say how a recipe is called; docs/rebuild.md promises exactly this to its authors."""
        return (str(self.python), entry_point, *arguments(str(inputs), str(out)))


def arguments(inputs: str, out: str) -> tuple[str, ...]:
    """Give what every recipe is told, whatever runs it."""
    return ("--sources", f"{inputs}/sources", "--out", out, "--parameters", f"{inputs}/parameters.json")


def check(path: str, text: str) -> None:
    """Refuse an environment of either kind before anything is made of it; raises EnvironmentDefinitionError."""
    if not containerfile.is_containerfile(path):
        check_lock(text)
        return
    errors = [one for one in containerfile.lint(text) if one.severity == containerfile.ERROR]
    if errors:
        findings = " ".join(say(containerfile.worded(one.code, one.found, str(one.line))) for one in errors[:5])
        raise EnvironmentDefinitionError(
            _("Environment %(path)s: %(findings)s") % {"path": path, "findings": findings}, findings=errors
        )


def check_lock(text: str) -> list[str]:
    """Give the requirements of a lock; raises EnvironmentDefinitionError naming the first line that is not pinned."""
    requirements = list(logical_lines(text))
    for requirement in requirements:
        if not PINNED.fullmatch(requirement):
            raise EnvironmentDefinitionError(
                _(
                    "Environment: %(requirement)s is not pinned with == and --hash=sha256:. "
                    "Write the lock with `uv pip compile --generate-hashes` or `pip-compile --generate-hashes`."
                )
                % {"requirement": repr(requirement.split(" --hash")[0][:120])},
                requirement=requirement,
            )
    return requirements


def logical_lines(text: str) -> Iterator[str]:
    r"""Join lines and drop comments exactly as pip does: a `\` at the end of a comment joins nothing."""
    held = ""
    for line in text.splitlines():
        is_comment = re.match(r"\s*#", line) is not None
        if line.endswith("\\") and not is_comment:
            held += line[:-1]
            continue
        whole, held = (held + " " * is_comment + line), ""
        plain = " ".join(re.sub(r"(^|\s+)#.*$", "", whole).split())
        if plain:
            yield plain
    if held.strip():
        yield " ".join(held.split())


def environment_sha256(lock: str) -> str:
    """Name an environment: the sha256 of Python's minor version and the sorted requirements of its lock."""
    text = "\n".join([f"python {PYTHON}", *sorted(check_lock(lock))]) + "\n"
    return hashlib.sha256(text.encode()).hexdigest()


def prepare(lock: str, environments: Path) -> Environment:
    """Make the environment of a lock unless it is there. Only this step may use the package index.

    Raises EnvironmentDefinitionError with pip's own last words when a package is not to be had.
    """
    sha256 = environment_sha256(lock)
    folder = environments / sha256
    if not folder.is_dir():
        environments.mkdir(parents=True, exist_ok=True)
        with (environments / f".{sha256}.lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not folder.is_dir():
                make(folder, lock)
    return Environment(python=folder / "venv" / "bin" / "python", sha256=sha256, wheels=folder / "wheels")


def make(folder: Path, lock: str) -> None:
    """Fill a new folder and give it its name when it is whole; removes what a kill has left of one before."""
    for left in folder.parent.glob(f".{folder.name}.unfinished-*"):
        shutil.rmtree(left, ignore_errors=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.unfinished-", dir=folder.parent))
    try:
        fill(unfinished, lock)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def fill(folder: Path, lock: str) -> None:
    wheels, requirements = folder / "wheels", folder / "requirements.lock"
    wheels.mkdir()
    requirements.write_text(lock, encoding="utf-8")
    has_packages = bool(check_lock(lock))
    try:
        venv.create(folder / "venv", with_pip=has_packages, symlinks=True)
    except subprocess.CalledProcessError as error:
        raise EnvironmentDefinitionError(
            f"Environment: Python {PYTHON} could not put pip into a virtual environment ({error}). "
            "Install its ensurepip; on Debian that is python3-venv."
        ) from error
    if has_packages:
        python = folder / "venv" / "bin" / "python"
        common = ("--require-hashes", "--no-deps", "--only-binary=:all:", "-r", str(requirements))
        pip(python, "download", "--dest", str(wheels), *common)
        pip(python, "install", "--no-index", "--find-links", str(wheels), *common)


def pip(python: Path, *arguments: str) -> None:
    """Run pip; raises EnvironmentDefinitionError with its last words when it fails or takes too long."""
    keep = ("PATH", "HOME", "LANG", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    environment = {name: value for name, value in os.environ.items() if name in keep or name.startswith("PIP_")}
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    try:
        subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    except subprocess.CalledProcessError as error:
        raise refused(
            arguments[0], " ".join(error.stderr.strip().splitlines()[-2:]) or "no words from pip"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise refused(arguments[0], f"it took longer than {TIMEOUT_S // 60} minutes") from error


def refused(act: str, finding: str) -> EnvironmentDefinitionError:
    return EnvironmentDefinitionError(
        f"Environment: pip could not {act} what the lock names ({finding[:400]}). "
        "Look whether the package index can be reached and has these files."
    )
