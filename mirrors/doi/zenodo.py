"""The DOIs that Zenodo gives: reserved in the draft of a deposit, public with it, described by its record."""

from django.db.models import Q

from catalog.models import Dataset, Version
from mirrors.backends.base import Record
from mirrors.connect import traits_of
from mirrors.errors import RegistrarRefusedError, RegistrarUnavailableError
from mirrors.models import Deposit, Mirror
from mirrors.replicate import in_order, mirrors_of


class ZenodoDois:
    """Reads our rows alone: the deposit's own job asks Zenodo, which registers what it publishes."""

    def concept_name(self, dataset: Dataset) -> str:
        return dataset.concept_doi

    def version_name(self, version: Version) -> str:
        return version.doi or reserved_doi(version)

    def reserve(self, name: str, record: Record) -> None:
        """Do nothing: the draft was made with its DOI."""

    def register(self, name: str, record: Record) -> None:  # noqa: ARG002  the deposit's own job describes it
        """Make sure that Zenodo published what it had reserved; registering it may take it some minutes."""
        named = Q(doi__iexact=name) | Q(concept_doi__iexact=name)
        deposit = Deposit.objects.filter(named, state=Deposit.State.PUBLIC).order_by("pk").first()
        if deposit is None:
            raise RegistrarUnavailableError(
                f"{name}: no record of Zenodo is public under it yet. It is looked for again; if the deposit was "
                "published under another DOI, ask the administrator."
            )
        refuse_other_concept(deposit)


def refuse_other_concept(deposit: Deposit) -> None:
    """Raise RegistrarRefusedError for a record that is no new version of the one that the versions before have."""
    known, told = deposit.version.dataset.concept_doi.lower(), deposit.concept_doi.lower()
    if known and told and known != told:
        raise RegistrarRefusedError(
            f"{deposit.version}: {deposit.landing_url or deposit.record_id} at {deposit.mirror.name} belongs to "
            f"{told}, the versions before to {known}. Discard it there if it is a draft, then retry; if it is "
            "public, ask Zenodo's staff to join both."
        )


def minting_mirror(version: Version) -> Mirror:
    """Give the required mirror whose records name the versions; the first where there are several.

    Raises RegistrarRefusedError where there is none.
    """
    required = [mirror for mirror, is_required in in_order(mirrors_of(version)) if is_required]
    for mirror in required:
        if traits_of(mirror).mints_doi:
            return mirror
    raise RegistrarRefusedError(
        f"{version}: its DOIs come from Zenodo, but no mirror of kind zenodo is required to keep it. Add a policy in "
        "the admin that requires one, then retry here."
    )


def reserved_doi(version: Version) -> str:
    """Give the DOI that the deposit at that mirror has reserved for a version.

    Raises RegistrarRefusedError where it has none, or is no new version of the record that those before have.
    """
    mirror = minting_mirror(version)
    deposit = Deposit.objects.filter(version=version, mirror=mirror).exclude(doi="").first()
    if deposit is None:
        raise RegistrarRefusedError(
            f"{version}: {mirror.name} has reserved no DOI for it. Look at its draft there, then retry here."
        )
    refuse_other_concept(deposit)
    return deposit.doi.lower()
