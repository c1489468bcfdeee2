"""The environment of a container build: the image that a Containerfile gives, made once and kept as an archive.

Only the making of the image may use a network. Afterwards its id, its base images and its packages are facts of a
row, and its bytes lie in our storage under their digest: every build, also on another worker or after years, loads
these bytes, and none makes the image again. A kill before the row leaves a file that the next try writes again.
"""

import hashlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from django.conf import settings

from catalog.storage.connect import own_storage
from releases.builds import containerfile, repositories
from releases.builds.environments import arguments
from releases.builds.repositories import Snapshot
from releases.errors import ContainerEngineError, EnvironmentDefinitionError
from releases.executors.archive import architecture
from releases.executors.base import Executor, Limits, Tick
from releases.executors.container import CODE, INPUTS, OUT, ContainerExecutor
from releases.executors.engine import Engine, Wanted, call, environment, remove, said, ulimits, working_engine
from releases.executors.local import wait
from releases.models import EnvironmentImage

BLOCK_BYTES = 1 << 20
MOVE_TIMEOUT_S = 1800
PYTHON_PACKAGES = (
    "from importlib.metadata import distributions\n"
    "for name in sorted({f'{one.name} {one.version}' for one in distributions()}): print(name)"
)
# How each packager lists what it installed; the first of the system's that is there, and Python's besides.
SYSTEM_LISTS = {
    "deb": ("dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}\n"),
    "apk": ("apk", "info", "-v"),
    "rpm": ("rpm", "-qa"),
}
PYTHON_LIST = ("python3", "-c", PYTHON_PACKAGES)


@dataclass(frozen=True)
class Image:
    """A ready environment: an engine that has the image, and the image's id."""

    engine: Engine
    sha256: str

    def executor(self) -> Executor:
        return ContainerExecutor(self.engine, self.sha256)

    def command(self, entry_point: str, *, inputs: Path, out: Path) -> tuple[str, ...]:  # noqa: ARG002  inside, both have names of their own
        """Say how a recipe is called: Python by python3 of the image, anything else as a program of its own."""
        program = ("python3", entry_point) if entry_point.endswith(".py") else (f"{CODE}/{entry_point}",)
        return (*program, *arguments(INPUTS, OUT))


def wanted() -> Wanted:
    """Give what the settings ask for of a container engine."""
    return Wanted(settings.DFC_CONTAINER_ENGINE, settings.DFC_CONTAINER_RUNTIME, tuple(settings.DFC_CONTAINER_FLAGS))


def image_row(repository: str, code: Snapshot, path: str, *, tick: Tick, now: datetime) -> EnvironmentImage:
    """Give the row of the image of a Containerfile, making and keeping the image if there is none yet.

    Raises ContainerEngineError without an engine that works, EnvironmentDefinitionError when it cannot be made.
    """
    row = EnvironmentImage.objects.filter(code_tree=code.tree, path=path).first()
    if row is not None:
        return row
    engine = working_engine(wanted())
    Path(settings.DFC_BUILDS_DIR).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="image-", dir=settings.DFC_BUILDS_DIR) as scratch:
        folder = Path(scratch)
        repositories.archive(repository, code.commit, folder / "code")
        image = made(engine, folder, path, epoch=code.committed_at, tick=tick)
        facts = {"packages": "".join(f"{one}\n" for one in packages(engine, image)), **kept(engine, image, folder)}
    text = repositories.read_text(repository, code.commit, path)
    return EnvironmentImage.objects.get_or_create(
        code_tree=code.tree,
        path=path,
        defaults={
            "image_id": image,
            "platform": f"linux/{architecture()}",
            "engine": engine.shown[:80],
            "bases": "".join(f"{one.name}@sha256:{one.sha256}\n" for one in containerfile.bases(text)),
            "built_at": now,
            **facts,
        },
    )[0]


def packages_sha256(row: EnvironmentImage) -> str:
    return hashlib.sha256(row.packages.encode()).hexdigest()


