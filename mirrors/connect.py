"""Open the backend of a Mirror row."""

from collections.abc import Callable, Mapping
from pathlib import Path

from mirrors.backends import traits
from mirrors.backends.base import MirrorBackend, Traits
from mirrors.backends.local import LocalMirror
from mirrors.errors import MirrorRefusedError
from mirrors.models import Mirror

TRAITS: Mapping[str, Traits] = {
    Mirror.Kind.LOCAL: traits.LOCAL,
    Mirror.Kind.S3: traits.S3,
    Mirror.Kind.ZENODO: traits.ZENODO,
    Mirror.Kind.INTERNET_ARCHIVE: traits.INTERNET_ARCHIVE,
}


def connect(mirror: Mirror) -> MirrorBackend:
    """Give what keeps a mirror's bytes; raises MirrorRefusedError for a kind that cannot be opened here."""
    if mirror.kind not in OPENERS:
        raise MirrorRefusedError(
            f"{mirror.slug}: this installation cannot open mirrors of kind {mirror.kind} yet. Use kind local."
        )
    return OPENERS[mirror.kind](mirror)


def traits_of(mirror: Mirror) -> Traits:
    """Give what a mirror is and can do, without opening it."""
    return TRAITS[mirror.kind]


def open_local(mirror: Mirror) -> MirrorBackend:
    return LocalMirror(Path(mirror.endpoint), mirror.public_url)


OPENERS: Mapping[str, Callable[[Mirror], MirrorBackend]] = {Mirror.Kind.LOCAL: open_local}
OPENED_KINDS = tuple(OPENERS)
