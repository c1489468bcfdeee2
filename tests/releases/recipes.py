"""Throw-away git repositories, the release.toml that goes with them, and people: a small release for each test."""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.utils import timezone

from catalog.storage.connect import own_storage
from dfc_site.roles import ensure_groups
from releases.build import request_build
from releases.draft import draft_release
from releases.drafts.definition import read_definition
from releases.edit import edit_release
from releases.jobs import engine
from releases.models import Release
from releases.submit import submit_release

IDENTIFIER = "ca_example-2021A000011124_d4c-datapkg-foundation_2022_words"
SOURCE = b"one\ntwo\nthree\n"
SOURCE_SHA256 = hashlib.sha256(SOURCE).hexdigest()
LOCK = "# Standard library only.\n"
PREAMBLE = """
import argparse, json, os, signal, sys, time
from pathlib import Path

parser = argparse.ArgumentParser()
for name in ("--sources", "--out", "--parameters"):
    parser.add_argument(name, type=Path, required=True)
given = parser.parse_args()
words = (given.sources / "words.txt").read_text()
parameters = json.loads(given.parameters.read_text())
target = given.out / "words.csv"
"""
GOOD = "target.write_text(words.upper())\n"
DEFINITION = """
[dataset]
identifier = "{identifier}"
title = {{ en = "Words", fr = "Mots" }}
description = {{ en = "Words, one a line.", fr = "Des mots, un par ligne." }}
attribution = {{ en = "Made with words.", fr = "Fait avec des mots." }}
doi_provider = "test"
bbox = [-80.0, 43.0, -79.0, 44.0]
time = {{ start = "2022-01-01", end = "2022-12-31" }}
licence = {{ id = "CC0-1.0", title = {{ en = "CC0", fr = "CC0" }}, url = "https://licence.example.org/" }}

[[dataset.providers]]
name = "Example"
role = "producer"

[version]
number = "{number}"
notes = {{ en = "First.", fr = "Première." }}

[recipe]
repository = "words"
commit = "{commit}"
entry_point = "build.py"
environment = "requirements.lock"
parameters = {{ colour = "red", share = 0.5 }}

[[sources]]
name = "words.txt"
url = "{url}"
sha256 = "{sha256}"
size_bytes = {size_bytes}
media_type = "text/plain"

[[outputs]]
path = "words.csv"
key = "data"
role = "data"
media_type = "text/csv"
"""


def git(folder: Path, *arguments: str) -> str:
    """Run git as a person of fixed name and dates, without the settings of this machine."""
    fixed = {"NAME": "Example", "EMAIL": "example@example.org", "DATE": "2026-01-02T03:04:05+00:00"}
    people = {f"GIT_{role}_{field}": fixed[field] for role in ("AUTHOR", "COMMITTER") for field in fixed}
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **people}
    words = ["git", "-C", str(folder), "-c", "protocol.file.allow=always", *arguments]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def repository_folder(name: str = "words") -> Path:
    return Path(django_settings.DFC_REPOSITORIES_DIR) / name


def commit(
    files: Mapping[str, str | bytes],
    *,
    name: str = "words",
    links: Mapping[str, str] | None = None,
    executable: tuple[str, ...] = (),
) -> str:
    """Commit files and symbolic links to the kept repository `name` and give the commit's id."""
    folder = repository_folder(name)
    if not folder.is_dir():
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "--initial-branch=main")
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())
        (folder / path).chmod(0o755 if path in executable else 0o644)
    for path, target in (links or {}).items():
        (folder / path).symlink_to(target)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=Example")
    return git(folder, "rev-parse", "HEAD")


def recipe(body: str = GOOD, **files: str) -> str:
    """Commit a recipe whose script goes on with `body`; gives the commit's id."""
    return commit({"build.py": PREAMBLE + body, "requirements.lock": LOCK, **files})


