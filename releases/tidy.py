"""What writers that were never continued left in our own storage is removed once a day, when it is a week old.

A partial on a disk takes room; the parts of an upload in a bucket are paid for and shown by no listing of files.
"""

from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from catalog.storage.connect import own_storage
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec

CONTINUED_WITHIN = timedelta(days=7)


def expand_tidy(period: int) -> Sequence[StepSpec]:
    return [StepSpec("releases.tidy.tidy_storage", period, str(_("Unfinished files")))]


def tidy_storage(step: StepContext, _period: int) -> None:
    """Remove unfinished files that nobody wrote to for a week. Safe to run twice, and beside writers."""
    dropped = own_storage().drop_unfinished(before=timezone.now() - CONTINUED_WITHIN)
    step.progress(done_units=dropped, total_units=dropped)
