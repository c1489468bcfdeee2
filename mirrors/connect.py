"""Open the backend of a Mirror row."""

from collections.abc import Callable, Mapping
from pathlib import Path

from django.conf import settings

from catalog.addresses import networks
from mirrors.backends import traits
from mirrors.backends.base import MirrorBackend, Traits
from mirrors.backends.local import LocalMirror
from mirrors.backends.zenodo import ZenodoMirror
from mirrors.backends.zenodo_client import Account, ZenodoClient
from mirrors.credentials import credentials_of
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


def open_zenodo(mirror: Mirror) -> MirrorBackend:
    """Open the account of a token; raises MirrorRefusedError naming the variable that is not set."""
    keys = credentials_of(mirror.slug, settings.DFC_MIRROR_SECRETS)
    keys.need("token")
    contact = f"; {settings.DFC_CONTACT_EMAIL}" if settings.DFC_CONTACT_EMAIL else ""
    account = Account(
        api=mirror.endpoint,
        token=keys.token,
        names=f"{keys.names}TOKEN",
        agent=f"Data for Canada (+{settings.DFC_SITE_URL}{contact})",
        allowed=networks(settings.DFC_PRIVATE_NETWORKS),
        pause_s=min(1.0, settings.DFC_BACKOFF_S),
    )
    return ZenodoMirror(
        ZenodoClient(account), mirror.public_url, community=mirror.collection, settle_s=mirror.settle_s
    )


OPENERS: Mapping[str, Callable[[Mirror], MirrorBackend]] = {
    Mirror.Kind.LOCAL: open_local,
    Mirror.Kind.ZENODO: open_zenodo,
}
OPENED_KINDS = tuple(OPENERS)
