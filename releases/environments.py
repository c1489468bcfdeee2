"""The environment of a local build: a requirements lock with hashes and the minor version of Python.

Packages are downloaded once into `<environments>/<sha256>/wheels`; the virtual environment is made from these
wheels alone. Both appear whole, by a rename: a kill or a second process in between leaves no half environment.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

from releases.errors import EnvironmentDefinitionError

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PINNED = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9.!+_-]+( *;[^#]*)?( +--hash=sha256:[0-9a-f]{64})+"
)
TIMEOUT_S = 1800


@dataclass(frozen=True)
class Environment:
    """A ready environment: its interpreter, its name by digest, and the wheels that it was made from."""

    python: Path
    sha256: str
    wheels: Path


def check_lock(text: str) -> list[str]:
    """Give the requirements of a lock; raises EnvironmentDefinitionError naming the first line that is not pinned."""
    joined = text.replace("\\\n", " ")
    lines = [re.sub(r"\s+", " ", line.split(" #")[0].strip()) for line in joined.splitlines()]
    requirements = [line for line in lines if line and not line.startswith("#")]
    for requirement in requirements:
        if not PINNED.fullmatch(requirement):
            raise EnvironmentDefinitionError(
                f"Environment: {requirement.split(' --hash')[0][:120]!r} is not pinned with == and --hash=sha256:. "
                "Write the lock with `uv pip compile --generate-hashes` or `pip-compile --generate-hashes`.",
                requirement=requirement,
            )
    return requirements


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
        unfinished = Path(tempfile.mkdtemp(prefix=f".{sha256[:12]}.", dir=environments))
        try:
            fill(unfinished, lock)
            publish(unfinished, folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return Environment(python=folder / "venv" / "bin" / "python", sha256=sha256, wheels=folder / "wheels")


def fill(folder: Path, lock: str) -> None:
    wheels, requirements = folder / "wheels", folder / "requirements.lock"
    wheels.mkdir()
    requirements.write_text(lock, encoding="utf-8")
    has_packages = bool(check_lock(lock))
    venv.create(folder / "venv", with_pip=has_packages, symlinks=True)
    if has_packages:
        python = folder / "venv" / "bin" / "python"
        common = ("--require-hashes", "--no-deps", "--only-binary=:all:", "-r", str(requirements))
        pip(python, "download", "--dest", str(wheels), *common)
        pip(python, "install", "--no-index", "--find-links", str(wheels), *common)


def publish(unfinished: Path, folder: Path) -> None:
    """Give a finished environment its name; the first of two processes wins, both are content."""
    try:
        unfinished.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def pip(python: Path, *arguments: str) -> None:
    keep = ("PATH", "HOME", "LANG", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    environment = {name: value for name, value in os.environ.items() if name in keep or name.startswith("PIP_")}
    done = subprocess.run(
        [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        finding = " ".join(done.stderr.strip().splitlines()[-2:]) or "no words from pip"
        raise EnvironmentDefinitionError(
            f"Environment: pip could not {arguments[0]} what the lock names ({finding[:400]}). "
            "Look whether the package index can be reached and has these files."
        )
