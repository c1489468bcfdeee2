"""The demonstration: two people, two mirrors on this machine, two releases published and one in review.

Every step asks the rows first, so that a demo that was interrupted goes on and a finished one changes nothing.
"""

import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from catalog.errors import PersonMustActError
from catalog.models import DataPackage
from catalog.storage.connect import own_storage
from dfc_site.examples import ensure_repository
from dfc_site.roles import ensure_groups
from mirrors.models import Mirror, Policy
from releases.approve import approve_release
from releases.build import request_build
from releases.draft import draft_release, named
from releases.drafts.definition import read_definition
from releases.find import find_release
from releases.models import Release, Transition
from releases.review import newest_diff
from releases.submit import submit_release

PROVINCES, TILES = "natural-earth-provinces", "vancouver-orthoimagery-index"
PEOPLE, PASSWORDS = ("author", "reviewer", "admin"), "demo-passwords.json"
PUBLISHED = (f"{PROVINCES}/release.toml", f"{TILES}/release.toml")
IN_REVIEW = f"{PROVINCES}/release-0.2.0.toml"
PACKAGES = (
    ("statistical", "Statistical data", "Données statistiques"),
    ("foundation", "Foundation data", "Données de base"),
    ("environment-climate-health", "Environment, climate and health", "Environnement, climat et santé"),
    ("orthoimagery", "Orthoimagery", "Orthoimagerie"),
    ("field-imagery", "Field imagery", "Imagerie de terrain"),
)
Say = Callable[[str], None]


class DemoStuckError(PersonMustActError):
    """The demonstration waited too long for the workers, or one of its jobs needs a person."""


def prepare() -> dict[str, str]:
    """Make what the demo needs before a worker runs; gives the passwords of people made just now."""
    ensure_groups()
    ensure_packages()
    ensure_mirrors()
    for example in (PROVINCES, TILES):
        ensure_repository(settings.DFC_EXAMPLES_DIR / example, made(settings.DFC_REPOSITORIES_DIR))
    return ensure_people()


def made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def ensure_packages() -> None:
    for priority, (slug, title_en, title_fr) in enumerate(PACKAGES, start=1):
        DataPackage.objects.update_or_create(
            slug=f"d4c-datapkg-{slug}",
            defaults={"title_en": title_en, "title_fr": title_fr, "priority": priority},
        )


def ensure_mirrors() -> None:
    """Two directories of this machine: our own storage, and a second one that keeps its own copies."""
    places = (
        ("origin", "Origin / Origine", settings.DFC_STORAGE_DIR),
        ("second", "Second directory / Second répertoire", settings.DFC_DATA_DIR / "mirrors" / "second"),
    )
    for slug, name, directory in places:
        where = {"endpoint": str(made(directory)), "public_url": f"{settings.DFC_MIRROR_URL}/{slug}"}
        what = {
            "name": name,
            "kind": Mirror.Kind.LOCAL,
            "operator": "Data for Canada (demo)",
            "jurisdiction": "CA",
            "tier": Mirror.Tier.PRIMARY if slug == "origin" else Mirror.Tier.COMMUNITY,
            "added_at": timezone.now(),
        }
        mirror, _ = Mirror.objects.get_or_create(slug=slug, defaults=what | where)
        if {name: getattr(mirror, name) for name in where} != where:
            Mirror.objects.update_or_create(
                slug=slug, defaults=where
            )  # another folder or port than at the last start
        Policy.objects.get_or_create(mirror=mirror, package=None, dataset=None)


def ensure_people() -> dict[str, str]:
    """Make the author, the reviewer and an administrator; gives the passwords of those made just now.

    The random passwords are kept (mode 0600) before the first person is made, so that a kill in between loses none.
    """
    curators, fresh = Group.objects.get(name="curator"), {}
    for name, password in kept_passwords().items():
        if get_user_model().objects.filter(username=name).exists():
            continue
        with transaction.atomic():
            person = get_user_model().objects.create_user(
                username=name, password=password, is_staff=True, is_superuser=name == "admin"
            )
            person.groups.add(curators)
        fresh[name] = password
    return fresh


def kept_passwords() -> dict[str, str]:
    """Read the passwords of the demo's people, or draw them; the file appears whole or not at all."""
    path = settings.DFC_DATA_DIR / PASSWORDS
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        with open(unfinished, "w", opener=lambda name, flags: os.open(name, flags, 0o600), encoding="utf-8") as file:
            json.dump({name: secrets.token_urlsafe(12) for name in PEOPLE}, file)
        unfinished.rename(path)
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def play(say: Say, *, timeout_s: float) -> tuple[list[Release], Release]:
    """Bring both examples to published and one more version to review; the workers must be running.

    Raises DemoStuckError when a step takes longer than `timeout_s`, or needs a person.
    """
    published = [reach(file, Release.State.PUBLISHED, say, timeout_s) for file in PUBLISHED]
    return published, reach(IN_REVIEW, Release.State.IN_REVIEW, say, timeout_s)


def reach(file: str, goal: str, say: Say, timeout_s: float) -> Release:
    """Push one release forward until it has reached `goal` or gone past it."""
    release = ensure_draft(file)
    order = list(Release.State.values)
    deadline = time.monotonic() + timeout_s
    while order.index(release.state) < order.index(goal):
        before = release.state
        push(release, goal)
        release.refresh_from_db()
        if release.state != before:
            say(f"{release}: {release.get_state_display()}")
            deadline = time.monotonic() + timeout_s
        elif time.monotonic() > deadline:
            raise DemoStuckError(
                f"{release}: still {release.get_state_display().lower()} after {timeout_s:.0f} s. "
                "Look at its publish board in the admin."
            )
        else:
            time.sleep(0.3)
    return release


def ensure_draft(file: str) -> Release:
    path = settings.DFC_EXAMPLES_DIR / file
    definition = read_definition(path.read_text(encoding="utf-8"))
    identifier, number = named(definition).split(" ")
    found = Release.objects.filter(version__dataset__identifier=identifier, version__number=number.removeprefix("v"))
    if not found.exists():
        draft_release(
            definition,
            by=person("author"),
            offered={source.name: path.parent / "sources" / source.name for source in definition.sources},
            storage=own_storage(),
            now=timezone.now(),
        )
    return find_release(identifier, number)


def push(release: Release, goal: str) -> None:
    """Do the one thing a person would do next; nothing where a worker is at it."""
    channel, now = Transition.Channel.COMMAND, timezone.now()
    if release.state == Release.State.DRAFT:
        refuse_failed_build(release)
        request_build(release, by=person("author"), channel=channel, now=now)
    elif release.state == Release.State.BUILT and newest_diff(release) is not None:
        submit_release(release, by=person("author"), channel=channel, now=now)
    elif release.state == Release.State.IN_REVIEW and goal == Release.State.PUBLISHED:
        approve_release(release, by=person("reviewer"), channel=channel, seen_digest=release.reviewed_digest, now=now)


def refuse_failed_build(release: Release) -> None:
    failed = release.builds.exclude(finding="").first()
    if failed is not None:
        raise DemoStuckError(f"{release}: {failed.finding}")


def person(name: str) -> Any:
    return get_user_model().objects.get(username=name)
