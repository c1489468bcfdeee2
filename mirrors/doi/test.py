"""DOIs for trying things out: under the prefix for tests, known to no registry."""

from catalog.models import Dataset, Version
from mirrors.backends.base import Record
from mirrors.doi.base import derived_concept, derived_version


class TestDois:
    """Names follow from identifier and number, so the same version has the same one on every machine."""

    __test__ = False  # not a class of tests

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def concept_name(self, dataset: Dataset) -> str:
        return derived_concept(self.prefix, dataset)

    def version_name(self, version: Version) -> str:
        return derived_version(self.prefix, version)

    def reserve(self, name: str, record: Record) -> None:
        """Do nothing: nobody else is asked."""

    def register(self, name: str, record: Record) -> None:
        """Do nothing: nobody else is told."""
