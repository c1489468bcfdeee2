"""What opens a mirror: read from the environment by the mirror's slug, and kept nowhere else.

`DFC_MIRROR_<SLUG>_TOKEN`, `…_ACCESS_KEY_ID`, `…_SECRET_ACCESS_KEY`, `…_SESSION_TOKEN`, or `…_CREDENTIAL_PROCESS`, a
command that tells keys which expire; the slug in upper case, `-` as `_`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mirrors.errors import MirrorRefusedError


@dataclass(frozen=True)
class Credentials:
    """Empty texts where the environment has none."""

    names: str
    token: str = field(default="", repr=False)
    access_key_id: str = field(default="", repr=False)
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    credential_process: str = field(default="", repr=False)

    def need(self, *fields: str) -> None:
        """Raise MirrorRefusedError naming the first variable that is not set."""
        for one in fields:
            if not getattr(self, one):
                name = f"{self.names}{one.upper()}"
                raise MirrorRefusedError(
                    f"{name}: it is not set, so this mirror cannot be opened. Set it where the workers start, "
                    "and start them again."
                )


def stem(slug: str) -> str:
    """Give what the names of a mirror's variables begin with."""
    return f"DFC_MIRROR_{slug.upper().replace('-', '_')}_"


def credentials_of(slug: str, environment: Mapping[str, str]) -> Credentials:
    names = stem(slug)
    parts = ("token", "access_key_id", "secret_access_key", "session_token", "credential_process")
    return Credentials(names, **{one: environment.get(f"{names}{one.upper()}", "") for one in parts})
