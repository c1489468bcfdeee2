"""What uploads to mirrors left unfinished is dropped once a day, when it is a week old: its parts are paid for.

An upload that an open step may go on with stays, however old it is.
"""

import json
from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from mirrors.connect import open_s3
from mirrors.models import Mirror
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Step

CONTINUED_WITHIN = timedelta(days=7)
ENDED = (Step.State.DONE, Step.State.SKIPPED)


def expand_tidy(_period: int) -> Sequence[StepSpec]:
    """One step a mirror in service at which uploads can be left unfinished."""
    mirrors = Mirror.objects.in_service().filter(kind=Mirror.Kind.S3)
    return [
        StepSpec("mirrors.deposits.tidy_uploads.tidy_mirror", one.pk, one.name, is_required=False) for one in mirrors
    ]


def tidy_mirror(step: StepContext, mirror_id: int) -> None:
    """Drop the uploads of a mirror that nobody continued for a week. Safe to run twice, and beside writers."""
    mirror = Mirror.objects.get(pk=mirror_id)
    before = timezone.now() - CONTINUED_WITHIN
    dropped = open_s3(mirror).drop_unfinished(before=before, keep=noted_uploads())
    step.progress(done_units=dropped, total_units=dropped)


def noted_uploads() -> set[str]:
    """Give the uploads that steps which are not done have in their checkpoints."""
    open_steps = Step.objects.exclude(state__in=ENDED).filter(checkpoint__contains="upload_id")
    checkpoints = (json.loads(text) for text in open_steps.values_list("checkpoint", flat=True))
    return {str(one["upload_id"]) for one in checkpoints if "upload_id" in one}
