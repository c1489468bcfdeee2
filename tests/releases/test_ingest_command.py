"""`manage.py ingest`: the whole way of a list by command, with its refusals and its exits."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from catalog.storage.connect import own_storage
from releases.draft import draft_release
from releases.drafts.definition import read_definition
from releases.jobs import engine
from releases.models import Ingest
from tests.fakes.upstream import ALWAYS, Upstream, upstream
from tests.releases.ingests import curator, listed
from tests.releases.recipes import IDENTIFIER, SOURCE, recipe, release_toml

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(settings: Any, tmp_path: Path) -> Iterator[Upstream]:
    settings.DFC_STORAGE_DIR = tmp_path / "storage"
    settings.DFC_REPOSITORIES_DIR = tmp_path / "repositories"
    settings.DFC_INGEST_BACKOFF_S = 0.05
    curator()
    with upstream() as found:
        yield found


def act(*words: object) -> str:
    out = io.StringIO()
    call_command("ingest", *map(str, words), stdout=out, stderr=io.StringIO())
    return out.getvalue()


def said(*words: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(act(*words, "--json"))
    return found


def by_curator(*words: object) -> dict[str, Any]:
    found = said(*words, "--by", "curator")
    engine.drain(30)
    return found


def listing(server: Upstream, tmp_path: Path) -> Path:
    path = tmp_path / "list.txt"
    path.write_text(f"# all\n\n{listed(server)}\n", encoding="utf-8")
    return path


def test_a_list_comes_in_by_command(server: Upstream, tmp_path: Path) -> None:
    server.add("/one.bin", b"one")
    server.add("/two.bin", b"two", "404")
    number = by_curator("new", IDENTIFIER, "--list", listing(server, tmp_path))["ingest"]
    probed = said("status", number)
    assert (probed["state"], probed["files"], probed["reachable"], probed["announced_bytes"]) == ("probed", 2, 2, 6)
    assert by_curator("concurrency", number, 4)["ingest"] == number
    by_curator("start", number)
    assert (said("status", number)["state"], said("status", number)["failed"]) == ("incomplete", 1)
    by_curator("retry", number, "--file", 1)
    by_curator("again", number, "--force")
    found = said("status")["ingests"][0]
    assert (found["state"], found["stored"], found["kept_bytes"]) == ("done", 2, 6)
    assert act("ledger", number).startswith("position,url,name,state")
    act("ledger", number, "--out", tmp_path / "ledger.parquet")
    assert pq.read_table(tmp_path / "ledger.parquet").num_rows == 2
    act("ledger", number, "--out", tmp_path / "ledger.csv")
    assert (tmp_path / "ledger.csv").read_text().count("\n") == 3


def test_a_dry_run_says_what_would_be_and_changes_nothing(server: Upstream, tmp_path: Path) -> None:
    server.add("/one.bin", b"one")
    words = ("new", IDENTIFIER, "--list", listing(server, tmp_path), "--by", "curator")
    assert "Would be: " in act(*words, "--dry-run")
    assert not Ingest.objects.exists()
    number = by_curator(*words[:-2])["ingest"]
    assert "fetching" in act("start", number, "--by", "curator", "--dry-run")
    assert said("status", number)["state"] == "probed"
    assert list(Path(settings.DFC_STORAGE_DIR).rglob("one.bin")) == []


def test_what_is_refused_exits_with_its_sentence(server: Upstream, tmp_path: Path) -> None:
    server.add("/one.bin", b"one", "404", ALWAYS)
    number = by_curator("new", IDENTIFIER, "--list", listing(server, tmp_path))["ingest"]
    refused = [
        (("pause", number, "--by", "curator"), "it is “Probed” now"),
        (("start", 999, "--by", "curator"), "none of that number"),
        (("start", number, "--by", "nobody"), "no active user"),
        (("new", "no-identifier", "--prefix", server.url, "--by", "curator"), "no-identifier"),
        (("new", IDENTIFIER, "--files", tmp_path / "none", "--by", "curator"), "no such file"),
        (("new", IDENTIFIER, "--index", listing(server, tmp_path), "--by", "curator"), "column or query"),
        (("new", IDENTIFIER, "--list", tmp_path / "none", "--by", "curator"), "cannot be read"),
    ]
    for words, finding in refused:
        with pytest.raises(CommandError, match=finding):
            act(*words)


def test_files_of_this_machine_are_kept_and_a_release_takes_them(
    server: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "given.txt").write_bytes(SOURCE)
    number = by_curator("new", IDENTIFIER, "--files", tmp_path / "given.txt")["ingest"]
    assert said("status", number)["state"] == "done"
    text = act("sources", number)
    assert ('name = "given.txt"' in text, f"size_bytes = {len(SOURCE)}" in text) == (True, True)
    by = curator()
    monkeypatch.setattr(type(by), "has_perm", lambda *_words: True)
    definition = read_definition(release_toml(recipe()))
    release = draft_release(definition, by=by, offered={}, storage=own_storage(), now=by.date_joined)
    source = release.sources.get()
    kept = Ingest.objects.get(pk=number).files.get()
    assert (source.name, source.storage_key) == ("words.txt", kept.storage_key)
    assert len([path for path in Path(settings.DFC_STORAGE_DIR).rglob("*.txt") if path.is_file()]) == 1
