"""Drafts that a lost answer left at a service go within a day: they bear the key of another record of ours.

Publishing throws them away too, where the service's search shows them by then.
"""

from collections.abc import Sequence

from mirrors.connect import open_zenodo
from mirrors.models import Deposit, Mirror
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec


def expand_tidy(_period: int) -> Sequence[StepSpec]:
    """One step a mirror in service at which drafts can be left."""
    mirrors = Mirror.objects.in_service().filter(kind=Mirror.Kind.ZENODO)
    return [
        StepSpec("mirrors.deposits.tidy_drafts.tidy_mirror", one.pk, one.name, is_required=False) for one in mirrors
    ]


def tidy_mirror(step: StepContext, mirror_id: int) -> None:
    """Throw away what nobody knows as a deposit's record. Safe to run twice, and beside deposits under way."""
    mirror = Mirror.objects.get(pk=mirror_id)
    named = Deposit.objects.filter(mirror=mirror).exclude(record_id="").values_list("urn", "record_id")
    thrown = open_zenodo(mirror).throw_away_strays({f"urn:uuid:{urn}": record_id for urn, record_id in named})
    step.progress(done_units=thrown, total_units=thrown)
