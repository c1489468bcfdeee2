"""A small real image: this machine's Python and the libraries it needs, in one layer, loaded into the engine."""

import fcntl
import hashlib
import io
import re
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import pytest

from releases.errors import ContainerEngineError
from releases.executors.archive import write_archive
from releases.executors.engine import Engine, Wanted, call, working_engine

LIBRARY = Path("/usr/lib/python3.11")
SKIPPED = {
    "test",
    "idlelib",
    "tkinter",
    "turtledemo",
    "lib2to3",
    "ensurepip",
    "pydoc_data",
    "__pycache__",
    "unittest",
}
TAG = "localhost/dfc-test-python:1"


@cache
def engine_here() -> Engine | None:
    """Give the container engine that works here, None without one; asked once in a process."""
    try:
        return working_engine(Wanted())
    except ContainerEngineError:
        return None


needs_podman = [
    pytest.mark.podman,
    pytest.mark.skipif(engine_here() is None, reason="no container engine works here"),
]


def engine() -> Engine:
    found = engine_here()
    if found is None:
        pytest.skip("no container engine works here")
    return found


@cache
def base_image() -> str:
    """Give the reference, with its digest, of an image that has python3 and nothing else; it is in the engine."""
    files = python_files()
    facts = "".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}\n" for path in files)
    folder = Path(tempfile.gettempdir()) / "dfc-test-images"
    folder.mkdir(exist_ok=True)
    archive = folder / f"{hashlib.sha256(facts.encode()).hexdigest()[:16]}.tar"
    with (folder / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.is_file():
            unfinished = archive.with_suffix(".unfinished")
            write_archive(unfinished, layer_of(files), tag=TAG, config={"Env": ["PATH=/usr/bin"]})
            unfinished.rename(archive)
        done = call(engine(), "load", "--input", str(archive))
    assert done.returncode == 0, done.stderr
    shown = call(engine(), "image", "inspect", "--format", "{{index .RepoDigests 0}}", TAG).stdout.strip()
    assert re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", shown), shown
    return shown


def python_files() -> list[Path]:
    """Give this machine's own Python, its standard library, and the shared libraries that these are linked with."""
    inside = [path for path in sorted(LIBRARY.rglob("*")) if path.is_file() and not SKIPPED & set(path.parts)]
    files = [Path("/usr/bin/python3.11"), *(path for path in inside if "config-" not in str(path))]
    linked = [path for path in files if path.suffix == ".so" or path.parent.name == "bin"]
    words = subprocess.run(["ldd", *linked], capture_output=True, text=True, check=False).stdout
    return files + [Path(path) for path in sorted(set(re.findall(r"(/[^ \n]+) \(", words)))]


def layer_of(files: list[Path]) -> bytes:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("tmp", "proc", "dev", "sys", "etc", "run"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path in files:
            entry = tarfile.TarInfo(str(path).lstrip("/"))
            entry.size, entry.mode = path.stat().st_size, 0o755 if path.stat().st_mode & 0o111 else 0o644
            tar.addfile(entry, io.BytesIO(path.read_bytes()))
        link = tarfile.TarInfo("usr/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, "python3.11"
        tar.addfile(link)
    return layer.getvalue()
