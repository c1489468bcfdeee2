"""Send a release back from review: a reviewer says what has to change before it can be approved."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from releases.approve import makers
from releases.edit import EDITED_IN_REVIEW
from releases.errors import NotReturnableError
from releases.models import Release, Transition
from releases.people import require_permission
from releases.reasons import clean_reason
from releases.states import Move


def request_changes(release: Release, *, by: Any, channel: str, reason: str, now: datetime) -> None:
    """Return a release in review to draft with the reason, which its author sees; every approval becomes void.

    Raises NotAllowedError; NotReturnableError (not in review, or `by` wrote, built or submitted it); ReasonError.
    """
    require_permission(by, "approve")
    refuse_state(release)
    refuse_maker(release, by)
    move = Move("in_review", "draft", by, now, channel, clean_reason(reason))
    with transaction.atomic():
        if not Release.objects.move(release.pk, move, submitter=None, reviewed_digest="", approved_at=None):
            raise NotReturnableError(
                _("%(release)s: somebody moved it just now. Load the page again and look.") % {"release": release}
            )
        release.approvals.filter(voided_at__isnull=True).update(voided_at=now)
    release.refresh_from_db()


def refuse_state(release: Release) -> None:
    if release.state != Release.State.IN_REVIEW:
        raise NotReturnableError(
            _("%(release)s: it is not in review, so that there is nothing to send back.") % {"release": release}
        )


def refuse_maker(release: Release, by: Any) -> None:
    """Let the people who made it edit instead; with DFC_APPROVERS=0 one person may do it all."""
    if settings.DFC_APPROVERS and by.pk in makers(release):
        raise NotReturnableError(
            _("%(release)s: %(person)s wrote, built or submitted it. Edit it to change it.")
            % {"release": release, "person": by}
        )


def requested_changes(release: Release) -> Transition | None:
    """Give the request that the author of a release has not answered yet by submitting it again."""
    if release.state not in {Release.State.DRAFT, Release.State.BUILDING, Release.State.BUILT}:
        return None
    last = (
        release.transitions.select_related("by").filter(source=Release.State.IN_REVIEW, to=Release.State.DRAFT).last()
    )
    return last if last is not None and last.reason != EDITED_IN_REVIEW else None
