"""Submit a built release for review by somebody else."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from releases.errors import NotSubmittableError
from releases.models import Release
from releases.people import require_permission
from releases.review import reviewed_digest
from releases.states import Move


def submit_release(release: Release, *, by: Any, channel: str, now: datetime, reason: str = "") -> None:
    """Put a built release before the reviewers, bound to exactly what was built.

    Raises NotAllowedError; NotSubmittableError (not built, not built twice alike, or moved meanwhile).
    """
    require_permission(by, "submit")
    if release.state != Release.State.BUILT:
        raise NotSubmittableError(
            _("%(release)s: it is %(state)s, not built. Only a release that was built twice can go to review.")
            % {"release": release, "state": release.get_state_display().lower()}
        )
    move = Move("built", "in_review", by, now, channel, reason)
    if not Release.objects.move(release.pk, move, submitter=by, reviewed_digest=reviewed_digest(release)):
        raise NotSubmittableError(
            _("%(release)s: somebody moved it just now. Load the page again and look.") % {"release": release}
        )
    release.refresh_from_db()
