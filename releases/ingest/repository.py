"""Bring a git repository in: a whole copy of its history into the repositories that this installation keeps.

1. Its server is looked at by the guard, and git connects to the address that was looked at; it follows no redirect.
2. No setting, credential or hook of this machine has a say; what comes is checked object by object.
3. It is visible under its name whole or not at all; what is kept already is brought up to date, and loses nothing.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone

from catalog.addresses import AddressRefusedError, NameUnknownError, networks, resolve
from releases.errors import UpstreamRefusedError, UpstreamUnavailableError
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Ingest

UNFIT = re.compile(r"[^a-z0-9._-]+")
NAME_LENGTH = 100
SLOWEST_BYTES_S = 1000
ORIGIN = "remote.origin.url"
EVERYTHING = "+refs/*:refs/*"


def repository_name(address: str) -> str:
    """Give the name under which a repository is kept: the last part of its address."""
    last = urlsplit(address).path.rstrip("/").rpartition("/")[2].removesuffix(".git").lower()
    return UNFIT.sub("-", last).lstrip("._-")[:NAME_LENGTH] or "repository"


def expand_keep(ingest_id: int) -> Sequence[StepSpec]:
    ingest = Ingest.objects.get(pk=ingest_id)
    name = repository_name(ingest.address)
    return [StepSpec("releases.ingest.repository.keep_repository", ingest_id, name)]


def keep_repository(step: StepContext, ingest_id: int) -> None:
    """Clone a repository, or bring its copy up to date. Safe to run twice."""
    ingest = Ingest.objects.get(pk=ingest_id)
    mirror_repository(ingest.address, Path(settings.DFC_REPOSITORIES_DIR) / repository_name(ingest.address))
    with step.finish():
        Ingest.objects.filter(pk=ingest_id).update(listed_at=timezone.now())
        Ingest.objects.move(ingest_id, source=Ingest.State.PROBING, to=Ingest.State.DONE)


def mirror_repository(address: str, folder: Path) -> None:
    """Bring all refs of a repository into a folder.

    Raises UpstreamUnavailableError where git fails, UpstreamRefusedError for what our rules forbid, and for a folder
    that holds another repository.
    """
    pinned = pin(address)
    if folder.exists():
        refuse_other(folder, address)
        git(pinned, folder, "fetch", "--quiet", "--no-write-fetch-head", address, "+refs/heads/*:refs/heads/*")
        git(pinned, folder, "fetch", "--quiet", "--no-write-fetch-head", "--tags", address)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    half = folder.parent / f".{folder.name}.partial"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    git(pinned, half, "init", "--quiet", "--bare", "--template=")
    git(pinned, half, "config", ORIGIN, address)
    git(pinned, half, "fetch", "--quiet", "--no-write-fetch-head", address, EVERYTHING)
    half.rename(folder)


def pin(address: str) -> list[str]:
    """Give the settings that hold git to one address of the server's name."""
    parts = urlsplit(address)
    try:
        place, port = resolve(parts, networks(settings.DFC_PRIVATE_NETWORKS))
    except AddressRefusedError as error:
        raise UpstreamRefusedError(error.message) from error
    except NameUnknownError as error:
        raise UpstreamUnavailableError(error.message) from error
    place = f"[{place}]" if ":" in place else place
    chosen = {
        "http.curloptResolve": f"{parts.hostname}:{port}:{place}",
        "http.followRedirects": "false",
        "http.proxy": "",
        "http.userAgent": "Data for Canada",
        "http.lowSpeedLimit": str(SLOWEST_BYTES_S),
        "http.lowSpeedTime": str(max(1, round(settings.DFC_INGEST_STALL_S))),
        "protocol.allow": "never",
        "protocol.http.allow": "always",
        "protocol.https.allow": "always",
        "credential.helper": "",
        "fetch.fsckObjects": "true",
        "gc.auto": "0",
    }
    return [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]


def refuse_other(folder: Path, address: str) -> None:
    """Raise UpstreamRefusedError unless a folder holds a copy of that repository made by us."""
    kept = git([], folder, "config", "--default", "", "--get", ORIGIN) if (folder / "objects").is_dir() else ""
    if kept != address:
        raise UpstreamRefusedError(
            f"{folder.name}: a repository of that name is kept here already ({kept or 'made here'}). "
            "Rename that one, or bring this one in by hand under another name."
        )


def git(pinned: list[str], folder: Path, *words: str) -> str:
    """Run git with nothing of this machine; raises UpstreamUnavailableError with its own words where it fails."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_DIR": str(folder),
        "LC_ALL": "C.UTF-8",
    }
    try:
        done = subprocess.run(
            ["git", *pinned, *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=settings.DFC_INGEST_TOTAL_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UpstreamUnavailableError(f"{folder.name}: git took too long. It is tried again.") from error
    if done.returncode != 0:
        found = " ".join(done.stderr.decode(errors="replace").split())[:400]
        raise UpstreamUnavailableError(f"{folder.name}: git could not fetch it ({found}). It is tried again.")
    return done.stdout.decode(errors="replace").strip()
