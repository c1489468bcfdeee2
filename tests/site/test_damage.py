"""Two local mirrors and damage: found, gone everywhere at once, repaired, and remembered."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from catalog.models import Asset, Edition
from mirrors.checks.recheck import look_again
from mirrors.models import Check, Incident, Mirror, Replica
from releases.jobs import engine
from releases.models import Job, Release, Step
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

OTHER = {"origin": "second", "second": "origin"}


@pytest.fixture(autouse=True)
def quick(settings: Any) -> None:
    settings.DFC_BACKOFF_S = 0.01


def data_of(release: Release) -> Asset:
    return Asset.objects.get(item__version=release.version_id, key="data")


def copy_at(slug: str, asset: Asset) -> Replica:
    return Replica.objects.select_related("asset", "mirror").get(mirror__slug=slug, asset=asset)


def path_of(copy: Replica) -> Path:
    return Path(copy.mirror.endpoint) / copy.locator


def flip(copy: Replica) -> None:
    content = bytearray(path_of(copy).read_bytes())
    content[len(content) // 2] ^= 1
    path_of(copy).write_bytes(bytes(content))


def damaged(release: Release, slug: str) -> Replica:
    """Flip one byte of a copy of the data, and let it be found; nothing else is done yet."""
    copy = copy_at(slug, data_of(release))
    flip(copy)
    assert look_again(copy, Check.Level.FULL, now=timezone.now()).result == Check.Result.DAMAGED
    return copy


def run(pipeline: str) -> None:
    """Run the due steps of one pipeline, and of no other."""
    while due := list(Step.objects.filter(job__pipeline=pipeline, pk__in=engine.due_steps())):
        for step in due:
            engine.run_step(step.pk, has_heartbeat=False)


def door(asset: Asset) -> str:
    version = asset.item.version
    return f"/d/{version.dataset.identifier}/{version.shown}/{asset.path}"


def seen_by(client: Client, asset: Asset) -> dict[str, str]:
    """Give what each public place says of the file's copies."""
    version = asset.item.version
    page = client.get(f"/en/datasets/{version.dataset.identifier}/{version.shown}/").content.decode()
    return {
        "redirect": " ".join(sent_to(client, asset)),
        "link header": client.get(door(asset))["Link"],
        "list of mirrors": str(client.get(f"{door(asset)}.mirrors.json").json()["mirrors"]),
        "torrent": client.get(f"{door(asset)}.torrent").content.decode("latin-1"),
        "magnet link": " ".join(re.findall(r'href="(magnet:[^"]+)"', page)).replace("%2F", "/"),
    }


def sent_to(client: Client, asset: Asset) -> set[str]:
    """Ask the door as many networks, and as one that wants each mirror by name."""
    networks = [f"10.0.{number}.1" for number in range(60)]
    wishes = [client.get(f"{door(asset)}?mirror={slug}")["Location"] for slug in OTHER]
    return {client.get(door(asset), REMOTE_ADDR=address)["Location"] for address in networks} | set(wishes)


def alternates(edition: Edition) -> str:
    """Give all that the catalogue's current edition says of the data file, in both languages."""
    paths = [str(factories.own_path(f"{edition.folder}/{one}/versions.parquet")) for one in ("en", "fr")]
    return str(duckdb.execute("SELECT assets.data FROM read_parquet(?)", [paths]).fetchall())


@pytest.mark.parametrize("slug", OTHER)
def test_one_flipped_byte_takes_the_copy_out_of_everything_at_once(
    published: Release, client: Client, slug: str
) -> None:
    asset = data_of(published)
    bad, good = f"/{slug}/{asset.storage_key}", f"/{OTHER[slug]}/{asset.storage_key}"
    assert all(bad in words and good in words for words in seen_by(client, asset).values())
    damaged(published, slug)
    for place, words in seen_by(client, asset).items():
        assert bad not in words, place
        assert good in words, place
    listed = client.get(f"{door(asset)}.mirrors.json").json()["not_offered"]
    assert [(one["mirror"], one["code"]) for one in listed] == [(slug, "damaged")]
    page = client.get(f"/en/datasets/{asset.item.version.dataset.identifier}/v0.1.0-beta/").content.decode()
    assert "1 damaged or missing copy is out of service" in " ".join(page.split())


