"""What lies at a mirror already comes into our rows by its digest, without being sent again, and is proved then."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from catalog.models import Asset, Version
from mirrors.backends.base import Traits
from mirrors.backends.internet_archive_metadata import identifier_of
from mirrors.backends.memory import MemoryMirror
from mirrors.connect import connect
from mirrors.deposits.adopt import Found, Result, adopt, versions_of
from mirrors.deposits.record import describe_version, record
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError
from mirrors.models import Check, Deposit, Mirror, Replica
from mirrors.replicate import deposit_key
from releases.jobs import engine
from releases.models import Job
from tests import factories
from tests.factories import CONTENT
from tests.fakes.internet_archive import ACCESS, SECRET, UPLOADER, File, InternetArchive, Item
from tests.fakes.zenodo import TOKEN
from tests.mirrors import zenodos
from tests.mirrors.archives import archive
from tests.mirrors.uploads import Kept, quiet, upload
from tests.mirrors.zenodo_deposits import ROADS
from tests.mirrors.zenodos import zenodo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_storage_dir")]
RAIL = b"rail" * 5000


@pytest.fixture
def version() -> Version:
    item = factories.item(factories.version(state=Version.State.PUBLISHED))
    factories.asset(item)
    factories.asset(item, "sources/rail.bin", RAIL, key="data-2")
    return item.version


@pytest.fixture
def north() -> Mirror:
    return factories.mirror("north")


def memory(version: Version, files: dict[str, bytes], **facts: Any) -> MemoryMirror:
    """Give a mirror that has files of a version, put there by somebody else."""
    backend, key = MemoryMirror(**facts), deposit_key(version)
    backend.files = {f"{key}/{path}": content for path, content in files.items()}
    if files:
        backend.deposits[key] = describe_version(version, urn="urn:uuid:of-somebody-else")
    return backend


def look(version: Version, mirror: Mirror, backend: Any, **words: Any) -> dict[str, Result]:
    """Adopt, and give what became of each path."""
    return {one.path: one.result for one in found(version, mirror, backend, **words)}


def found(version: Version, mirror: Mirror, backend: Any, **words: Any) -> list[Found]:
    return adopt(version, mirror, backend, now=timezone.now(), **words)


def run() -> None:
    for step_id in engine.due_steps():
        engine.run_step(step_id, has_heartbeat=False)


def rows() -> list[Any]:
    """Give all that adoption could write."""
    tables = (Deposit, Replica, Check, Job)
    return [list(table.objects.order_by("pk").values()) for table in tables]


@pytest.mark.parametrize("checksums", [["sha256"], ["md5"], ["sha1", "md5"], []])
def test_files_are_known_by_their_digest_and_by_being_read_where_none_is_told(
    version: Version, north: Mirror, checksums: list[str]
) -> None:
    backend = memory(version, {"roads.geojson": CONTENT, "sources/rail.bin": RAIL}, checksums=checksums)
    result = look(version, north, backend)
    assert result == {"roads.geojson": Result.ADOPTED, "sources/rail.bin": Result.ADOPTED}
    deposit = Deposit.objects.get()
    assert (deposit.state, deposit.record_id) == (Deposit.State.PUBLIC, deposit_key(version))
    copies = Replica.objects.order_by("asset__path")
    assert [(copy.state, copy.locator) for copy in copies] == [
        (Replica.State.STORED, f"{deposit_key(version)}/roads.geojson"),
        (Replica.State.STORED, f"{deposit_key(version)}/sources/rail.bin"),
    ]
    assert sorted(Job.objects.values_list("pipeline", "subject")) == [("recheck-copy", copy.pk) for copy in copies]
    assert not Check.objects.exists()


def test_adopting_twice_is_the_same_as_once(version: Version, north: Mirror) -> None:
    backend = memory(version, {"roads.geojson": CONTENT})
    found(version, north, backend)
    before = rows()
    assert look(version, north, backend) == {"roads.geojson": Result.KNOWN, "sources/rail.bin": Result.MISSING}
    assert rows() == before


def test_a_dry_run_finds_the_same_and_writes_nothing(version: Version, north: Mirror) -> None:
    backend, before = memory(version, {"roads.geojson": CONTENT}), rows()
    dry = look(version, north, backend, is_dry=True)
    assert rows() == before
    assert look(version, north, backend) == dry


@pytest.mark.parametrize("checksums", [["md5"], []])
def test_what_is_missing_other_or_unknown_is_found_and_left_alone(
    version: Version, north: Mirror, checksums: list[str]
) -> None:
    there = {"roads.geojson": CONTENT[:-1] + b"x", "README": b"by hand", "as-long.bin": bytes(len(RAIL))}
    backend = memory(version, there, checksums=checksums)
    assert look(version, north, backend) == {
        "roads.geojson": Result.OTHER,
        "sources/rail.bin": Result.MISSING,
        "README": Result.UNKNOWN,
        "as-long.bin": Result.UNKNOWN,
    }
    assert rows() == [[], [], [], []]
    assert len(backend.files) == 3


@pytest.mark.parametrize("checksums", [["md5"], []])
def test_a_file_of_ours_under_another_name_is_adopted_where_it_lies(
    version: Version, north: Mirror, checksums: list[str]
) -> None:
    backend = memory(version, {"rail.bin": RAIL, "roads.geojson": CONTENT}, checksums=checksums)
    assert set(look(version, north, backend).values()) == {Result.ADOPTED}
    copy = Replica.objects.get(asset__path="sources/rail.bin")
    assert copy.locator == f"{deposit_key(version)}/rail.bin"
    assert copy.url == backend.url(copy.locator)


def test_where_nothing_lies_nothing_is_made(version: Version, north: Mirror) -> None:
    assert look(version, north, memory(version, {})) == {"": Result.ABSENT}
    assert rows() == [[], [], [], []]


def test_a_mirror_that_does_not_answer_leaves_nothing_half_adopted(version: Version, north: Mirror) -> None:
    backend = memory(version, {"roads.geojson": CONTENT, "sources/rail.bin": RAIL}, checksums=[])
    backend.read = lost  # type: ignore[method-assign]
    with pytest.raises(MirrorUnavailableError):
        found(version, north, backend)
    assert rows() == [[], [], [], []]


def lost(*_words: Any, **_named: Any) -> Any:
    raise MirrorUnavailableError("gone")


@pytest.mark.parametrize("state", [Replica.State.DAMAGED, Replica.State.VERIFIED, Replica.State.STORED])
def test_what_we_know_of_a_copy_is_not_forgotten(version: Version, north: Mirror, state: str) -> None:
    asset = Asset.objects.get(path="roads.geojson")
    copy = factories.replica(asset, north, state, verified_at=timezone.now())
    assert look(version, north, memory(version, {"roads.geojson": CONTENT}))["roads.geojson"] == Result.KNOWN
    copy.refresh_from_db()
    assert (copy.state, Job.objects.count()) == (state, 0)


@pytest.mark.parametrize("state", [Replica.State.PENDING, Replica.State.REMOVED, Replica.State.MISSING])
def test_a_copy_that_we_thought_was_not_there_is_there_again(version: Version, north: Mirror, state: str) -> None:
    copy = factories.replica(Asset.objects.get(path="roads.geojson"), north, state)
    found(version, north, memory(version, {"roads.geojson": CONTENT}))
    copy.refresh_from_db()
    assert (copy.state, Job.objects.get().subject) == (Replica.State.STORED, copy.pk)


def test_a_draft_is_left_to_its_deposits_own_job(version: Version, north: Mirror, settings: Any) -> None:
    settings.DFC_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    server = archive()
    backend = memory(version, {"roads.geojson": CONTENT}, public_url=f"{server.url}/download/nothing-there")
    backend.traits = Traits(has_drafts=True, checksums=("md5",))
    assert look(version, north, backend)[""] == Result.DRAFT
    assert rows() == [[], [], [], []]


def test_a_version_that_lies_in_another_record_is_a_matter_for_a_person(version: Version, north: Mirror) -> None:
    Deposit.objects.create(version=version, mirror=north, record_id="first", created_at=timezone.now())
    with pytest.raises(MirrorRefusedError, match="it lies in record first already"):
        found(version, north, memory(version, {}), record_id="second")


@pytest.fixture
def server(settings: Any) -> InternetArchive:
    settings.DFC_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    settings.DFC_MIRROR_SECRETS = {
        "DFC_MIRROR_ARCHIVE_ACCESS_KEY_ID": ACCESS,
        "DFC_MIRROR_ARCHIVE_SECRET_ACCESS_KEY": SECRET,
    }
    server = archive()
    factories.mirror(
        "archive", kind=Mirror.Kind.INTERNET_ARCHIVE, endpoint=server.url, public_url=f"{server.url}/download"
    )
    return server


def by_hand(server: InternetArchive, files: dict[str, bytes]) -> None:
    """Let an item lie there that somebody of ours made in a browser."""
    server.made["roads-by-hand"] = UPLOADER
    kept = {
        name: File(content, told_md5=hashlib.md5(content, usedforsecurity=False).hexdigest())
        for name, content in files.items()
    }
    server.items["roads-by-hand"] = Item({"title": "Roads", "uploader": UPLOADER}, kept)


def command(*words: str) -> list[dict[str, str]]:
    out = io.StringIO()
    try:
        call_command("mirror", "adopt", *words, "--json", stdout=out)
    finally:
        said: list[dict[str, str]] = json.loads(out.getvalue() or "[]")
    return said


def test_an_item_made_by_hand_is_adopted_by_command_and_proved_through_its_public_address(
    server: InternetArchive, version: Version
) -> None:
    by_hand(server, {"roads.geojson": CONTENT, "rail.bin": RAIL})
    words = ("archive", "--dataset", "ca_roads", "--version", "v1.0.0", "--record", "roads-by-hand")
    assert {row["result"] for row in command(*words, "--dry-run")} == {"adopted"}
    assert not Deposit.objects.exists()
    assert {row["result"] for row in command(*words)} == {"adopted"}
    run()
    assert {copy.state for copy in Replica.objects.all()} == {Replica.State.VERIFIED}
    assert set(Check.objects.values_list("level", flat=True)) == {Check.Level.FULL}
    assert {row["result"] for row in command(*words)} == {"known before"}
    assert (server.count("PUT *"), server.count("POST *"), server.count("DELETE *")) == (0, 0, 0)


def test_other_bytes_are_an_error_of_the_command(server: InternetArchive, version: Version) -> None:
    by_hand(server, {"roads.geojson": RAIL})
    with pytest.raises(CommandError, match="is not what we published; it was left alone"):
        command("archive", "--dataset", "ca_roads", "--version", "1.0.0", "--record", "roads-by-hand")
    assert not Deposit.objects.exists()


def test_an_item_of_somebody_else_under_our_name_is_told_as_foreign(
    server: InternetArchive, version: Version
) -> None:
    mirror = Mirror.objects.get()
    deposit = Deposit.objects.create(version=version, mirror=mirror, created_at=timezone.now())
    server.items[identifier_of(record(deposit))] = Item({"uploader": "someone@example.org"})
    (one,) = found(version, mirror, connect(mirror))
    assert (one.result, "is not this deposit's" in one.where) == (Result.FOREIGN, True)


def test_a_record_of_zenodo_is_adopted_once_it_is_public(version: Version, settings: Any) -> None:
    settings.DFC_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    settings.DFC_MIRROR_SECRETS = {"DFC_MIRROR_DEEP_TOKEN": TOKEN}
    service = zenodo()
    mirror = factories.mirror("deep", kind=Mirror.Kind.ZENODO, endpoint=service.api, public_url=service.url)
    theirs = zenodos.mirror_at(service)
    draft = theirs.prepare("by another installation", ROADS)
    theirs.put(draft, upload(RAIL, path="sources/rail.bin"), checkpoint=Kept(), progress=quiet)
    assert found(version, mirror, connect(mirror), record_id=draft.record_id)[0].result == Result.DRAFT
    theirs.publish(draft, ROADS)
    assert look(version, mirror, connect(mirror), record_id=draft.record_id) == {
        "roads.geojson": Result.MISSING,
        "sources/rail.bin": Result.ADOPTED,
    }
    run()
    assert Replica.objects.get().state == Replica.State.VERIFIED


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("archive", "--dataset", "nothing"), "there is no such public version"),
        (("archive", "--record", "x"), "Name it by --dataset and --version"),
        (("nowhere",), "none is registered under that name"),
    ],
)
def test_a_command_that_means_nothing_says_so(
    server: InternetArchive, version: Version, words: tuple[str, ...], sentence: str
) -> None:
    factories.asset(factories.item(factories.version(version.dataset, number="1.1.0")))
    with pytest.raises(CommandError, match=sentence):
        command(*words)


def test_drafts_and_withdrawn_versions_are_not_adopted(version: Version) -> None:
    for number, state in (("1.1.0", Version.State.PUBLISHED), ("2.0.0", Version.State.DRAFT)):
        factories.version(version.dataset, number=number, state=state)  # without a sealed file
    assert list(versions_of()) == [version]
    Version.objects.filter(pk=version.pk).update(state=Version.State.WITHDRAWN)
    assert list(versions_of("ca_roads", "v1.0.0")) == []


def test_a_directory_is_adopted_as_it_lies(version: Version, tmp_path: Path) -> None:
    mirror = factories.mirror("disk", endpoint=str(tmp_path))
    place = tmp_path / deposit_key(version)
    (place / "sources").mkdir(parents=True)
    (place / "roads.geojson").write_bytes(CONTENT)
    (place / "sources" / "rail.bin").write_bytes(RAIL)
    assert {one.result for one in found(version, mirror, connect(mirror))} == {Result.ADOPTED}
    run()
    assert {copy.state for copy in Replica.objects.all()} == {Replica.State.VERIFIED}
