"""Sign our own provenance of a version: what it was made from, and what became of each of our builds."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from releases.errors import KeyTextError
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Attestation, Build, Release, SigningKey
from releases.models.attestation import Channel
from releases.review import reviewed_build
from releases.statements.attest import digest, published
from releases.statements.envelopes import public_pem, read_signer, seal
from releases.statements.provenance import PROVENANCE, Run, provenance_statement, shown


def expand_attest(release_id: int) -> Sequence[StepSpec]:
    """Give one step, or none where this installation has no key to sign with."""
    if not settings.DFC_SIGNING_KEY:
        return []
    return [StepSpec("releases.statements.sign.attest_release", release_id, "provenance")]


def attest_release(step: StepContext, release_id: int) -> None:
    """Sign and keep the provenance of a release. Safe to run twice: there is one of ours for each version."""
    release = Release.objects.select_related("version__dataset").get(pk=release_id)
    with step.finish():
        sign_release(release, now=timezone.now(), channel=Channel.ENGINE)


def sign_release(release: Release, *, now: datetime, channel: str) -> Attestation:
    """Give our signed provenance of a release, made now unless it is there.

    Raises KeyTextError where this installation has no key.
    """
    with transaction.atomic():
        found = Attestation.objects.ours().filter(version=release.version).first()
        return found or write(release, now=now, channel=channel)


def write(release: Release, *, now: datetime, channel: str) -> Attestation:
    if not settings.DFC_SIGNING_KEY:
        raise KeyTextError(
            _("This installation has no key to sign with. Set DFC_SIGNING_KEY_FILE, then start again.")
        )
    signer = read_signer(settings.DFC_SIGNING_KEY)
    build = reviewed_build(release)
    payload = provenance_statement(build.manifest.body, published(release), run_of(release, build))
    keyid = signer.public_key.keyid
    SigningKey.objects.get_or_create(
        keyid=keyid, defaults={"public_key": public_pem(signer.public_key), "first_used_at": now}
    )
    envelope = seal(payload, signer)
    return Attestation.objects.create(
        version=release.version,
        keyid=keyid,
        envelope=envelope.decode(),
        sha256=digest(envelope),
        statement_sha256=digest(payload),
        predicate_type=PROVENANCE,
        verdict=Attestation.Verdict.IDENTICAL,
        finished_at=build.ended_at or build.started_at,
        received_at=now,
        channel=channel,
    )


def run_of(release: Release, build: Build) -> Run:
    """Describe the first of the reviewed builds; the others, with their verdicts, stand beside it."""
    others = release.builds.filter(round=build.round).defer("log").order_by("-purpose", "number")
    return Run(
        builder_id=f"{settings.DFC_SITE_URL}/",
        builder_version={"executor": build.executor},
        invocation_id=f"build-{build.pk}",
        started_at=build.started_at,
        finished_at=build.ended_at or build.started_at,
        byproducts=[described(one) for one in others],
    )


def described(build: Build) -> dict[str, Any]:
    """Give one of our builds as a ResourceDescriptor: verdict, isolation and times as annotations."""
    facts = {
        "verdict": build.verdict,
        "executor": build.executor,
        "isolation": build.isolation,
        "startedOn": shown(build.started_at),
        "finishedOn": shown(build.ended_at or build.started_at),
    }
    return {"name": f"{build.purpose}/{build.number}", "annotations": facts}
