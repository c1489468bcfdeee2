"""The path of the first example, as far as a test wants to walk it."""

from typing import Any

from django.utils import timezone

from dfc_site import demo
from releases.approve import approve_release
from releases.build import request_build
from releases.jobs import engine
from releases.models import Release
from releases.submit import submit_release


def to_review() -> Release:
    """Prepare the demonstration, then draft, build and submit its first release."""
    demo.prepare()
    author = demo.person("author")
    release = demo.ensure_draft(demo.PUBLISHED[0])
    request_build(release, by=author, channel="command", now=timezone.now())
    engine.drain(60)
    release.refresh_from_db()
    submit_release(release, by=author, channel="command", now=timezone.now())
    return release


def approve(release: Release, by: Any) -> None:
    approve_release(
        release, by=by, channel="command", seen_digest=release.reviewed_digest, now=timezone.now(), reason="Read."
    )


def to_public() -> Release:
    """Walk the whole path; the other copies and the catalogue are there when it returns."""
    release = to_review()
    approve(release, demo.person("reviewer"))
    engine.drain(90)
    release.refresh_from_db()
    return release
