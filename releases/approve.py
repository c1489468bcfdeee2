"""Approve a release: a second person says yes to exactly what was reviewed."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from releases.errors import NotApprovableError
from releases.jobs import engine
from releases.models import Approval, Release
from releases.people import require_permission
from releases.review import reviewed_digest
from releases.states import Move


def approve_release(
    release: Release, *, by: Any, channel: str, seen_digest: str, now: datetime, reason: str = ""
) -> None:
    """Record one approval; the one that completes DFC_APPROVERS starts the publication in the same transaction.

    `seen_digest` is the reviewed digest of the page or command that the reviewer looked at.
    Raises NotAllowedError; NotApprovableError (not in review; `by` drafted, edited, built or submitted it;
    already approved by `by`; or what is there is not what was reviewed).
    """
    require_permission(by, "approve")
    refuse_state(release)
    refuse_person(release, by)
    refuse_other_digest(release, seen_digest)
    try:
        with transaction.atomic():
            Approval.objects.create(
                release=release, by=by, reviewed_digest=release.reviewed_digest, reason=reason, at=now
            )
            if approvals(release) >= settings.DFC_APPROVERS:
                start_publication(release, by=by, channel=channel, reason=reason, now=now)
    except IntegrityError as error:
        raise NotApprovableError(
            _("%(release)s: %(person)s has approved it already. Another reviewer has to.")
            % {"release": release, "person": by}
        ) from error
    release.refresh_from_db()


def refuse_state(release: Release) -> None:
    if release.state != Release.State.IN_REVIEW:
        raise NotApprovableError(
            _("%(release)s: it is %(state)s, not in review. Submit it for review first.")
            % {"release": release, "state": release.get_state_display().lower()}
        )


def refuse_person(release: Release, by: Any) -> None:
    """Hold the rule of the second person; with DFC_APPROVERS=0 one person may do it all, and the page says so."""
    if settings.DFC_APPROVERS == 0:
        return
    if by.pk in makers(release):
        raise NotApprovableError(
            _("%(release)s: %(person)s wrote, built or submitted it. A second person has to approve it.")
            % {"release": release, "person": by},
            person=str(by),
        )


def makers(release: Release) -> set[int | None]:
    """Give the keys of those who drafted, edited, built or submitted a release."""
    made = release.transitions.filter(source=Release.State.DRAFT)  # edits and builds
    return {release.author_id, release.submitter_id, *made.values_list("by_id", flat=True)}


def refuse_other_digest(release: Release, seen_digest: str) -> None:
    if not (seen_digest == release.reviewed_digest == reviewed_digest(release)):
        raise NotApprovableError(
            _("%(release)s: what is there now is not what was reviewed. Load the page again and review the change.")
            % {"release": release}
        )


def approvals(release: Release) -> int:
    return release.approvals.filter(voided_at__isnull=True, reviewed_digest=release.reviewed_digest).count()


def start_publication(release: Release, *, by: Any, channel: str, reason: str, now: datetime) -> None:
    """Move to approved and publishing, and start the durable job, all in the caller's transaction."""
    approved = Release.objects.move(
        release.pk, Move("in_review", "approved", by, now, channel, reason), approved_at=now
    )
    if not approved or not Release.objects.move(release.pk, Move("approved", "publishing", None, now, "engine")):
        raise NotApprovableError(
            _("%(release)s: somebody moved it just now. Load the page again and look.") % {"release": release}
        )
    version = release.version
    engine.start(f"publish:{version.dataset.identifier}:{version.number}", "publish", release.pk, now=now)
