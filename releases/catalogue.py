"""Ask for a new edition of the catalogue: a dated row says why, a durable job makes it."""

from collections.abc import Sequence
from datetime import datetime

from catalog.models import CatalogueChange
from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec


def request_edition(what: str, *, now: datetime) -> CatalogueChange:
    """Note a change of what the catalogue says, and start the job that covers it, in the caller's transaction.

    An edition covers all changes noted before it was begun, so many changes at once cost few editions.
    """
    change = CatalogueChange.objects.create(what=what[:400], at=now)
    engine.start(key_of(change), "catalogue", change.pk, now=now)
    return change


def key_of(change: CatalogueChange) -> str:
    return f"catalogue:{change.pk}"


def expand_await(release_id: int) -> Sequence[StepSpec]:
    return [StepSpec("releases.catalogue.await_edition", release_id, "STAC GeoParquet")]


def await_edition(step: StepContext, _release_id: int) -> None:
    """Wait until an edition covers every change noted so far, that of making this release public included."""
    step.wait_for(key_of(CatalogueChange.objects.latest("pk")))
