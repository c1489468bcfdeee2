"""How a version was made: sources, recipe and environment, manifest, two builds, approval, and what was found."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Sum

from catalog.models import Version
from catalog.models.dataset import in_language
from releases.builds.containerfile import is_containerfile
from releases.models import Build, Release, SourceFile
from releases.reviews.findings import FROM_DIFF, sentence
from releases.reviews.shown_diff import public_changes
from releases.statements.rebuilds import rebuilds_of

SOURCES_SHOWN, FINDINGS_SHOWN = 50, 50
LONGEST_MANIFEST = 20_000  # characters; a longer one is in the source bundle and would make the page heavy


@dataclass(frozen=True)
class Made:
    """One build as the picture shows it."""

    number: int
    verdict: str
    words: str
    ended_at: datetime | None
    seconds: float


@dataclass(frozen=True)
class Finding:
    """One thing that an inspection found, as a sentence in the language of the page."""

    file: str
    kind: str
    severity: str
    sentence: str


KINDS = {"error": "bad", "warning": "warn", "note": "idle"}


def provenance_of(version: Version) -> dict[str, Any]:
    """Give what the sections about making, citing and rebuilding need."""
    release = Release.objects.select_related("recipe").get(version=version)
    builds = list(release.builds.select_related("manifest").defer("log").order_by("-round", "purpose", "number"))
    reviewed = reviewed_builds(builds)
    manifest = reviewed[0].manifest
    return {
        "release": release,
        "recipe": release.recipe,
        "unconfirmed_reason": in_language(release, "unconfirmed_reason"),
        "sources": sources_of(release),
        "totals": release.sources.aggregate(files=Count("pk"), size_bytes=Sum("size_bytes"), at=Max("stored_at")),
        "builds": [made(one) for one in reviewed],
        "is_same": all(one.verdict in {Build.Verdict.FIRST, Build.Verdict.IDENTICAL} for one in reviewed),
        "is_same_content": reviewed[-1].verdict == Build.Verdict.SAME_CONTENT,
        "grade_reason": in_language(release, "reproducibility_reason"),
        "is_container": is_containerfile(release.recipe.environment),
        "build": reviewed[0],
        "confirmation": next((one for one in builds if one.purpose == Build.Purpose.CONFIRM), None),
        "manifest": manifest,
        "manifest_shown": indented(manifest.body) if len(manifest.body) <= LONGEST_MANIFEST else "",
        "rebuilds": rebuilds_of(version),
        "second_person": has_second_person(release),
        "findings": findings_of(release),
        "changes": public_changes(release),
    }


def reviewed_builds(builds: list[Build]) -> list[Build]:
    """Give the builds of the newest round that were made for the reviewer, by number."""
    newest = max(build.round for build in builds)
    return [build for build in builds if build.purpose == Build.Purpose.REVIEW and build.round == newest]


def made(build: Build) -> Made:
    seconds = (build.ended_at - build.started_at).total_seconds() if build.ended_at else 0.0
    return Made(build.number, build.verdict, build.get_verdict_display(), build.ended_at, seconds)


def sources_of(release: Release) -> list[SourceFile]:
    return list(release.sources.order_by("name")[:SOURCES_SHOWN])


def has_second_person(release: Release) -> bool:
    """Tell whether somebody who neither wrote nor submitted the release approved what is public."""
    approvals = release.approvals.filter(voided_at__isnull=True)
    return approvals.exclude(by__in=[release.author_id, release.submitter_id]).exists()


def findings_of(release: Release) -> list[Finding]:
    """Give what inspections found; what the reviewer was told of the difference stands in its own place."""
    return [
        Finding(one.file, KINDS[one.severity], one.get_severity_display(), sentence(one))
        for one in release.findings.exclude(code__in=FROM_DIFF)[:FINDINGS_SHOWN]
    ]


def indented(body: str) -> str:
    return json.dumps(json.loads(body), ensure_ascii=False, indent=2)
