"""Reserve the DOI of a version before it is bundled, so that the bundle can name it."""

from collections.abc import Sequence

from catalog.models import Dataset, Version
from mirrors.doi.base import DoiProvider
from mirrors.doi.connect import provider_of
from mirrors.doi.rows import dataset_record, ensure_rows, version_record
from mirrors.doi.zenodo import minting_mirror
from mirrors.errors import ReservationError
from mirrors.models import Deposit, Doi
from mirrors.replicate import deposit_at, keep_draft, made
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Release


def expand_reserve(release_id: int) -> Sequence[StepSpec]:
    release = Release.objects.select_related("version__dataset").get(pk=release_id)
    provider = release.version.dataset.get_doi_provider_display()
    return [StepSpec("mirrors.deposits.reserve.reserve_doi", release_id, f"DOI · {provider}")]


def reserve_doi(step: StepContext, release_id: int) -> None:
    """Reserve the DOI of a version, and of its dataset where it has none, and write both once. Safe to run twice.

    Raises RegistrarUnavailableError and RegistrarRefusedError, and ReservationError where another DOI stands already.
    """
    version = Release.objects.select_related("version__dataset__licence").get(pk=release_id).version
    provider = provider_of(version.dataset)
    if version.dataset.doi_provider == Dataset.DoiProvider.ZENODO:
        draft_at_zenodo(step, version)
    concept, name = provider.concept_name(version.dataset), provider.version_name(version)
    refuse_taken(version, name)
    refuse_taken(version, concept)
    reserve_both(provider, version, concept=concept, name=name)
    with step.finish():
        write(version, concept=concept, name=name)


def draft_at_zenodo(step: StepContext, version: Version) -> Deposit:
    """Make the draft that has the DOI, unless the stage before did."""
    deposit = deposit_at(version, minting_mirror(version))
    if not deposit.record_id:
        keep_draft(deposit, made(step, deposit))
    return deposit


def reserve_both(provider: DoiProvider, version: Version, *, concept: str, name: str) -> None:
    """Ask the provider; the records name each other by the DOIs that our rows do not have yet."""
    version.doi, version.dataset.concept_doi = name, concept
    if concept:
        provider.reserve(concept, dataset_record(version.dataset, concept))
    provider.reserve(name, version_record(version, name))


def refuse_taken(version: Version, name: str) -> None:
    """Raise ReservationError for a DOI that names something else of ours."""
    other = Doi.objects.filter(name=name).exclude(dataset=version.dataset).first()
    if other is not None:
        raise ReservationError(
            f"{version}: {name} names {other.subject} already. Ask the administrator to look at both."
        )


def write(version: Version, *, concept: str, name: str) -> None:
    """Write the DOI of the version once, that of the dataset with its first one, and a row of evidence for each."""
    if not Version.objects.give_doi(version.pk, name):
        raise ReservationError(f"{version}: it has another DOI already. Ask the administrator to look at it.")
    if concept:
        Dataset.objects.filter(pk=version.dataset_id, concept_doi="").update(concept_doi=concept)
    ensure_rows(version.dataset_id)
