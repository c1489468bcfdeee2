"""Dismiss a notice of upstream: a person has seen it, and no new version is to be made of it."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from releases.errors import NotDismissableError
from releases.models import UpstreamNotice
from releases.people import require_permission


def dismiss_notice(notice: UpstreamNotice, *, by: Any, now: datetime) -> None:
    """End a notice. Raises NotAllowedError; NotDismissableError if it has ended already."""
    require_permission(by, "ingest")
    if not UpstreamNotice.objects.open().filter(pk=notice.pk).update(ended_at=now, dismissed_by=by):
        raise NotDismissableError(
            _("%(notice)s: it has ended already. Load the page again and look.") % {"notice": notice}
        )
    notice.refresh_from_db()
