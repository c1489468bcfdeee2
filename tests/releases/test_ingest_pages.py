"""The pages of ingests in the admin: begun from a form, watched, steered and taken along."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from releases.jobs import engine
from releases.models import Ingest
from tests.fakes.upstream import ALWAYS, Upstream, upstream
from tests.releases.ingests import curator, fetched, listed, probed
from tests.releases.recipes import IDENTIFIER

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "/admin/releases/ingest/add/"


@pytest.fixture
def server(settings: Any, tmp_path: Path) -> Iterator[Upstream]:
    settings.DFC_STORAGE_DIR = tmp_path / "storage"
    settings.DFC_INGEST_BACKOFF_S = 0.05
    with upstream() as found:
        yield found


@pytest.fixture
def door() -> Client:
    client = Client()
    client.force_login(curator())
    return client


def page_of(ingest: Ingest, name: str = "change") -> str:
    return reverse(f"admin:releases_ingest_{name}", args=[ingest.pk])


def words(door: Client, address: str) -> str:
    answer = door.get(address)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_a_pasted_list_is_probed_started_and_stored(server: Upstream, door: Client) -> None:
    server.add("/good.zip", b"good", media_type="application/zip")
    text = f"{server.url}/good.zip\n{server.url}/gone.zip"
    answer: Any = door.post(f"{NEW}?origin=urls", {"identifier": IDENTIFIER, "text": text, "concurrency": 3})
    ingest = Ingest.objects.get()
    assert (answer["Location"], ingest.concurrency, ingest.by) == (page_of(ingest), 3, curator())
    assert door.get(page_of(ingest))["X-Board-Done"] == "0"
    engine.drain(30)
    page = words(door, page_of(ingest))
    assert "What the probe found" in page
    assert "Dead link" in page
    assert "Start the ingest" in page
    door.post(page_of(ingest, "act"), {"act": "start"})
    engine.drain(30)
    page = words(door, page_of(ingest))
    assert "<strong>1 / 2</strong> 1 failed" in page
    assert "answered with status 404" in page
    assert door.get(page_of(ingest))["X-Board-Done"] == "1"


def test_a_refused_list_keeps_what_was_typed_and_names_every_line(server: Upstream, door: Client) -> None:
    answer = door.post(f"{NEW}?origin=urls", {"identifier": IDENTIFIER, "text": "ftp://x\nhttps://u:p@y/z"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert ("line 1:" in page, "line 2:" in page, "ftp://x" in page, IDENTIFIER in page) == (True,) * 4
    assert not Ingest.objects.exists()


@pytest.mark.parametrize("origin", Ingest.Origin.values)
def test_each_origin_has_its_own_form(door: Client, origin: str) -> None:
    page = words(door, f"{NEW}?origin={origin}")
    assert f'href="?origin={origin}" aria-current="page"' in page
    fields = {"urls": "text", "upload": "uploads", "index": "selection"}
    assert f'name="{fields.get(origin, "address")}"' in page


def test_uploaded_files_and_an_uploaded_index_come_in(server: Upstream, door: Client) -> None:
    files = [SimpleUploadedFile("a.txt", b"a"), SimpleUploadedFile("b.txt", b"b")]
    door.post(f"{NEW}?origin=upload", {"identifier": IDENTIFIER, "uploads": files})
    ingest = Ingest.objects.get()
    assert (ingest.state, list(ingest.files.values_list("name", "size_bytes"))) == (
        "done",
        [("a.txt", 1), ("b.txt", 1)],
    )
    url = server.add("/x.bin", b"x")
    index = SimpleUploadedFile("index.csv", f"where\n{url}\n".encode())
    door.post(f"{NEW}?origin=index", {"identifier": IDENTIFIER, "index": index, "selection": "where"})
    engine.drain(30)
    derived = Ingest.objects.exclude(pk=ingest.pk).get()
    assert (derived.state, derived.files.get().url) == ("probed", url)
    assert derived.kept_key.endswith("/index.csv")


def test_files_are_filtered_found_and_tried_again_one_by_one(server: Upstream, door: Client) -> None:
    server.add("/good.bin", b"good")
    server.add("/bad.bin", b"bad", "404")
    ingest = fetched(listed(server))
    failed = words(door, page_of(ingest) + "?state=failed")
    assert ("bad.bin" in failed, "good.bin" in failed) == (True, False)
    assert "good.bin" in words(door, page_of(ingest) + "?q=GOOD.bin&fragment=1")
    door.post(page_of(ingest, "act"), {"act": "retry", "file": "1"})
    engine.drain(30)
    ingest.refresh_from_db()
    assert ingest.state == Ingest.State.DONE
    for wanted in ({"act": "concurrency", "count": "5"}, {"act": "again", "force": "1"}, {"act": "pause"}):
        door.post(page_of(ingest, "act"), wanted)
    ingest.refresh_from_db()
    assert (ingest.concurrency, ingest.state) == (5, "paused")
    refused = door.post(page_of(ingest, "act"), {"act": "pause"}, follow=True).content.decode()
    assert "it is “Paused” now" in refused


def test_the_ledger_and_the_sources_are_taken_along(server: Upstream, door: Client) -> None:
    server.add("/a/x.bin", b"one")
    server.add("/b/x.bin", b"two")
    ingest = fetched(listed(server))
    stream: Any = door.get(page_of(ingest, "ledger"))
    assert b"".join(stream.streaming_content).count(b"\n") == 3
    file: Any = door.get(page_of(ingest, "ledger") + "?form=parquet")
    assert pq.read_table(io.BytesIO(b"".join(file.streaming_content))).num_rows == 2
    text = door.get(page_of(ingest, "sources")).content.decode()
    assert (text.count("[[sources]]"), text.count('name = "x.bin"')) == (2, 1)


def test_a_failed_step_stands_on_the_page_and_can_be_retried(server: Upstream, door: Client) -> None:
    folder = server.add("/data/", b"", "404", ALWAYS, media_type="text/html")
    door.post(f"{NEW}?origin=prefix", {"identifier": IDENTIFIER, "address": folder})
    engine.drain(30)
    ingest = Ingest.objects.get()
    assert "it answered with status 404" in words(door, page_of(ingest))
    server.add("/data/x.bin", b"x")
    server.add("/data/", b"<a href=x.bin>x</a>", media_type="text/html")
    door.post(page_of(ingest, "act"), {"act": "retry-step"})
    engine.drain(30)
    ingest.refresh_from_db()
    assert (ingest.state, ingest.files.count()) == ("probed", 1)


def test_strangers_see_nothing_and_those_who_see_may_not_act(server: Upstream, django_user_model: Any) -> None:
    server.add("/x.bin", b"x")
    ingest = probed(listed(server))
    stranger = Client()
    stranger.force_login(django_user_model.objects.create_user("stranger", is_staff=True))
    for address in (NEW, page_of(ingest), page_of(ingest, "ledger"), page_of(ingest, "sources")):
        assert stranger.get(address).status_code == 403
    assert stranger.post(page_of(ingest, "act"), {"act": "start"}).status_code == 403
    ingest.refresh_from_db()
    assert ingest.state == Ingest.State.PROBED
