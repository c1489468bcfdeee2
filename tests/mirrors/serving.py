"""The mirror server as it runs in earnest: gunicorn in a process of its own, on a free port of loopback."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORDS = ("--no-control-socket", "--log-level", "warning", "--worker-class", "gthread", "--threads", "4")


@dataclass(frozen=True)
class Served:
    """Where a server listens, and the process that answers."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def worker(self) -> int:
        """Give the process that answers requests, once it has answered one."""
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="utf-8").split()[0])


@contextmanager
def served(directories: dict[str, Path]) -> Iterator[Served]:
    """Serve directories by slug. The socket listens from the start, so that nobody has to wait for the server."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        number = door.fileno()
        command = [sys.executable, "-m", "gunicorn", *WORDS, "--bind", f"fd://{number}", "mirrors.serve:application"]
        named = ";".join(f"{slug}={directory}" for slug, directory in directories.items())
        environment = {**os.environ, "DFC_SERVE": named, "PYTHONWARNINGS": "ignore"}
        server = subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[number])
        try:
            yield Served(int(door.getsockname()[1]), server.pid)
        finally:
            server.terminate()
            try:
                server.wait(timeout=15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
