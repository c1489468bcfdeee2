"""A real S3-compatible server: OpenStack Swift, in a virtual environment of its own that outlives the tests.

python -m tests.servers.s3     install it, or see that it is there
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[1] / "s3" / "requirements.txt"
PROGRAM = Path(__file__).with_name("swift_process.py")
ACCESS_KEY, SECRET_KEY = "test:tester", "testing"  # of a server that lives as long as the tests
DONE = "complete"


class NotInstalledError(Exception):
    """The server could not be installed; the message says why."""


@dataclass(frozen=True)
class S3Server:
    """Where the server listens; its keys are ACCESS_KEY and SECRET_KEY."""

    endpoint: str
    pid: int


def home() -> Path:
    """Where the server is installed: one folder for each state of its requirements."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    return cache / "dfc" / f"swift-{digest[:16]}"


def install() -> Path:
    """Give the server's own Python; installs it where it is not there. Raises NotInstalledError."""
    folder = home()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several test processes, one installs
        if not (folder / DONE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            call(sys.executable, "-m", "venv", str(folder))
            call(str(folder / "bin" / "pip"), "install", "--quiet", "--require-hashes", "-r", str(REQUIREMENTS))
            (folder / DONE).touch()
    return folder / "bin" / "python"


def call(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise NotInstalledError(f"OpenStack Swift could not be installed: {last}")


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Run the server on a free port with its files in an empty folder; raises NotInstalledError."""
    words = [str(install()), "-W", "ignore", str(PROGRAM), str(folder), "0"]
    log = (folder / "log.txt").open("w")
    with log, subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        said = server.stdout.readline().split()
        if said[:1] != ["ready"]:
            raise RuntimeError((folder / "log.txt").read_text(encoding="utf-8"))
        yield S3Server(f"http://127.0.0.1:{said[1]}", server.pid)
        server.stdin.close()


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{install()}\n")
    except NotInstalledError as error:
        sys.exit(str(error))
