"""Turn an example's folder into a git repository whose commit id is the same on every machine."""

import os
import shutil
import subprocess
from pathlib import Path

COMMITTED_AT = "2026-11-01T00:00:00+00:00"
IDENTITY = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (
        ("NAME", "Data for Canada"),
        ("EMAIL", "examples@dataforcanada.example"),
        ("DATE", COMMITTED_AT),
    )
}


def ensure_repository(folder: Path, repositories: Path) -> str:
    """Commit `<folder>/repository` to `<repositories>/<folder name>` unless it is there; give the commit id.

    The id depends only on names, modes and bytes of the files: author, dates and message are fixed.
    """
    target = repositories / folder.name
    if not (target / ".git").is_dir():
        unfinished = repositories / f".{folder.name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(folder / "repository", unfinished)
        for path in unfinished.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        git(unfinished, "init", "--quiet", "--initial-branch=main")
        git(unfinished, "add", "--all")
        git(unfinished, "commit", "--quiet", f"--message=Recipe of {folder.name}")
        unfinished.rename(target)
    return git(target, "rev-parse", "HEAD").strip()


def git(repository: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(repository), "GIT_CONFIG_NOSYSTEM": "1", **IDENTITY}
    done = subprocess.run(
        ["git", "-c", "core.autocrlf=false", "-c", "commit.gpgSign=false", *arguments],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
