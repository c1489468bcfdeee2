"""How the servers of others are asked, as the settings say."""

from django.conf import settings

from catalog.addresses import networks
from releases.ingest.ask import Manners
from releases.models import Ingest


def manners_of(ingest: Ingest) -> Manners:
    return manners(ingest.identifier)


def manners(identifier: str) -> Manners:
    """Ask in the name of a dataset."""
    return Manners(
        agent=f"Data for Canada - {identifier}",
        allowed=networks(settings.DFC_PRIVATE_NETWORKS),
        stall_s=settings.DFC_INGEST_STALL_S,
        total_s=settings.DFC_INGEST_TOTAL_S,
    )
