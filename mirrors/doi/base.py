"""Who names the DOIs of a dataset and keeps them, and how a name is derived where the choice is ours.

1. The provider of a dataset is fixed: no version of it ever gets a DOI from elsewhere.
2. A version has one DOI and a dataset has one for all its versions; neither is ever changed.
3. A name that we choose follows from the identifier and the number, so that asking twice names the same thing.
4. A DOI of DataCite is never given to Zenodo as the record's own, or no new version could follow: they are related.
"""

import hashlib
from typing import Protocol

from catalog.models import Dataset, Version
from mirrors.backends.base import Record


class DoiProvider(Protocol):
    """Names DOIs and keeps them. Failures are RegistrarUnavailableError or RegistrarRefusedError, no other."""

    def concept_name(self, dataset: Dataset) -> str:
        """Give the DOI of all versions of a dataset; empty where the provider tells it later."""

    def version_name(self, version: Version) -> str:
        """Give the DOI that a version has or will have; the same at each call."""

    def reserve(self, name: str, record: Record) -> None:
        """Keep a name for us, unseen by others; the same call may be repeated."""

    def register(self, name: str, record: Record) -> None:
        """Let a DOI be found, lead to `record.landing_url` and say what the record says.

        Repeatable, also to bring what it says up to date; what it was before makes no difference.
        """


def derived_concept(prefix: str, dataset: Dataset) -> str:
    """Name the DOI of all versions: the one that stands, else one derived from the identifier (never used again)."""
    derived = hashlib.sha256(dataset.identifier.encode()).hexdigest()[:12]
    return dataset.concept_doi or f"{prefix}/d4c.{derived}"


def derived_version(prefix: str, version: Version) -> str:
    """Name the DOI of a version: that of all versions with the number; DOIs are lower-case."""
    return version.doi or f"{derived_concept(prefix, version.dataset)}.{version.shown}".lower()
