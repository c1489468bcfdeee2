"""What tests of DataCite share: a client of its stand-in, and a record that a findable DOI needs."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from mirrors.backends.base import Party, Record, Relation
from mirrors.doi.datacite import DataciteDois
from mirrors.doi.datacite_client import DataciteClient
from tests.fakes.datacite import FakeDatacite
from tests.fakes.faults import running

PREFIX = "10.70001"
NAME = f"{PREFIX}/d4c.0123456789ab.v1.0.0"
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
RECORD = Record(
    urn="urn:uuid:5f4a8a44-1c55-4c6e-9a05-0c6c1b6f3a01",
    identifier="ca_example-2021A000011124_d4c-datapkg-foundation_2022_roads",
    version="1.0.0",
    title_en="Roads",
    title_fr="Routes",
    description_en="Every road.",
    description_fr="Chaque route.",
    keywords_en=("roads",),
    keywords_fr=("routes",),
    attribution_en="Contains roads.",
    attribution_fr="Contient des routes.",
    licence="CC-BY-4.0",
    licence_title_en="Attribution 4.0",
    licence_title_fr="Attribution 4.0 (fr)",
    licence_url="https://creativecommons.org/licenses/by/4.0/",
    creators=(Party("Data for Canada"), Party("Doe, Jane", is_person=True)),
    publisher="Data for Canada",
    published_on=date(2026, 3, 1),
    landing_url="https://data.example.org/en/datasets/roads/v1.0.0/",
    bbox_wgs84=(-80.0, 43.0, -79.0, 44.0),
    starts_on=date(2021, 1, 1),
    ends_on=date(2021, 12, 31),
    size_bytes=5_510_934_436,
    formats=("application/geo+json",),
    relations=(
        Relation("IsIdenticalTo", "https://data.example.org/en/datasets/roads/v1.0.0/", "URL"),
        Relation("IsIdenticalTo", "10.5281/zenodo.77", "DOI"),
        Relation("IsVersionOf", f"{PREFIX}/d4c.0123456789ab", "DOI"),
    ),
)


@dataclass
class Registry:
    """The stand-in, and our provider that asks it."""

    server: FakeDatacite
    dois: DataciteDois

    def state(self, name: str = NAME) -> str:
        return self.server.dois[name].state

    def attribute(self, which: str, name: str = NAME) -> Any:
        return self.server.dois[name].attributes[which]


def client_of(server: FakeDatacite, repository: str = "DFC.TEST", password: str = "s3cret") -> DataciteClient:  # noqa: S107
    return DataciteClient(server.url, repository, password, allowed=LOOPBACK)


@contextmanager
def registry(settings: Any = None) -> Iterator[Registry]:
    """Run a stand-in, and let this installation use it if its settings are given."""
    with running(FakeDatacite()) as server:
        if settings is not None:
            settings.DFC_DATACITE_URL, settings.DFC_DATACITE_PREFIX = server.url, PREFIX
            settings.DFC_DATACITE_REPOSITORY, settings.DFC_DATACITE_PASSWORD = "DFC.TEST", "s3cret"
        yield Registry(server, DataciteDois(client_of(server), PREFIX))
