"""Accept a rebuilder's signed statement about a version, and find the verdict by comparing digests ourselves.

1. It is an envelope by a recognised key, and that key signed exactly this payload.
2. It is about a public version: its manifest, as RFC 8785 JSON, is the one that the version was approved with.
3. It ended after that approval and not in the future.
4. The same statement again is the one that is here; one older than the newest by the same rebuilder is stale.
5. Nothing of what is refused is kept.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from catalog.models import Asset, Version
from releases import manifest
from releases.errors import AttestationRefusedError
from releases.models import Attestation, AttestedDifference, Build, Rebuilder, Release
from releases.review import reviewed_build
from releases.statements.envelopes import KEYID, Opened, open_envelope, read_public_key, verify
from releases.statements.provenance import Difference, Statement, differences, read_statement, shown

CLOCK_SKEW = timedelta(minutes=5)
REBUILDABLE = (Version.State.PUBLISHED, Version.State.DEPRECATED)


@dataclass(frozen=True)
class Accepted:
    """A statement that is kept; `is_new` is False where it was here before."""

    attestation: Attestation
    is_new: bool


def accept_attestation(text: bytes, *, now: datetime, channel: str) -> Accepted:
    """Keep a statement with our verdict; the same one again changes nothing.

    Raises AttestationRefusedError whose fact `code` is one of: too_large, not_dsse, not_in_toto, unknown_key,
    bad_signature, revoked_key, unknown_predicate, malformed, unknown_version, withdrawn, manifest_differs, future,
    before_approval, stale.
    """
    opened = open_envelope(text)
    rebuilder = signer_of(opened)
    statement = read_statement(opened.payload)
    release = release_of(statement)
    refuse_times(statement, release, now=now)
    with transaction.atomic():
        refuse_revoked(Rebuilder.objects.select_for_update().get(pk=rebuilder.pk))
        found = Attestation.objects.filter(keyid=opened.keyid, statement_sha256=digest(opened.payload)).first()
        if found is not None:
            return Accepted(found, is_new=False)
        refuse_stale(statement, rebuilder, release.version)
        kept = keep(
            Attestation(
                version=release.version,
                rebuilder=rebuilder,
                keyid=opened.keyid,
                envelope=text.decode(),
                statement_sha256=digest(opened.payload),
                received_at=now,
                channel=channel,
                other_code_tree=other_code(statement, release),
            ),
            statement,
            differences(published(release), statement.subjects),
        )
    return Accepted(kept, is_new=True)


def signer_of(opened: Opened) -> Rebuilder:
    """Give the rebuilder whose key signed it, revoked or not; raises AttestationRefusedError for any other."""
    known = (
        Rebuilder.objects.filter(keyid=opened.keyid) if KEYID.fullmatch(opened.keyid) else Rebuilder.objects.none()
    )
    rebuilder = known.first()
    if rebuilder is None:
        raise AttestationRefusedError(
            _(
                "Key %(keyid)s is not that of a rebuilder we know. Send your public key and who you are to the "
                "curators first; docs/attestations.md says how."
            )
            % {"keyid": opened.keyid[:64]},
            code="unknown_key",
        )
    verify(opened, read_public_key(rebuilder.public_key))
    return rebuilder


def refuse_revoked(rebuilder: Rebuilder) -> None:
    if not rebuilder.is_recognised:
        raise AttestationRefusedError(
            _("The key of %(rebuilder)s was revoked. Make a new key and ask the curators to recognise it.")
            % {"rebuilder": rebuilder},
            code="revoked_key",
        )


def release_of(statement: Statement) -> Release:
    """Give the public release whose manifest this statement is about, or refuse it."""
    builds = Build.objects.filter(manifest__sha256=statement.manifest_sha256, purpose=Build.Purpose.REVIEW)
    build = builds.select_related("release__version__dataset").order_by("-round").first()
    release = build.release if build is not None else None
    if release is None or release.version.state == Version.State.DRAFT:
        refuse_manifest(statement)
        raise unknown_version()
    if release.version.state not in REBUILDABLE:
        raise AttestationRefusedError(
            _("%(version)s was withdrawn: nothing more is said about it.") % {"version": release.version},
            code="withdrawn",
        )
    if reviewed_build(release).manifest.sha256 != statement.manifest_sha256:
        raise manifest_differs(release.version)
    return release


def refuse_manifest(statement: Statement) -> None:
    """Raise `manifest_differs` where a manifest that nobody locked here claims to be that of a public version."""
    dataset, number = statement.claims
    claimed = Version.objects.filter(dataset__identifier=dataset, number=number, state__in=REBUILDABLE).first()
    if claimed is not None:
        raise manifest_differs(claimed)


def manifest_differs(version: Version) -> AttestationRefusedError:
    words = _("The manifest in it is not that of %(version)s. Build from the published source bundle, unchanged.")
    return AttestationRefusedError(words % {"version": version}, code="manifest_differs")


def unknown_version() -> AttestationRefusedError:
    words = _("No public version was built from the manifest in it. Build from a published source bundle.")
    return AttestationRefusedError(words, code="unknown_version")


def refuse_times(statement: Statement, release: Release, *, now: datetime) -> None:
    """Refuse what ended later than now, or before anybody outside could have had the source bundle."""
    facts = {"at": shown(statement.finished_at)}
    if statement.finished_at > now + CLOCK_SKEW:
        raise AttestationRefusedError(
            _("It says that it ended at %(at)s, which is in the future. Set the clock of that machine.") % facts,
            code="future",
        )
    approved_at = release.approved_at
    if approved_at is None or statement.finished_at < approved_at.replace(microsecond=0):
        raise AttestationRefusedError(
            _("It says that it ended at %(at)s, before the version was approved. Rebuild the published bundle.")
            % facts,
            code="before_approval",
        )


def refuse_stale(statement: Statement, rebuilder: Rebuilder, version: Version) -> None:
    newer = Attestation.objects.filter(
        rebuilder=rebuilder, version=version, finished_at__gte=statement.finished_at
    ).first()
    if newer is not None:
        raise AttestationRefusedError(
            _("%(rebuilder)s has a statement about this version that ended at %(at)s, and this one is not newer.")
            % {"rebuilder": rebuilder, "at": shown(newer.finished_at)},
            code="stale",
        )


def other_code(statement: Statement, release: Release) -> str:
    """Give the git tree that was built there if it is not the one that the manifest locks, else nothing."""
    locked = manifest.read(reviewed_build(release).manifest.body).code.tree
    return "" if statement.code_tree in {"", locked} else statement.code_tree


def published(release: Release) -> dict[str, str]:
    """Give the digests of the published outputs by path."""
    paths = release.outputs.values_list("path", flat=True)
    return dict(Asset.objects.filter(item__version=release.version, path__in=paths).values_list("path", "sha256"))


def keep(row: Attestation, statement: Statement, found: list[Difference]) -> Attestation:
    """Write an attestation and the files that differ. In the caller's transaction."""
    row.sha256 = digest(row.envelope.encode())
    row.predicate_type = statement.predicate_type
    row.finished_at = statement.finished_at
    row.finding = "; ".join(statement.failed_tests)
    row.verdict = verdict_of(statement, found)
    row.save(force_insert=True)
    if row.verdict == Attestation.Verdict.DIFFERENT:
        AttestedDifference.objects.bulk_create(
            AttestedDifference(
                attestation=row, path=one.path, published_sha256=one.published_sha256, sha256=one.sha256
            )
            for one in found
        )
    return row


def verdict_of(statement: Statement, found: list[Difference]) -> str:
    if statement.failed_tests:
        return Attestation.Verdict.FAILED
    return Attestation.Verdict.DIFFERENT if found else Attestation.Verdict.IDENTICAL


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