@pytest.mark.parametrize("slug", OTHER)
def test_it_leaves_the_next_edition_of_the_catalogue_and_comes_back_with_the_repair(
    published: Release, client: Client, slug: str
) -> None:
    asset, before = data_of(published), Edition.objects.latest("pk")
    bad = f"/{slug}/{asset.storage_key}"
    assert bad in alternates(before)
    damaged(published, slug)
    run("catalogue")
    without = Edition.objects.latest("pk")
    assert without != before
    assert bad not in alternates(without)
    assert f"/{OTHER[slug]}/{asset.storage_key}" in alternates(without)
    engine.drain(30)
    assert Edition.objects.latest("pk").manifest_sha256 == before.manifest_sha256


@pytest.mark.parametrize("slug", OTHER)
def test_it_is_repaired_by_itself_and_its_history_is_whole(published: Release, client: Client, slug: str) -> None:
    asset = data_of(published)
    copy = damaged(published, slug)
    engine.drain(30)
    assert path_of(copy).read_bytes() == path_of(copy_at(OTHER[slug], asset)).read_bytes()
    assert copy_at(slug, asset).state == Replica.State.VERIFIED
    results = copy.checks.order_by("at", "pk").values_list("level", "result")
    assert list(results)[-2:] == [(4, "damaged"), (4, "passed")]
    incident = Incident.objects.get()
    assert (incident.found_by.result, incident.ended_by.result) == ("damaged", "passed")  # type: ignore[union-attr]
    assert incident.source is not None
    assert incident.source.slug == OTHER[slug]
    assert f"/{slug}/" in " ".join(sent_to(client, asset))
    assert set(Job.objects.values_list("state", flat=True)) == {Job.State.DONE}


def empty(folder: Path) -> None:
    for one in folder.iterdir():
        shutil.rmtree(one)


def remove_and_make_again(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


EMPTY: dict[str, Callable[[Path], None]] = {"emptied": empty, "removed and made again": remove_and_make_again}


@pytest.mark.parametrize("how", EMPTY)
@pytest.mark.parametrize("slug", OTHER)
def test_a_directory_that_lost_everything_is_found_and_filled_again(
    published: Release, client: Client, slug: str, how: str
) -> None:
    asset = data_of(published)
    kept = {path: path.read_bytes() for path in map(path_of, Replica.objects.filter(mirror__slug=slug))}
    EMPTY[how](Path(Mirror.objects.get(slug=slug).endpoint))
    with pytest.raises(CommandError, match="damaged or missing; it was taken out of every list"):
        call_command("mirror", "verify", slug, "--level", "1", "--json")
    assert set(Replica.objects.filter(mirror__slug=slug).values_list("state", flat=True)) == {"missing"}
    assert all(f"/{slug}/{asset.storage_key}" not in words for words in seen_by(client, asset).values())
    engine.drain(30)
    assert {path: path.read_bytes() for path in kept} == kept
    assert set(Replica.objects.values_list("state", flat=True)) == {"verified"}
    assert Incident.objects.filter(mirror__slug=slug, kind="missing", ended_at__isnull=False).count() == len(kept)


@pytest.mark.parametrize("slug", OTHER)
def test_a_directory_that_is_not_there_is_silence_and_nobody_is_sent_there(
    published: Release, client: Client, slug: str
) -> None:
    asset = data_of(published)
    directory = Path(Mirror.objects.get(slug=slug).endpoint)
    away = directory.rename(directory.with_name("away"))
    with pytest.raises(CommandError, match="could not be checked; nothing was written of it"):
        call_command("mirror", "verify", slug, "--json")
    assert Mirror.objects.get(slug=slug).state == Mirror.State.SILENT
    assert set(Replica.objects.values_list("state", flat=True)) == {"verified"}
    assert all(f"/{slug}/{asset.storage_key}" not in words for words in seen_by(client, asset).values())
    assert not Job.objects.filter(pipeline="repair").exists()
    away.rename(directory)


def test_two_copies_lost_at_once_leave_the_file_unavailable_and_nothing_is_removed(
    published: Release, client: Client
) -> None:
    asset = data_of(published)
    for slug in OTHER:
        damaged(published, slug)
    rotten = {slug: path_of(copy_at(slug, asset)).read_bytes() for slug in OTHER}
    assert client.get(door(asset)).status_code == 503
    engine.drain(30)
    assert {slug: path_of(copy_at(slug, asset)).read_bytes() for slug in OTHER} == rotten
    assert set(Job.objects.filter(pipeline="repair").values_list("state", flat=True)) == {Job.State.FAILED}
    assert client.get(door(asset)).status_code == 503
