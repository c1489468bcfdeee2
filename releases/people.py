"""Who may do what: one permission an act, the same for the admin and for commands."""

from typing import Any

from releases.errors import NotAllowedError


def require_permission(by: Any, act: str) -> None:
    """Raise NotAllowedError unless `by` is active and holds `releases.<act>_release`."""
    if not by.has_perm(f"releases.{act}_release"):
        raise NotAllowedError(
            f"{by}: may not {act} a release. Ask an administrator for the permission “{act}_release”.",
            person=str(by),
            act=act,
        )
