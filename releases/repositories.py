"""Read processing code from the git repositories that this installation keeps, at an exact commit."""

import io
import os
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from releases.errors import RepositoryError

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
COMMIT = re.compile(r"[0-9a-f]{40}")
TIMEOUT_S = 120
SUBMODULE_MODE = "160000"


@dataclass(frozen=True)
class Snapshot:
    """One commit: its id, the id of its tree, and when it was committed (seconds since 1970, UTC)."""

    commit: str
    tree: str
    committed_at: int


def snapshot(repository: str, commit: str) -> Snapshot:
    """Look a commit up; raises RepositoryError if the repository or the commit is not kept here."""
    shown = git(repository, commit, "show", "--no-patch", "--format=%H %T %ct", f"{commit}^{{commit}}").decode()
    found, tree, committed_at = shown.split()
    return Snapshot(commit=found, tree=tree, committed_at=int(committed_at))


def read_text(repository: str, commit: str, path: str) -> str:
    """Read one file of a commit; raises RepositoryError if it is not there or is no UTF-8 text."""
    try:
        return git(repository, commit, "cat-file", "blob", f"{commit}:{path}").decode()
    except UnicodeDecodeError as error:
        raise RepositoryError(f"{repository}@{commit[:12]}: {path} is no UTF-8 text. Name another file.") from error


def archive(repository: str, commit: str, target: Path) -> None:
    """Unpack a commit's files into an empty folder, as `git archive` gives them.

    Raises RepositoryError also for submodules, whose content a commit does not hold.
    """
    refuse_submodules(repository, commit)
    packed = git(repository, commit, "archive", "--format=tar", commit)
    target.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            tar.extractall(target, filter="data")
    except tarfile.FilterError as error:
        raise RepositoryError(
            f"{repository}@{commit[:12]}: {error}. Remove links that lead out of the repository."
        ) from error


def refuse_submodules(repository: str, commit: str) -> None:
    for line in git(repository, commit, "ls-tree", "-r", commit).decode().splitlines():
        if line.startswith(SUBMODULE_MODE):
            path = line.split("\t", 1)[1]
            raise RepositoryError(
                f"{repository}@{commit[:12]}: {path} is a submodule, whose files the commit does not hold. "
                "Copy them into the repository."
            )


def git(repository: str, commit: str, *arguments: str) -> bytes:
    """Run git on a kept repository without its hooks, the system's settings or the network."""
    folder = locate(repository)
    if not COMMIT.fullmatch(commit):
        raise RepositoryError(f"{repository}: {commit!r} is no exact commit. Write all 40 hexadecimal digits.")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C.UTF-8",
    }
    command = ["git", "-c", "core.hooksPath=/dev/null", "-c", f"safe.directory={folder}", "-C", str(folder)]
    try:
        done = subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, check=True, timeout=TIMEOUT_S
        )
    except subprocess.CalledProcessError as error:
        finding = error.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["git failed"]
        raise RepositoryError(
            f"{repository}@{commit[:12]}: {finding[0]}. Fetch it into {folder.name}, or correct release.toml.",
            repository=repository,
            commit=commit,
        ) from error
    return done.stdout


def locate(repository: str) -> Path:
    folder = Path(settings.DFC_REPOSITORIES_DIR) / repository
    if not NAME.fullmatch(repository) or not folder.is_dir():
        raise RepositoryError(
            f"{repository!r}: no repository of that name is kept here. "
            "Clone it into the folder `repositories` of the data directory.",
            repository=repository,
        )
    return folder
