"""Examinations kept: dated rows of what a mirror's service can do.

1. A mirror is examined when it is added or its place is changed, once a week, and when a person asks.
2. Kept are the newest examination of a mirror, and each whose outcome was not that of the one before.
3. Outcomes are compared by what was tried and what came of it, since sentences name other objects each time.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.forms import model_to_dict
from django.utils import timezone
from django.utils.translation import gettext as _

from catalog.storable import storable
from mirrors.backends.s3_doctor import Symptom
from mirrors.errors import NotQueueableError
from mirrors.models import Examination, ExaminationFinding, Mirror
from mirrors.registry.doctor import examine, has_doctor, new_folder
from releases.errors import NotAllowedError
from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Job

PLACE = (
    *("endpoint", "public_url", "bucket", "prefix", "region"),
    *("addressing", "storage_class", "upload_checksum", "collection", "is_sandbox"),
)
WORST_FIRST = (Examination.Result.BAD, Examination.Result.WEAK)


def request_examination(mirror: Mirror, *, by: Any, now: datetime) -> None:
    """Start the job that examines a mirror for a person.

    Raises NotAllowedError; NotQueueableError for a kind that has no doctor, and while one is under way.
    """
    if not by.has_perm("mirrors.examine_mirror"):
        raise NotAllowedError(
            _("%(person)s: may not examine mirrors. Ask an administrator for the permission “%(needed)s”.")
            % {"person": by, "needed": "examine_mirror"},
            person=str(by),
        )
    if not has_doctor(mirror):
        raise NotQueueableError(
            _("%(mirror)s: mirrors of kind “%(kind)s” are not examined; probes tell whether they answer.")
            % {"mirror": mirror, "kind": mirror.get_kind_display()}
        )
    with transaction.atomic():
        Mirror.objects.select_for_update().get(pk=mirror.pk)
        if Job.objects.filter(pipeline="examine", subject=mirror.pk, state=Job.State.OPEN).exists():
            raise NotQueueableError(
                _("%(mirror)s: it is being examined already. What is found appears on its page.") % {"mirror": mirror}
            )
        start_examination(mirror, now=now)


def start_examination(mirror: Mirror, *, now: datetime) -> None:
    """Start the job that examines a mirror at its place of this moment; nothing to do for a kind without a doctor."""
    if has_doctor(mirror):
        engine.start(f"examine:{mirror.pk}:{now:%Y%m%dT%H%M%S%f}", "examine", mirror.pk, now=now)


def expand_one(mirror_id: int) -> Sequence[StepSpec]:
    return [spec_of(Mirror.objects.get(pk=mirror_id))]


def expand_all(_period: int) -> Sequence[StepSpec]:
    """One step a mirror in service whose kind has a doctor; none of them is waited for by another."""
    return [spec_of(one, is_required=False) for one in Mirror.objects.in_service() if has_doctor(one)]


def spec_of(mirror: Mirror, *, is_required: bool = True) -> StepSpec:
    function = "mirrors.registry.examinations.examine_mirror"
    return StepSpec(function, mirror.pk, mirror.name, is_required=is_required)


def examine_mirror(step: StepContext, mirror_id: int) -> None:
    """Examine a mirror and keep what was found, unless its place was changed meanwhile, which is examined by itself.

    The folder of what is made there is kept before anything is made, so that an attempt after a kill removes it.
    """
    folder = step.load().get("folder") or new_folder()
    step.save({"folder": folder})
    mirror = Mirror.objects.get(pk=mirror_id)
    symptoms = examine(mirror, folder=folder)
    with step.finish():
        if place_of(Mirror.objects.get(pk=mirror_id)) == place_of(mirror):
            keep_examination(mirror, symptoms, now=timezone.now())


def place_of(mirror: Mirror) -> dict[str, Any]:
    return model_to_dict(mirror, PLACE)


def keep_examination(mirror: Mirror, symptoms: Sequence[Symptom], *, now: datetime) -> Examination:
    """Write an examination; the one before goes if it told nothing that was not told before it."""
    with transaction.atomic():
        Mirror.objects.select_for_update().get(pk=mirror.pk)
        before = list(mirror.examinations.all()[:2])
        if len(before) > 1 and before[0].outcome() == before[1].outcome():
            before[0].delete()
        kept = Examination.objects.create(mirror=mirror, result=worst(symptoms), examined_at=now)
        ExaminationFinding.objects.bulk_create(
            ExaminationFinding(examination=kept, what=one.check, result=one.result, finding=storable(one.finding))
            for one in symptoms
        )
    return kept


def worst(symptoms: Sequence[Symptom]) -> Examination.Result:
    results = {one.result for one in symptoms}
    return next((one for one in WORST_FIRST if one in results), Examination.Result.GOOD)
