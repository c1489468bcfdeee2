"""Open the provider of a dataset's DOIs."""

from collections.abc import Callable, Mapping

from django.conf import settings

from catalog.addresses import networks
from catalog.citation import TEST_PREFIX
from catalog.models import Dataset
from mirrors.doi.base import DoiProvider
from mirrors.doi.datacite import DataciteDois
from mirrors.doi.datacite_client import DataciteClient
from mirrors.doi.test import TestDois
from mirrors.doi.zenodo import ZenodoDois
from mirrors.errors import RegistrarRefusedError


def provider_of(dataset: Dataset) -> DoiProvider:
    """Give who names the versions of a dataset; raises RegistrarRefusedError for one that is not set up here."""
    return OPENERS[dataset.doi_provider]()


def open_test() -> DoiProvider:
    return TestDois(TEST_PREFIX)


def open_datacite() -> DoiProvider:
    if not settings.DFC_DATACITE_PREFIX:
        raise RegistrarRefusedError(
            "DataCite is not set up in this process. Set DFC_DATACITE_REPOSITORY, DFC_DATACITE_PASSWORD and "
            "DFC_DATACITE_PREFIX where the workers start, start them again, then retry."
        )
    return DataciteDois(datacite_client(), settings.DFC_DATACITE_PREFIX)


def datacite_client() -> DataciteClient:
    return DataciteClient(
        settings.DFC_DATACITE_URL,
        settings.DFC_DATACITE_REPOSITORY,
        settings.DFC_DATACITE_PASSWORD,
        allowed=networks(settings.DFC_PRIVATE_NETWORKS),
        timeout_s=settings.DFC_SERVICE_CALL_S,
    )


def open_zenodo() -> DoiProvider:
    return ZenodoDois()


OPENERS: Mapping[str, Callable[[], DoiProvider]] = {
    Dataset.DoiProvider.TEST: open_test,
    Dataset.DoiProvider.DATACITE: open_datacite,
    Dataset.DoiProvider.ZENODO: open_zenodo,
}
