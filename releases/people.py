"""Who may do what: one permission an act, the same for the admin and for commands."""

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from releases.errors import NotAllowedError

REFUSALS: Mapping[str, str | Promise] = {
    "draft_release": _("%(person)s: may not draft a release. Ask an administrator for the permission “%(needed)s”."),
    "build_release": _("%(person)s: may not build a release. Ask an administrator for the permission “%(needed)s”."),
    "submit_release": _(
        "%(person)s: may not submit a release. Ask an administrator for the permission “%(needed)s”."
    ),
    "approve_release": _(
        "%(person)s: may not approve a release. Ask an administrator for the permission “%(needed)s”."
    ),
    "steer_release": _("%(person)s: may not steer a release. Ask an administrator for the permission “%(needed)s”."),
    "ingest_release": _(
        "%(person)s: may not bring upstream files in. Ask an administrator for the permission “%(needed)s”."
    ),
    "propose_decision": _(
        "%(person)s: may not propose a decision. Ask an administrator for the permission “%(needed)s”."
    ),
    "second_decision": _(
        "%(person)s: may not second a decision. Ask an administrator for the permission “%(needed)s”."
    ),
    "recognise_rebuilder": _(
        "%(person)s: may not recognise rebuilders. Ask an administrator for the permission “%(needed)s”."
    ),
}


def require_permission(by: Any, act: str, thing: str = "release") -> None:
    """Raise NotAllowedError unless `by` is active and holds `releases.<act>_<thing>`."""
    needed = f"{act}_{thing}"
    if not by.has_perm(f"releases.{needed}"):
        raise NotAllowedError(str(REFUSALS[needed]) % {"person": by, "needed": needed}, person=str(by), act=act)