def made(engine: Engine, folder: Path, path: str, *, epoch: int, tick: Tick) -> str:
    """Make the image of a Containerfile in `folder/code`; gives its id. The only call that may use a network."""
    log = folder / "log.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *build_words(engine, folder, path, epoch)],
            cwd=folder,
            env={**environment(), "DOCKER_BUILDKIT": "1"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code = wait(process, settings.DFC_BUILD_WALL_S, tick)
    if code != 0:
        finding = f"it took longer than {settings.DFC_BUILD_WALL_S:g} s" if code is None else last_words(log)
        raise EnvironmentDefinitionError(
            f"Environment {path}: {engine.shown} could not make its image ({finding}). Correct the Containerfile, or "
            "look whether the places it fetches from can be reached.",
            path=path,
        )
    return (folder / "image").read_text(encoding="ascii").strip().removeprefix("sha256:")


def build_words(engine: Engine, folder: Path, path: str, epoch: int) -> tuple[str, ...]:
    """Give the words that make an image whose times are the commit's; the whole code is its context."""
    common = ("--file", str(folder / "code" / path), "--iidfile", str(folder / "image"), str(folder / "code"))
    if engine.name == "podman":
        own = ("--format", "docker", "--timestamp", str(epoch), *ulimits(Limits()))
        return (*engine.words, "build", *own, *common)
    return (*engine.words, "build", "--build-arg", f"SOURCE_DATE_EPOCH={epoch}", *common)


def last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " ".join(" ".join(lines[-6:]).split())[-600:] or "no words from it"


def packages(engine: Engine, image: str) -> Iterator[str]:
    """List what is installed in an image, sorted: each line begins with the kind of its packager."""
    for kind, words in SYSTEM_LISTS.items():
        listed = listed_by(engine, image, words)
        if listed:
            yield from sorted(f"{kind} {line}" for line in listed)
            break
    yield from sorted(f"pypi {line}" for line in listed_by(engine, image, PYTHON_LIST))


def listed_by(engine: Engine, image: str, words: tuple[str, ...]) -> list[str]:
    """Give the lines of a program in an image, none where it does not have it."""
    name = f"dfc-packages-{image[:12]}-{words[0]}"
    remove(engine, name)
    run = engine.confined(name, Limits())[len(engine.words) :]
    done = call(engine, *run, "--entrypoint", words[0], image, *words[1:])
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def kept(engine: Engine, image: str, folder: Path) -> dict[str, object]:
    """Save an image into our storage under the digest of its archive; gives the facts of its row."""
    archive = folder / "image.tar"
    form = ("--format", "docker-archive") if engine.name == "podman" else ()
    done = call(engine, "save", *form, "--output", str(archive), image, timeout_s=MOVE_TIMEOUT_S)
    if done.returncode != 0:
        raise ContainerEngineError(f"{engine.shown} could not save image {image[:12]} ({said(done)}).")
    with archive.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    key, size_bytes, storage = f"environments/{sha256}.tar", archive.stat().st_size, own_storage()
    if storage.size(key) != size_bytes:
        storage.write(key, size_bytes, partial(blocks, archive))
    return {"archive_sha256": sha256, "size_bytes": size_bytes, "storage_key": key}


def blocks(path: Path, start: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(BLOCK_BYTES):
            yield block


def ready(row: EnvironmentImage) -> Image:
    """Give an image for use, loaded from its archive where the engine of this machine does not have it.

    Raises ContainerEngineError without an engine that works; EnvironmentDefinitionError when the archive is gone, was
    changed, or is another image than was locked.
    """
    engine = working_engine(wanted())
    if row.platform != f"linux/{architecture()}":
        raise ContainerEngineError(
            f"Image {row.image_id[:12]} is for {row.platform}, this is linux/{architecture()}."
        )
    if not has(engine, row.image_id):
        with tempfile.TemporaryDirectory(prefix="image-", dir=settings.DFC_BUILDS_DIR) as scratch:
            archive = Path(scratch) / "image.tar"
            fetch(row, archive)
            load(engine, row, archive)
    return Image(engine, row.image_id)


def has(engine: Engine, image: str) -> bool:
    done = call(engine, "image", "inspect", "--format", "{{.Id}}", image)
    return done.returncode == 0 and done.stdout.strip().removeprefix("sha256:") == image


def fetch(row: EnvironmentImage, target: Path) -> None:
    """Copy an archive out of our storage; raises EnvironmentDefinitionError unless it has the kept bytes."""
    digest, storage = hashlib.sha256(), own_storage()
    if storage.size(row.storage_key) == row.size_bytes:
        with target.open("wb") as file:
            for block in storage.read(row.storage_key):
                digest.update(block)
                file.write(block)
    if digest.hexdigest() != row.archive_sha256:
        raise EnvironmentDefinitionError(
            f"Environment {row.path}: what our storage keeps as {row.storage_key} is gone or has other bytes. "
            f"Put the archive with sha256 {row.archive_sha256} back there.",
            path=row.path,
        )


def load(engine: Engine, row: EnvironmentImage, archive: Path) -> None:
    done = call(engine, "load", "--input", str(archive), timeout_s=MOVE_TIMEOUT_S)
    if done.returncode != 0 or not has(engine, row.image_id):
        raise ContainerEngineError(
            f"{engine.shown} could not load image {row.image_id[:12]} from {row.storage_key} ({said(done)})."
        )
