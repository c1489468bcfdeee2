"""DOIs of DataCite: a draft while the version is one, findable when it is public."""

from typing import Any

from catalog.models import Dataset, Version
from mirrors.backends.base import Record
from mirrors.doi.base import derived_concept, derived_version
from mirrors.doi.datacite_client import DataciteClient, Found
from mirrors.doi.datacite_metadata import attributes_of
from mirrors.doi.datacite_schema import findings
from mirrors.errors import RegistrarRefusedError

DRAFT, FINDABLE = "draft", "findable"


class DataciteDois:
    """Names under our prefix. Each call looks first, writes by PUT under the name, and compares the answer."""

    def __init__(self, client: DataciteClient, prefix: str) -> None:
        self.client = client
        self.prefix = prefix

    def concept_name(self, dataset: Dataset) -> str:
        return derived_concept(self.prefix, dataset)

    def version_name(self, version: Version) -> str:
        return derived_version(self.prefix, version)

    def reserve(self, name: str, record: Record) -> None:
        """Make the draft, which nobody else sees, with the metadata that it will have.

        A draft of a lost answer is found and kept. Raises RegistrarRefusedError for a name that others have used.
        """
        attributes = checked(name, record)
        found = self.client.get(name)
        if found is not None:
            refuse_foreign(found, attributes)
        if found is None or found.state == DRAFT:
            self.client.put(name, attributes)

    def register(self, name: str, record: Record) -> None:
        """Make it findable; no event is sent where it is so already, and the address is registered anew."""
        attributes = checked(name, record)
        found = self.client.get(name)
        is_findable = found is not None and found.state == FINDABLE
        after = self.client.put(name, attributes, event="" if is_findable else "publish")
        if after.state != FINDABLE or after.url != record.landing_url:
            raise RegistrarRefusedError(
                f"{name}: DataCite took what was sent and left the DOI {after.state}, leading to "
                f"{after.url or 'nowhere'}. Look at it in DataCite's Fabrica, then retry."
            )


def checked(name: str, record: Record) -> dict[str, Any]:
    """Describe a DOI; raises RegistrarRefusedError where the schema takes that not, before anybody is asked."""
    attributes = attributes_of(name, record)
    found = list(findings(attributes))
    if found:
        raise RegistrarRefusedError(
            f"{name}: its metadata does not fit DataCite's schema 4.6 ({'; '.join(found)[:400]}). Correct the texts "
            "of the dataset by a revision, then retry."
        )
    return attributes


def refuse_foreign(found: Found, attributes: dict[str, Any]) -> None:
    """Raise RegistrarRefusedError for a DOI that leads elsewhere: another installation has derived the same name."""
    if found.url and found.url != attributes["url"]:
        raise RegistrarRefusedError(
            f"{found.name}: it exists at DataCite and leads to {found.url[:300]}. Two installations with the same "
            "prefix and the same datasets take each other's names: give this one another DFC_DATACITE_PREFIX."
        )
