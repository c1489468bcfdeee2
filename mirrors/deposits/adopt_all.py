"""Adopt what a mirror has of every public version: a durable job, one step a version, with its findings as rows.

1. The mirror is opened once before: so keys that are not set are told once, and the steps are written by a worker and
   not while a person waits.
2. What is taken and what is said of it are written in one transaction with the end of the step, so that a step which
   was killed looks again and says the same.
3. A file that cannot be taken is a finding and no failure; a mirror that does not answer is one, and tried again.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from catalog.models import Version
from catalog.storable import storable
from mirrors.connect import connect
from mirrors.deposits.adopt import Found, look, take, versions_of
from mirrors.errors import NotQueueableError
from mirrors.models import Adoption, AdoptionFinding, Mirror
from releases.errors import NotAllowedError
from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Job


def request_adoption(mirror: Mirror, *, by: Any, now: datetime) -> Adoption:
    """Start the job that looks for every public version at a mirror; nothing is asked of the mirror before.

    Raises NotAllowedError; NotQueueableError (nothing is public, the mirror is out of service, or it is under way).
    """
    if not by.has_perm("mirrors.adopt_mirror"):
        raise NotAllowedError(
            _("%(person)s: may not adopt at mirrors. Ask an administrator for the permission “%(needed)s”.")
            % {"person": by, "needed": "adopt_mirror"},
            person=str(by),
        )
    with transaction.atomic():
        Mirror.objects.select_for_update().get(pk=mirror.pk)
        versions = versions_of().count()
        refuse_unready(mirror, versions)
        key = f"adopt:{mirror.pk}:{now:%Y%m%dT%H%M%S%f}"
        job = engine.start(key, "adopt", mirror.pk, now=now)
        return Adoption.objects.create(mirror=mirror, job=job, versions=versions, by=by, asked_at=now)


def refuse_unready(mirror: Mirror, versions: int) -> None:
    if not Mirror.objects.in_service().filter(pk=mirror.pk).exists():
        raise NotQueueableError(_("%(mirror)s: it is out of service. Bring it back first.") % {"mirror": mirror})
    if not versions:
        raise NotQueueableError(
            _("%(mirror)s: no version is public yet, so that there is nothing to look for. Publish one first.")
            % {"mirror": mirror}
        )
    if Job.objects.filter(pipeline="adopt", subject=mirror.pk, state=Job.State.OPEN).exists():
        raise NotQueueableError(
            _("%(mirror)s: what is there is being adopted already. Its findings appear in the list.")
            % {"mirror": mirror}
        )


def expand_open(mirror_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.deposits.adopt_all.open_mirror", mirror_id, Mirror.objects.get(pk=mirror_id).name)]


def open_mirror(_step: StepContext, mirror_id: int) -> None:
    """Open the mirror and ask it nothing; raises MirrorRefusedError naming what is not set."""
    connect(Mirror.objects.get(pk=mirror_id))


def expand_adopt(_mirror_id: int) -> Sequence[StepSpec]:
    """One step a public version; those that are published later are deposited and need no adoption."""
    return [StepSpec("mirrors.deposits.adopt_all.adopt_version", one.pk, str(one)) for one in versions_of()]


def adopt_version(step: StepContext, version_id: int) -> None:
    """Take what the mirror of the job has of one version, and keep what was found.

    Nothing to do for a version that was withdrawn meanwhile.
    """
    adoption = Adoption.objects.select_related("mirror").get(job__key=step.job_key)
    version = versions_of().filter(pk=version_id).first()
    if version is None:
        return
    now, backend = timezone.now(), connect(adoption.mirror)
    seen = look(version, adoption.mirror, backend, now=now, progress=lambda done: step.progress(done_bytes=done))
    with step.finish():
        take(seen, now=now)
        keep(adoption, version, seen.findings, now=now)


def keep(adoption: Adoption, version: Version, findings: Sequence[Found], *, now: datetime) -> None:
    AdoptionFinding.objects.bulk_create(
        (
            AdoptionFinding(
                adoption=adoption,
                version=version,
                path=storable(one.path),
                result=one.result,
                where=storable(one.where),
                found_at=now,
            )
            for one in findings
        ),
        batch_size=1000,
    )
