"""Open the backend of a Mirror row."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

from catalog.addresses import networks
from catalog.storage.client import Service
from mirrors.backends import traits
from mirrors.backends.base import MirrorBackend, Traits
from mirrors.backends.local import LocalMirror
from mirrors.backends.s3 import S3Mirror
from mirrors.backends.s3_words import S3Place
from mirrors.backends.zenodo import ZenodoMirror
from mirrors.backends.zenodo_client import Account as ZenodoAccount
from mirrors.backends.zenodo_client import ZenodoClient
from mirrors.checks.knock import address_of
from mirrors.errors import MirrorRefusedError
from mirrors.models import Mirror
from mirrors.registry.credentials import credentials_of

if TYPE_CHECKING:
    from mirrors.backends.internet_archive import InternetArchiveMirror

ARCHIVE = "https://archive.org"
MIB = 1 << 20
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


def open_internet_archive(mirror: Mirror) -> "InternetArchiveMirror":
    """Open an account at the Internet Archive; raises MirrorRefusedError where its package was left out."""
    keys = credentials_of(mirror.slug, settings.DFC_MIRROR_SECRETS)
    keys.need("access_key_id", "secret_access_key")
    try:
        # Not above: the package is AGPL-3 and may be left out, and only workers that open such a mirror load it.
        from mirrors.backends.internet_archive import Account, InternetArchiveMirror
    except ModuleNotFoundError as error:
        raise MirrorRefusedError(
            f"{mirror.slug}: the Python package internetarchive is not installed here. Install it where the workers "
            "run (docs/internet-archive.md says how, and what its licence asks), and start them again."
        ) from error
    endpoint = "" if mirror.endpoint.rstrip("/") == ARCHIVE else mirror.endpoint
    if endpoint:
        address_of(urlsplit(endpoint), networks(settings.DFC_PRIVATE_NETWORKS))
    return InternetArchiveMirror(
        Account(
            slug=mirror.slug,
            access_key=keys.access_key_id,
            secret_key=keys.secret_access_key,
            names=keys.names,
            endpoint=endpoint,
            public_url=mirror.public_url or f"{ARCHIVE}/download",
            collection=mirror.collection,
            contact=f"Data for Canada ({settings.DFC_SITE_URL})",
            settle_s=mirror.settle_s,
            call_s=settings.DFC_SERVICE_CALL_S,
        )
    )


def open_s3(mirror: Mirror) -> S3Mirror:
    """Open a bucket with the keys of its mirror; raises MirrorRefusedError naming the variable that is not set."""
    keys = credentials_of(mirror.slug, settings.DFC_MIRROR_SECRETS)
    if not keys.credential_process:
        keys.need("access_key_id", "secret_access_key")
    service = Service(
        endpoint=mirror.endpoint.rstrip("/"),
        region=mirror.region or None,
        style=mirror.addressing,
        access_key=keys.access_key_id,
        secret_key=keys.secret_access_key,
        session_token=keys.session_token,
        key_process=keys.credential_process,
        allowed=tuple(networks(settings.DFC_PRIVATE_NETWORKS)),
    )
    place = S3Place(
        slug=mirror.slug,
        bucket=mirror.bucket,
        prefix=mirror.prefix,
        public_url=mirror.public_url,
        names=keys.names,
        endpoint=mirror.endpoint,
        storage_class=mirror.storage_class,
        checksum=mirror.upload_checksum,
        part_bytes=mirror.part_mib * MIB,
    )
    return S3Mirror(service, place, scratch=settings.DFC_DATA_DIR / "scratch")


def open_zenodo(mirror: Mirror) -> ZenodoMirror:
    """Open the account of a token; raises MirrorRefusedError naming the variable that is not set."""
    keys = credentials_of(mirror.slug, settings.DFC_MIRROR_SECRETS)
    keys.need("token")
    contact = f"; {settings.DFC_CONTACT_EMAIL}" if settings.DFC_CONTACT_EMAIL else ""
    account = ZenodoAccount(
        api=mirror.endpoint,
        token=keys.token,
        names=f"{keys.names}TOKEN",
        agent=f"Data for Canada (+{settings.DFC_SITE_URL}{contact})",
        allowed=networks(settings.DFC_PRIVATE_NETWORKS),
        pause_s=min(1.0, settings.DFC_BACKOFF_S),
        call_s=settings.DFC_SERVICE_CALL_S,
    )
    return ZenodoMirror(
        ZenodoClient(account), mirror.public_url, community=mirror.collection, settle_s=mirror.settle_s
    )


OPENERS: Mapping[str, Callable[[Mirror], MirrorBackend]] = {
    Mirror.Kind.LOCAL: open_local,
    Mirror.Kind.S3: open_s3,
    Mirror.Kind.ZENODO: open_zenodo,
    Mirror.Kind.INTERNET_ARCHIVE: open_internet_archive,
}
OPENED_KINDS = tuple(OPENERS)
