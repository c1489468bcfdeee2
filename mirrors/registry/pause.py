"""Pause a mirror for its operator, and bring it back."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from mirrors.errors import NotPausableError
from mirrors.models import Mirror, MirrorMove
from releases.catalogue import request_edition
from releases.errors import NotAllowedError


def pause_mirror(mirror: Mirror, *, by: Any, reason: str, now: datetime) -> None:
    """Send nobody to a mirror, and probe and check nothing there, until it is resumed.

    Raises NotAllowedError; NotPausableError for a mirror that is paused already.
    """
    require_permission(by)
    change(mirror, MirrorMove(mirror.state, Mirror.State.PAUSED, reason, now, by))


def resume_mirror(mirror: Mirror, *, by: Any, reason: str, now: datetime) -> None:
    """Bring a paused mirror back; the next probe says whether it answers.

    Raises NotAllowedError; NotPausableError for a mirror that is not paused.
    """
    require_permission(by)
    change(mirror, MirrorMove(Mirror.State.PAUSED, Mirror.State.ANSWERS, reason, now, by))


def require_permission(by: Any) -> None:
    if not by.has_perm("mirrors.pause_mirror"):
        raise NotAllowedError(
            _("%(person)s: may not pause mirrors. Ask an administrator for the permission “%(needed)s”.")
            % {"person": by, "needed": "pause_mirror"},
            person=str(by),
        )


def change(mirror: Mirror, move: MirrorMove) -> None:
    """Change the state; the catalogue is told, since a paused mirror leaves it."""
    with transaction.atomic():
        if move.source == move.to or not Mirror.objects.move(mirror.pk, move):
            raise NotPausableError(
                _("%(mirror)s: its state is “%(state)s”, which leaves nothing to do. Look again.")
                % {"mirror": mirror, "state": mirror.get_state_display()}
            )
        request_edition(f"{mirror.slug}: {move.to}", now=move.at)
    mirror.refresh_from_db()
