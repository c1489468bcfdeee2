"""One deposit's life at the sandboxes of the real services: only when asked for, and with keys for them.

    ./test --sandboxes

What is not set is skipped. At Zenodo a draft is made, filled and thrown away; in a bucket one file is put and
removed; the Internet Archive keeps an item of its test collection for some weeks; at DataCite's test service a draft
DOI stays.

    DFC_SANDBOX_ZENODO_TOKEN (_ENDPOINT)
    DFC_SANDBOX_S3_ENDPOINT, _BUCKET, _REGION, _ACCESS_KEY_ID, _SECRET_ACCESS_KEY
    DFC_SANDBOX_ARCHIVE_ACCESS_KEY_ID, _SECRET_ACCESS_KEY (_ENDPOINT)
    DFC_SANDBOX_DATACITE_REPOSITORY, _PASSWORD, _PREFIX (_ENDPOINT)
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from pytest_socket import enable_socket, socket_allow_hosts

from catalog.addresses import networks
from mirrors.backends.base import MirrorBackend, Party, RemoteStat
from mirrors.connect import connect
from mirrors.doi.datacite import DataciteDois
from mirrors.doi.datacite_client import DataciteClient
from mirrors.models import Mirror
from tests.mirrors.uploads import RECORD, ROADS, Kept, quiet, upload

pytestmark = pytest.mark.sandbox
SETTLE_S, PATIENCE_S = 30, 600
FILE = upload(ROADS)


def said(name: str, usual: str = "") -> str:
    """Read what opens a sandbox; what is not set skips the test."""
    text = os.environ.get(f"DFC_SANDBOX_{name}", usual)
    return text or pytest.skip(f"DFC_SANDBOX_{name} is not set")


@pytest.fixture(autouse=True)
def _open_network(only_loopback: None) -> None:
    """Reach the services themselves."""
    socket_allow_hosts(None)
    enable_socket()


@pytest.fixture
def at(settings: Any) -> Callable[..., MirrorBackend]:
    """Open a mirror that no database knows, with the keys of its sandbox."""

    def opened(service: str, kind: str, endpoint: str, *keys: str, **facts: Any) -> MirrorBackend:
        settings.DFC_MIRROR_SECRETS = {f"DFC_MIRROR_SANDBOX_{key}": said(f"{service}_{key}") for key in keys}
        settings.DFC_PRIVATE_NETWORKS = os.environ.get("DFC_PRIVATE_NETWORKS", "").split()
        return connect(Mirror(slug="sandbox", name="Sandbox", kind=kind, endpoint=endpoint, is_sandbox=True, **facts))

    return opened


def wait_for(look: Callable[[], Any]) -> Any:
    """Ask until there is an answer, as long as a service may take to show what it has."""
    until_s = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < until_s, "it is not seen"
        time.sleep(1)
    return found


def live(mirror: MirrorBackend, *, seen: bool = True) -> tuple[Any, str]:
    """Make a deposit, find it, fill it, and see its file; gives the deposit and the locator."""
    record = replace(
        RECORD,
        urn=f"urn:uuid:{uuid4()}",
        publisher="Data for Canada",
        description_en="A trial.",
        description_fr="Un essai.",
        creators=(Party("Data for Canada"),),
        published_on=date(2026, 1, 15),
        doi="",
    )
    key = f"trial/{uuid4().hex}/v1.0.0"
    draft = mirror.prepare(key, record)
    if seen:
        assert wait_for(lambda: mirror.find(key, record)).record_id == draft.record_id
    draft = replace(draft, record=record, files=1, size_bytes=FILE.size_bytes)
    locator = mirror.put(draft, FILE, checkpoint=Kept(), progress=quiet)
    stat: RemoteStat = wait_for(lambda: mirror.listing(draft).get(FILE.path))
    assert stat.size_bytes == FILE.size_bytes
    assert stat.checksums.get("md5", FILE.md5) == FILE.md5
    assert mirror.prepare(key, record).record_id == draft.record_id
    return draft, locator


def test_a_draft_at_zenodo_is_made_found_filled_and_thrown_away(at: Callable[..., MirrorBackend]) -> None:
    endpoint = said("ZENODO_ENDPOINT", "https://sandbox.zenodo.org/api")
    mirror = at("ZENODO", Mirror.Kind.ZENODO, endpoint, "TOKEN", public_url=endpoint.removesuffix("/api"))
    draft, locator = live(mirror)
    assert draft.doi
    assert b"".join(mirror.read(locator)) == ROADS
    mirror.discard(draft)
    assert mirror.stat(locator) is None


def test_a_file_in_a_bucket_is_put_seen_and_removed(at: Callable[..., MirrorBackend]) -> None:
    facts = {"bucket": said("S3_BUCKET"), "region": said("S3_REGION"), "prefix": "trial/", "addressing": "path"}
    keys = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    mirror = at("S3", Mirror.Kind.S3, said("S3_ENDPOINT"), *keys, public_url="https://bucket.example.org", **facts)
    _, locator = live(mirror, seen=False)
    assert b"".join(mirror.read(locator)) == ROADS
    mirror.retire(locator)
    assert mirror.stat(locator) is None


def test_an_item_of_the_test_collection_is_filled_and_read(at: Callable[..., MirrorBackend]) -> None:
    endpoint = said("ARCHIVE_ENDPOINT", "https://archive.org")
    facts = {"collection": "test_collection", "public_url": f"{endpoint}/download", "settle_s": SETTLE_S}
    mirror = at("ARCHIVE", Mirror.Kind.INTERNET_ARCHIVE, endpoint, "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", **facts)
    _, locator = live(mirror, seen=False)
    assert b"".join(mirror.read(locator)) == ROADS


def test_a_draft_doi_is_reserved_at_datacite() -> None:
    prefix = said("DATACITE_PREFIX")
    client = DataciteClient(
        said("DATACITE_ENDPOINT", "https://api.test.datacite.org"),
        said("DATACITE_REPOSITORY"),
        said("DATACITE_PASSWORD"),
        allowed=networks(os.environ.get("DFC_PRIVATE_NETWORKS", "").split()),
    )
    name = f"{prefix}/d4c.trial.{uuid4().hex[:12]}"
    record = replace(RECORD, publisher="Data for Canada", published_on=date(2026, 1, 15), doi=name)
    DataciteDois(client, prefix).reserve(name, record)
    found = client.get(name)
    assert found is not None
    assert found.state == "draft"
