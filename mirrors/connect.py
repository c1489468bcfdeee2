"""Open the backend of a Mirror row."""

from pathlib import Path

from mirrors.backends.base import MirrorBackend
from mirrors.backends.local import LocalMirror
from mirrors.errors import MirrorRefusedError
from mirrors.models import Mirror

OPENED_KINDS = (Mirror.Kind.LOCAL,)


def connect(mirror: Mirror) -> MirrorBackend:
    """Give what keeps a mirror's bytes; raises MirrorRefusedError for a kind that cannot be opened here."""
    if mirror.kind not in OPENED_KINDS:
        raise MirrorRefusedError(
            f"{mirror.slug}: this installation cannot open mirrors of kind {mirror.kind} yet. Use kind local."
        )
    return LocalMirror(Path(mirror.endpoint), mirror.public_url)
