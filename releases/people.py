"""Who may do what: one permission an act, the same for the admin and for commands."""

from typing import Any

from releases.errors import NotAllowedError


def require_permission(by: Any, act: str, thing: str = "release") -> None:
    """Raise NotAllowedError unless `by` is active and holds `releases.<act>_<thing>`."""
    if not by.has_perm(f"releases.{act}_{thing}"):
        raise NotAllowedError(
            f"{by}: may not {act} a {thing}. Ask an administrator for the permission “{act}_{thing}”.",
            person=str(by),
            act=act,
        )
