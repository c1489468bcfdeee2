"""Reserve the DOI of a version before it is bundled, so that the bundle can name it."""

import hashlib
from collections.abc import Sequence

from django.conf import settings

from catalog.models import Dataset, Version
from releases.errors import PublicationError
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Release


def expand_reserve(release_id: int) -> Sequence[StepSpec]:
    release = Release.objects.select_related("version__dataset").get(pk=release_id)
    provider = release.version.dataset.get_doi_provider_display()
    return [StepSpec("releases.reserve.reserve_doi", release_id, f"DOI · {provider}")]


def reserve_doi(step: StepContext, release_id: int) -> None:
    """Write the version's DOI once. Only test DOIs, whose name follows from the version, need no service."""
    version = Release.objects.select_related("version__dataset").get(pk=release_id).version
    if version.dataset.doi_provider != Dataset.DoiProvider.TEST:
        raise PublicationError(
            f"{version}: no way to {version.dataset.get_doi_provider_display()} is set up. "
            "Stop this publication and ask the administrator."
        )
    with step.finish():
        if not Version.objects.give_doi(version.pk, test_doi(version)):
            raise PublicationError(f"{version}: it has another DOI already. Ask the administrator to look at it.")


def test_doi(version: Version) -> str:
    """Name a DOI under the test prefix; the same version has the same one on every machine."""
    dataset = hashlib.sha256(version.dataset.identifier.encode()).hexdigest()[:12]
    return f"{settings.DFC_TEST_DOI_PREFIX}/d4c.{dataset}.{version.shown}".lower()
