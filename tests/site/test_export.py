"""An edition of the catalogue: made when something changes, the same for the same rows, never half there."""

import hashlib
import json
from pathlib import Path

import duckdb
import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from catalog.models import CatalogueChange, Edition, Version
from catalog.stac_schemas import validate
from catalog.storage.connect import own_storage
from dfc_site import export
from mirrors.models import Replica
from releases.catalogue import request_edition
from releases.jobs import engine
from releases.models import Job, Release, Step
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


def file_of(edition: Edition, name: str) -> Path:
    return factories.own_path(f"{edition.folder}/{name}")


def changed(what: str) -> Edition:
    request_edition(what, now=timezone.now())
    engine.drain(30)
    return Edition.objects.latest("pk")


def test_publishing_makes_an_edition_that_is_what_its_manifest_says(published: Release) -> None:
    edition = Edition.objects.get()
    assert edition.versions == 1
    assert CatalogueChange.objects.get().edition == edition
    assert Job.objects.filter(pipeline="catalogue").get().state == "done"
    manifest = file_of(edition, "manifest.json").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == edition.manifest_sha256
    files = json.loads(manifest)["files"]
    assert set(files) == {
        f"{one}/{name}" for one in ("en", "fr") for name in ("collections.json", "versions.parquet")
    }
    for name, facts in files.items():
        assert hashlib.sha256(file_of(edition, name).read_bytes()).hexdigest() == facts["sha256"]
    pointer = json.loads(factories.own_path(export.POINTER).read_text(encoding="utf-8"))
    assert pointer == {"folder": edition.folder, "manifest_sha256": edition.manifest_sha256}


def test_unchanged_rows_give_the_same_edition(published: Release) -> None:
    before = Edition.objects.get()
    assert changed("nothing at all") == before
    assert Edition.objects.count() == 1
    assert not CatalogueChange.objects.filter(edition__isnull=True).exists()


def test_each_language_has_its_texts_and_the_same_digests(published: Release) -> None:
    edition = Edition.objects.get()
    query = 'SELECT title, assets.data."file:checksum", assets.data.alternate.second.href FROM read_parquet(?)'
    english, french = (
        duckdb.execute(query, [str(file_of(edition, f"{language}/versions.parquet"))]).fetchone()
        for language in ("en", "fr")
    )
    assert english is not None
    assert french is not None
    assert english[0].startswith("Provinces and territories")
    assert french[0].startswith("Provinces et territoires")
    assert english[1:] == french[1:]
    assert english[2].startswith("http://127.0.0.1:8001/second/")


def test_a_damaged_copy_and_a_withdrawn_version_leave_the_next_edition(published: Release) -> None:
    Replica.objects.filter(mirror__slug="second", asset__key="data").update(state=Replica.State.DAMAGED)
    edition = changed("second: damaged")
    query = "SELECT assets.data.alternate.second, assets.data.alternate.origin.href FROM read_parquet(?)"
    row = duckdb.execute(query, [str(file_of(edition, "en/versions.parquet"))]).fetchone()
    assert row is not None
    assert row[0] is None
    assert row[1] is not None
    Version.objects.update(state=Version.State.WITHDRAWN)
    empty = changed("withdrawn")
    assert empty.versions == 0
    assert json.loads(file_of(empty, "en/collections.json").read_text(encoding="utf-8"))["collections"] == []


def test_many_changes_at_once_cost_one_edition(published: Release) -> None:
    Replica.objects.filter(mirror__slug="second", asset__key="data").update(state=Replica.State.DAMAGED)
    for number in range(5):
        request_edition(f"change {number}", now=timezone.now())
    engine.drain(30)
    assert Edition.objects.count() == 2
    assert set(CatalogueChange.objects.values_list("edition", flat=True)) == set(
        Edition.objects.values_list("pk", flat=True)
    )


def test_a_slow_older_export_never_replaces_a_newer_edition(published: Release, tmp_path: Path) -> None:
    request_edition("older", now=timezone.now())
    owed = list(CatalogueChange.objects.filter(edition__isnull=True).values_list("pk", flat=True))
    stale = export.write(tmp_path, now=timezone.now())
    Replica.objects.filter(mirror__slug="second", asset__key="data").update(state=Replica.State.DAMAGED)
    newer = changed("newer")
    with transaction.atomic():
        assert export.settle(stale, owed, now=timezone.now()) == newer
    assert Edition.objects.latest("pk") == newer


def test_an_export_that_is_killed_before_its_end_leaves_the_edition_of_before(published: Release) -> None:
    before = Edition.objects.get()
    Replica.objects.filter(mirror__slug="second", asset__key="data").update(state=Replica.State.DAMAGED)
    change = request_edition("killed", now=timezone.now())
    own_storage().write_bytes(f"catalogue/{'0' * 16}/en/versions.parquet", b"half")
    Step.objects.filter(job__key=f"catalogue:{change.pk}").update(
        state=Step.State.RUNNING, lease_until_at=timezone.now(), fence=1, attempts=1
    )
    assert Edition.objects.latest("pk") == before
    engine.drain(30)
    assert Edition.objects.latest("pk") != before


def test_the_doors_of_the_catalogue_lead_to_the_current_edition(published: Release, client: Client) -> None:
    folder = Edition.objects.get().folder
    answer = client.get("/catalogue/en/versions.parquet")
    assert (answer.status_code, answer["Location"]) == (
        302,
        f"http://127.0.0.1:8001/origin/{folder}/en/versions.parquet",
    )
    assert client.get("/catalogue/latest.json")["Location"].endswith("/origin/catalogue/latest.json")
    for wrong in ("en/none.parquet", "../storage", "en/../../x", ".partial/x"):
        assert client.get(f"/catalogue/{wrong}").status_code == 404, wrong


def test_every_document_is_valid_stac_in_both_languages(published: Release, client: Client) -> None:
    identifier = published.version.dataset.identifier
    item = f"{identifier}_{published.version.shown}"
    for language, word in (("en", "territories"), ("fr", "territoires")):
        for address in (f"/stac/collections/{identifier}", f"/stac/collections/{identifier}/items/{item}"):
            answer = client.get(address, {"lang": language})
            assert answer["Access-Control-Allow-Origin"] == "*"
            validate(answer.json())
            assert word in answer.content.decode()
    for wrong in (
        f"/stac/collections/{identifier}?lang=de",
        "/stac/collections/x",
        f"/stac/collections/x/items/{item}",
    ):
        assert client.get(wrong).status_code == 404, wrong
