"""Editions of one small dataset: drafted, built, and made public without the mirrors that a publication needs."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.utils import timezone

from catalog.models import Asset, Version
from catalog.storage.connect import own_storage
from releases.build import output_path
from releases.models import Finding, Release, ReviewDiff
from releases.review import reviewed_build
from releases.seal import seal_file
from releases.submit import submit_release
from tests import factories
from tests.releases.recipes import built, drafted, recipe, release_toml

TOWNS = "id,name,people\n1,Alma,30000\n2,Banff,8000\n3,Comox,14000\n"
Change = Callable[[str], str]


def as_it_is(text: str) -> str:
    return text


def edition(
    by: Any, folder: Path, number: str, towns: str = TOWNS, *, change: Change = as_it_is, more: str = ""
) -> Release:
    """Draft and build an edition whose table is `towns`; `change` edits its release.toml, `more` its recipe."""
    commit = recipe(f"target.write_text({towns!r})\n{more}")
    return built(drafted(change(release_toml(commit, number=number)), by, folder), by)


def public(release: Release) -> Version:
    """Seal what a release's build made, and make its version public."""
    build, version = reviewed_build(release), release.version
    for one in release.outputs.all():
        seal_file(
            version.items.get(tile=""),
            key=one.key,
            role=one.role,
            path=one.path,
            media_type=one.media_type,
            source=output_path(build, one.path),
            expected_sha256=None,
            storage=own_storage(),
            now=timezone.now(),
        )
    item = version.items.get(tile="")
    factories.asset(item, "source-bundle.tar.gz", key="source-bundle", role=Asset.Role.SOURCE_BUNDLE)
    Version.objects.give_doi(version.pk, f"10.5072/{version.number}")
    assert Version.objects.publish(version.pk, at=datetime(2026, 1, 1, tzinfo=UTC))
    version.refresh_from_db()
    return version


def submitted(release: Release, by: Any) -> Release:
    submit_release(release, by=by, channel="command", now=timezone.now())
    return release


def newest(release: Release) -> ReviewDiff:
    return release.diffs.latest("made_at")


def body(release: Release) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(newest(release).body)
    return document


def bump(release: Release) -> tuple[str, str, bool]:
    """Give the level, the proposed number, and whether the chosen one is enough."""
    found = body(release)["bump"]
    return found["level"], found["proposed"], found["is_enough"]


def found_in(release: Release) -> dict[str, Finding]:
    return {one.code: one for one in release.findings.all()}
