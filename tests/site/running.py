"""An installation that really runs: what ./run starts, on free ports, in a folder of its own, on SQLite."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.releases.keys import private_pem

ROOT = Path(__file__).resolve().parents[2]
FAST = {"DFC_LEASE_S": "3", "DFC_BACKOFF_S": "0.2", "DFC_REWAKE_S": "1", "DFC_STALL_S": "15"}
PATIENCE_S = 240  # nothing is measured here: a machine that does much else must not fail
ONCE = {"DFC_PROBE_EVERY_S": "1e9", "DFC_RECHECK_EVERY_S": "1e9"}  # or rows would change while a test looks at them
PREPARE = (
    ("translations", "compile"),
    ("migrate", "--verbosity", "0"),
    ("collectstatic", "--noinput", "--verbosity", "0"),
    ("demo", "--prepare"),
)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_until(condition: Callable[[], Any], *, words: str) -> Any:
    """Give what the condition gives as soon as it is true; AssertionError with `words` when time is up."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"after {PATIENCE_S} s: {words}")


class Installation:
    """`start` and `stop` as often as wanted; rows, files and addresses stay."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.mirror_port = free_port(), free_port()
        self.log = folder / "log.txt"
        self.process: subprocess.Popen[bytes] | None = None
        data = folder / "var"
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "DFC_SECRET_KEY": secrets.token_hex(32),
            "DFC_SIGNING_KEY": private_pem(),
            "DFC_DATA_DIR": str(data),
            "DFC_PORT": str(self.port),
            "DFC_MIRROR_PORT": str(self.mirror_port),
            "DFC_SITE_URL": self.url,
            "DFC_MIRROR_URL": f"http://127.0.0.1:{self.mirror_port}",
            "DFC_SEED_LISTEN": f"127.0.0.1:{free_port()}",
            "DFC_SERVE": f"origin={data}/storage;second={data}/mirrors/second",
            "DFC_PRIVATE_NETWORKS": "127.0.0.0/8",
            **FAST,
            **ONCE,
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def manage(self, *words: str) -> str:
        """Run a command of manage.py to its end; gives what it printed."""
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def prepare(self) -> None:
        for words in PREPARE:
            self.manage(*words)

    def copy_to(self, folder: Path) -> "Installation":
        """Give a copy with rows, files and secrets of its own, on other ports; this one must be stopped."""
        copied = Installation(folder)
        shutil.copytree(self.folder / "var", folder / "var", symlinks=True)
        copied.manage("demo", "--prepare")
        return copied

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self.answers, words=f"no answer; {self.words()}")

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send one signal to the one process that a person sees; gives its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_S)

    def words(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def passwords(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "var" / "demo-passwords.json").read_text(encoding="utf-8"))
        return found

    def releases(self) -> dict[str, str]:
        """Give the state of every release by its number."""
        rows = json.loads(self.manage("release", "status", "--json"))["releases"]
        return {row["release"].rsplit(" ", 1)[1]: row["state"] for row in rows}

    def withdraw(self, identifier: str, number: str) -> None:
        """Withdraw a public version as two people do: the author proposes, the reviewer seconds."""
        reasons = ("--reason-en", "The licence was wrong.", "--reason-fr", "La licence était fausse.")
        self.manage("release", "withdraw", identifier, number, "--by", "author", *reasons)
        newest = json.loads(self.manage("release", "decisions", "--json"))["decisions"][0]
        self.manage("release", "second", str(newest["decision"]), "--by", "reviewer")

    def await_demo(self) -> None:
        """Wait until the demonstration has one release public and one in review."""
        wait_until(lambda: "In review: " in self.words(), words=self.words())