def tree_of(folder: Path, scratch: Path) -> str:
    """Give the id of the git tree that a folder's files make."""
    git_dir = f"--git-dir={scratch / 'tree-of.git'}"
    git(scratch, "init", "--quiet", "--bare", str(scratch / "tree-of.git"))
    (scratch / "tree-of.git" / "info" / "attributes").write_text("* -text !filter !ident !working-tree-encoding\n")
    git(scratch, git_dir, f"--work-tree={folder}", "add", "--all", "--force", ".")
    return git(scratch, git_dir, "write-tree")


def release_toml(
    commit_id: str,
    *,
    number: str = "1.0.0",
    url: str = "https://upstream.example.org/words.txt",
    source: bytes = SOURCE,
) -> str:
    return DEFINITION.format(
        identifier=IDENTIFIER,
        number=number,
        commit=commit_id,
        url=url,
        sha256=hashlib.sha256(source).hexdigest(),
        size_bytes=len(source),
    )


def offer(folder: Path, content: bytes = SOURCE) -> dict[str, Path]:
    """Lay the source file into `folder/sources`, as a person has it beside release.toml."""
    path = folder / "sources" / "words.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {path.name: path}


def drafted(text: str, by: Any, folder: Path, content: bytes = SOURCE) -> Release:
    return draft_release(
        read_definition(text), by=by, offered=offer(folder, content), storage=own_storage(), now=timezone.now()
    )


def built(release: Release, by: Any, *, seconds: float = 60) -> Release:
    """Ask for a build and run it to its end in this process."""
    request_build(release, by=by, channel="command", now=timezone.now())
    engine.drain(seconds)
    release.refresh_from_db()
    return release


def person(name: str, *groups: str, **fields: Any) -> Any:
    ensure_groups()
    made = get_user_model().objects.create_user(username=name, **fields)
    made.groups.set(Group.objects.filter(name__in=groups))
    return made


def renamed(text: str) -> str:
    return text.replace('en = "Words"', 'en = "Other words"').replace('name = "Example"', 'name = "Somebody"')


def edit(release: Release, text: str, by: Any, folder: Path) -> None:
    edit_release(
        release,
        read_definition(text),
        by=by,
        channel="command",
        offered=offer(folder),
        storage=own_storage(),
        now=timezone.now(),
    )


def in_review(author: Any, folder: Path) -> Release:
    release = built(drafted(release_toml(recipe()), author, folder), author)
    submit_release(release, by=author, channel="command", now=timezone.now())
    return release


def strangers() -> dict[str, Any]:
    return {
        "stranger": person("stranger"),
        "auditor": person("auditor", "auditor"),
        "inactive": person("inactive", "curator", is_active=False),
        "inactive administrator": person("retired", is_superuser=True, is_active=False),
    }


def everything(bench: Path) -> dict[str, Any]:
    """Give all that a refusal must not touch: every row of ours, and every kept file."""
    rows = {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for label in ("catalog", "releases")
        for model in apps.get_app_config(label).get_models()
    }
    return rows | {"files": sorted(str(path) for path in (bench / "storage").rglob("*"))}


@pytest.fixture(name="bench")
def bench_fixture(settings: Any, tmp_path: Path) -> Path:
    """Point every folder of the settings into the test's own, which it gives."""
    settings.DFC_DATA_DIR = tmp_path
    settings.DFC_STORAGE_DIR = tmp_path / "storage"
    settings.DFC_REPOSITORIES_DIR = tmp_path / "repositories"
    settings.DFC_BUILDS_DIR = tmp_path / "builds"
    settings.DFC_ENVIRONMENTS_DIR = tmp_path / "environments"
    settings.DFC_SCRATCH_DIR = tmp_path / "scratch"
    return tmp_path


@pytest.fixture(name="author")
def author_fixture(db: None) -> Any:
    return person("author", "curator")


@pytest.fixture(name="reviewer")
def reviewer_fixture(db: None) -> Any:
    return person("reviewer", "curator")
