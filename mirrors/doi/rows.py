"""The rows of our DOIs: one for each name that stands at a version or a dataset, and what each has to say."""

import uuid

from django.utils import timezone

from catalog.models import Dataset, Version
from mirrors.backends.base import Record
from mirrors.deposits.record import describe_dataset, describe_version
from mirrors.models import Doi


def ensure_rows(dataset_id: int) -> None:
    """Write a row for each DOI of a dataset that has none yet: of its versions, and of all of them."""
    dataset = Dataset.objects.get(pk=dataset_id)
    facts = {"dataset": dataset, "provider": dataset.doi_provider, "updated_at": timezone.now()}
    for version in Version.objects.filter(dataset=dataset, doi__isnull=False, doi_row__isnull=True):
        Doi.objects.get_or_create(version=version, defaults={"name": str(version.doi), **facts})
    if dataset.concept_doi:
        Doi.objects.get_or_create(dataset=dataset, version=None, defaults={"name": dataset.concept_doi, **facts})


def read(doi_id: int) -> Doi:
    """Read a DOI with all that describing it needs, as it is at this moment."""
    related = ("dataset__licence", "version__dataset__licence")
    return Doi.objects.select_related(*related).get(pk=doi_id)


def record_of(doi: Doi) -> Record:
    if doi.version is None:
        return dataset_record(doi.dataset, doi.name)
    return version_record(doi.version, doi.name)


def version_record(version: Version, name: str) -> Record:
    return describe_version(version, urn=urn_of(name))


def dataset_record(dataset: Dataset, name: str) -> Record:
    return describe_dataset(dataset, urn=urn_of(name))


def urn_of(name: str) -> str:
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'https://doi.org/{name}')}"


def is_public(doi: Doi) -> bool:
    """Tell whether what a DOI names was published, be it withdrawn since."""
    if doi.version is not None:
        return doi.version.state != Version.State.DRAFT
    return Version.objects.public().filter(dataset=doi.dataset_id).exists()


def state_of(doi: Doi) -> str:
    """Say what a public DOI is to be; one of Zenodo leads to Zenodo's page and to no tombstone of ours."""
    is_withdrawn = doi.version is not None and doi.version.state == Version.State.WITHDRAWN
    leads_to_us = doi.provider != Dataset.DoiProvider.ZENODO
    return Doi.State.TOMBSTONE if is_withdrawn and leads_to_us else Doi.State.FINDABLE
