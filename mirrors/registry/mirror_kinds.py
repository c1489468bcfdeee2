"""What is looked at before a mirror of each kind is registered: one line a kind in FINDINGS."""

import re
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from catalog.storage.address import BUCKET, PART_MIB, PREFIX
from mirrors.models import Mirror, MirrorQuerySet
from mirrors.registry.mirror_entry import Finding, MirrorEntry, public_findings, service_findings

COLLECTION = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,99})?")
COMMUNITY = re.compile(r"[a-z0-9_-]{0,100}")
LEAST_SETTLE_S = 30  # an index has been seen to lag by seconds, at times by more
WORD = re.compile(r"[A-Za-z0-9_.-]*")


def local_findings(entry: MirrorEntry, others: MirrorQuerySet) -> Iterator[Finding]:
    """Refuse what is no directory, and one inside another mirror's: one disk would count as two copies."""
    if not Path(entry.endpoint).is_absolute() or not Path(entry.endpoint).is_dir():
        yield (
            "endpoint",
            _("%(folder)s is no directory here. Make it, and name it by its absolute path.")
            % {"folder": repr(entry.endpoint)},
        )
    yield from public_findings(entry)
    ours = Path(entry.endpoint).resolve()
    for mirror in others.filter(kind=Mirror.Kind.LOCAL):
        theirs = Path(mirror.endpoint).resolve()
        if ours.is_relative_to(theirs) or theirs.is_relative_to(ours):
            yield (
                "endpoint",
                _(
                    "%(folder)s and the directory of mirror %(mirror)s lie in each other, so that one copy would "
                    "count as two. Choose a directory of its own."
                )
                % {"folder": repr(entry.endpoint), "mirror": repr(mirror.slug)},
            )


def s3_findings(entry: MirrorEntry, others: MirrorQuerySet) -> Iterator[Finding]:
    """Refuse what names no bucket, and a prefix inside another mirror's of the same bucket."""
    yield from service_findings(entry)
    yield from public_findings(entry)
    if not BUCKET.fullmatch(entry.bucket):
        yield (
            "bucket",
            _("%(bucket)s is no name of a bucket: 3 to 63 of a-z, 0-9, dots and hyphens.")
            % {"bucket": repr(entry.bucket)},
        )
    if not PREFIX.fullmatch(entry.prefix):
        yield (
            "prefix",
            _("%(prefix)s is no prefix. Write it like product/data/, with a slash at the end, or leave it empty.")
            % {"prefix": repr(entry.prefix)},
        )
    yield from s3_word_findings(entry)
    for mirror in others.filter(kind=Mirror.Kind.S3, endpoint=entry.endpoint, bucket=entry.bucket):
        if entry.prefix.startswith(mirror.prefix) or mirror.prefix.startswith(entry.prefix):
            yield (
                "prefix",
                _(
                    "this place and that of mirror %(mirror)s lie in each other, so that one copy would count as "
                    "two. Choose a prefix or a bucket of its own."
                )
                % {"mirror": repr(mirror.slug)},
            )


def s3_word_findings(entry: MirrorEntry) -> Iterator[Finding]:
    choices = {"addressing": Mirror.Addressing.values, "upload_checksum": Mirror.UploadChecksum.values}
    for field, values in choices.items():
        if getattr(entry, field) not in values:
            yield (
                field,
                _("%(word)s is not among %(words)s.")
                % {"word": repr(getattr(entry, field)), "words": ", ".join(values)},
            )
    for field in ("region", "storage_class"):
        if not WORD.fullmatch(getattr(entry, field)):
            yield (
                field,
                _("%(word)s is no word of a service: letters, digits, dots, hyphens and underscores.")
                % {"word": repr(getattr(entry, field))},
            )
    if entry.part_mib not in PART_MIB:
        yield (
            "part_mib",
            _("a part of %(size)s MiB is none that services take. Choose %(least)s to %(most)s.")
            % {"size": entry.part_mib, "least": PART_MIB[0], "most": PART_MIB[-1]},
        )


def internet_archive_findings(entry: MirrorEntry, others: MirrorQuerySet) -> Iterator[Finding]:
    """Refuse what is no collection, and a second mirror at the same service: one copy would count as two."""
    yield from service_findings(entry)
    yield from public_findings(entry)
    if find_spec("internetarchive") is None:
        yield (
            "kind",
            _("the Python package internetarchive is not installed here. docs/internet-archive.md says how to."),
        )
    if not COLLECTION.fullmatch(entry.collection):
        yield (
            "collection",
            _("%(collection)s is no collection of the Internet Archive: letters, digits, dots, hyphens, underscores.")
            % {"collection": repr(entry.collection)},
        )
    for mirror in others.filter(kind=Mirror.Kind.INTERNET_ARCHIVE, is_sandbox=entry.is_sandbox)[:1]:
        yield (
            "kind",
            _("mirror %(mirror)s is at the same service, so that one copy would count as two.")
            % {"mirror": repr(mirror.slug)},
        )


def zenodo_findings(entry: MirrorEntry, others: MirrorQuerySet) -> Iterator[Finding]:
    """Refuse what is no address of the API, what is no community, and a second mirror at the same service."""
    yield from service_findings(entry)
    yield from public_findings(entry)
    if not urlsplit(entry.endpoint).path.rstrip("/").endswith("/api"):
        yield (
            "endpoint",
            _("%(address)s is not where Zenodo's API is. Write it like https://zenodo.org/api.")
            % {"address": repr(entry.endpoint)},
        )
    if not COMMUNITY.fullmatch(entry.collection):
        yield (
            "collection",
            _("%(community)s is no short name of a community: a-z, 0-9, hyphens and underscores, or nothing.")
            % {"community": repr(entry.collection)},
        )
    if entry.settle_s < LEAST_SETTLE_S and not entry.is_sandbox:
        yield (
            "settle_s",
            _("Zenodo shows late what was made there. Give it at least %(least)s seconds.")
            % {"least": LEAST_SETTLE_S},
        )
    for mirror in others.filter(kind=Mirror.Kind.ZENODO, endpoint=entry.endpoint):
        yield (
            "endpoint",
            _("mirror %(mirror)s is at the same service, so that one copy would count as two.")
            % {"mirror": repr(mirror.slug)},
        )


FINDINGS: Mapping[str, Callable[[MirrorEntry, MirrorQuerySet], Iterator[Finding]]] = {
    Mirror.Kind.LOCAL: local_findings,
    Mirror.Kind.S3: s3_findings,
    Mirror.Kind.ZENODO: zenodo_findings,
    Mirror.Kind.INTERNET_ARCHIVE: internet_archive_findings,
}
