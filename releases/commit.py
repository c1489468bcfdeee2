"""Make a version public: the one commit after which people see it."""

from collections.abc import Sequence

from django.utils import timezone

from catalog.models import Dataset, Version
from releases.catalogue import request_edition
from releases.draft import describe
from releases.drafts.definition import read_definition
from releases.errors import PublicationError
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Release
from releases.rereads import request_reread
from releases.revisions import number_texts
from releases.states import Move


def expand_commit(release_id: int) -> Sequence[StepSpec]:
    release = Release.objects.select_related("version").get(pk=release_id)
    return [StepSpec("releases.commit.make_public", release_id, release.version.shown)]


def make_public(step: StepContext, release_id: int) -> None:
    """Publish the version, its description and its release in one transaction. Safe to run twice."""
    release = Release.objects.select_related("version__dataset").get(pk=release_id)
    now = timezone.now()
    with step.finish():
        if Release.objects.filter(pk=release_id, state=Release.State.PUBLISHED).exists():
            return
        moved = Release.objects.move(release_id, Move("publishing", "published", None, now, "engine"))
        if not moved or not Version.objects.publish(release.version_id, at=now):
            raise PublicationError(
                f"{release}: it is not being published any more. Open its history and look who moved it."
            )
        dataset = Dataset.objects.select_for_update().get(pk=release.version.dataset_id)
        described = describe(
            dataset, read_definition(release.definition).dataset, by=None, reason=f"Published {release.version.shown}"
        )
        number_texts(described, release, now=now)
        request_edition(f"{release.version}: published", now=now)
        request_reread(release.version_id, cause=f"release:{release_id}", now=now)
