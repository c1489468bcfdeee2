"""Deposits at a Zenodo for tests: two editions of one dataset, and how they are filled."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

from mirrors.backends.base import Draft, Party, Record, Relation
from mirrors.backends.zenodo import ZenodoMirror
from mirrors.errors import MirrorUnavailableError
from tests.fakes.zenodo import FakeZenodo
from tests.mirrors.uploads import KEY, Kept, quiet, upload

BYTES = bytes(range(256)) * 40
CREATE = "POST /api/deposit/depositions"
WRITE_METADATA = "PUT /api/deposit/depositions/*"
PUT = "PUT /api/files/*"
PUBLISH = "POST /api/deposit/depositions/*/actions/publish"
EDIT = "POST /api/deposit/depositions/*/actions/edit"
VERSIONS = "POST /api/records/*/versions"
BEFORE = ("error-before:503", "drop-before")
AFTER = ("error-after:500", "error-after:502", "drop-after")
URNS = [f"urn:uuid:5f4a8a44-1c55-4c6e-9a05-0c6c1b6f3a{number:02}" for number in range(20)]
ROADS = Record(
    urn=URNS[1],
    identifier="ca_roads",
    version="1.0.0",
    title_en="Roads & rails",
    title_fr="Routes et rails",
    description_en="Every road.\n\nAnd every rail.",
    description_fr="Chaque route.",
    keywords_en=("roads",),
    keywords_fr=("routes",),
    licence="OGL-Canada-2.0",
    creators=(Party("Data for Canada"), Party("Ministry of Roads, Canada"), Party("Tremblay, Anne", is_person=True)),
    published_on=date(2026, 3, 5),
    landing_url="https://data.example.org/en/datasets/ca_roads/v1.0.0/",
    relations=(Relation("IsIdenticalTo", "https://archive.example.org/details/ca_roads", "URL"),),
    bbox_wgs84=(-80.0, 43.0, -79.0, 44.0),
)
RAILS = replace(ROADS, urn=URNS[2], version="1.1.0")


def fill(mirror: ZenodoMirror, record: Record = ROADS, *, path: str = "roads.bin") -> Draft:
    draft = mirror.prepare(KEY, record)
    mirror.put(draft, upload(BYTES, path=path), checkpoint=Kept(), progress=quiet)
    return draft


def until_done(act: Callable[[], Any]) -> Any:
    """Do as the engine does with what may be tried later."""
    for _ in range(30):
        try:
            return act()
        except MirrorUnavailableError:
            continue
    raise AssertionError("it never came to an end")


def states(server: FakeZenodo) -> list[str]:
    return sorted(one.state for one in server.deposits.values())
