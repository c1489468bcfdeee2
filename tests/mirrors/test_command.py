"""`manage.py mirror`: what it refuses, what it writes, and when it ends with an error."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from catalog.models import Asset, Item
from mirrors.errors import MirrorRefusedError
from mirrors.models import Check, Mirror, Policy, Replica
from mirrors.registry.add_mirror import add_mirror
from mirrors.registry.mirror_entry import MirrorEntry
from tests import factories

pytestmark = pytest.mark.django_db

CONTENT = factories.CONTENT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def entry(folder: Path) -> MirrorEntry:
    return MirrorEntry(
        slug="storage-01",
        kind="local",
        endpoint=str(folder),
        public_url="https://mirror.example.org/data/",
        operator="A library",
        jurisdiction="CA",
    )


def words(entry: MirrorEntry) -> list[str]:
    named = ("kind", "endpoint", "public_url", "operator", "jurisdiction", "tier")
    return [entry.slug, *(f"--{name.replace('_', '-')}={getattr(entry, name)}" for name in named)]


def test_a_mirror_is_registered_as_it_was_said(entry: MirrorEntry, folder: Path) -> None:
    mirror = add_mirror(replace(entry, name="Storage", location="Halifax", tier="community"), now=timezone.now())
    mirror.refresh_from_db()
    assert (mirror.slug, mirror.name, mirror.location, mirror.tier) == (
        "storage-01",
        "Storage",
        "Halifax",
        "community",
    )
    assert (mirror.endpoint, mirror.public_url) == (str(folder), "https://mirror.example.org/data")
    assert mirror.is_enabled
    assert not Policy.objects.exists()
    mirror.full_clean()


@pytest.mark.parametrize("is_required", [True, False])
def test_a_mirror_may_come_with_a_policy_for_all_datasets(entry: MirrorEntry, *, is_required: bool) -> None:
    add_mirror(replace(entry, is_required=is_required), now=timezone.now())
    policy = Policy.objects.get()
    assert (policy.package, policy.dataset, policy.is_required) == (None, None, is_required)


REFUSED: list[tuple[str, str, str]] = [
    *(("slug", slug, "may have only a-z, 0-9 and hyphens") for slug in ("", "-a", "Storage", "a_b", "é", "a" * 41)),
    ("kind", "s4", r"cannot open mirrors of kind 's4'\. Choose one of local"),
    ("kind", "", r"cannot open mirrors of kind ''"),
    ("tier", "golden", r"'golden' is no tier\. Use one of primary, preservation, strategic, community"),
    ("endpoint", "relative/folder", r"'relative/folder' is no directory here\. Make it"),
    ("endpoint", "/no/such/folder", r"'/no/such/folder' is no directory here"),
    *(
        ("public_url", url, r"is no web address\. Write it like https://mirror\.example\.org/data")
        for url in (
            *(
                "",
                "mirror.example.org",
                "ftp://mirror.example.org",
                "https://",
                "https:///data",
                "https://[",
                "https://a[",
            ),
            *("https://a/x?y=1", "https://a/x#y", "https://a b/", "https://a/b c", "https://a/é", "https://a/x\n"),
        )
    ),
    *(("operator", name, "has no operator. Say who runs it") for name in ("", "  ")),
    *(("jurisdiction", code, "no country code of ISO 3166-1") for code in ("", "ca", "CAN", "C1", "Canada")),
]


@pytest.mark.parametrize(("field", "value", "sentence"), REFUSED)
def test_a_wrong_field_is_refused_with_a_sentence_and_nothing_is_written(
    entry: MirrorEntry, field: str, value: str, sentence: str
) -> None:
    given: dict[str, Any] = {field: value}
    wrong = replace(entry, is_required=True, **given)
    with pytest.raises(MirrorRefusedError, match=f"^Mirror '.*': .*{sentence}"):
        add_mirror(wrong, now=timezone.now())
    assert not Mirror.objects.exists()
    assert not Policy.objects.exists()


@pytest.mark.parametrize("name", ["name", "operator", "location", "endpoint", "public_url"])
def test_a_text_that_its_column_cannot_hold_is_refused_before_the_database_is_asked(
    entry: MirrorEntry, folder: Path, name: str
) -> None:
    long: dict[str, Any] = {"endpoint": f"{folder}{'/.' * 250}", "public_url": f"https://a.example.org/{'x' * 400}"}
    with pytest.raises(MirrorRefusedError, match=rf"its {name} has more than \d+ characters\. Shorten it"):
        add_mirror(replace(entry, **{name: long.get(name, "x" * 121)}), now=timezone.now())


def test_a_capacity_below_nothing_is_refused(entry: MirrorEntry) -> None:
    with pytest.raises(MirrorRefusedError, match="its capacity of -1 bytes is below nothing"):
        add_mirror(replace(entry, capacity_bytes=-1), now=timezone.now())
    assert add_mirror(replace(entry, capacity_bytes=0), now=timezone.now()).capacity_bytes == 0


def test_a_budget_of_a_day_below_nothing_is_refused(entry: MirrorEntry) -> None:
    with pytest.raises(MirrorRefusedError, match="-1 bytes a day are below nothing"):
        add_mirror(replace(entry, daily_read_bytes=-1), now=timezone.now())
    assert add_mirror(replace(entry, daily_read_bytes=0), now=timezone.now()).daily_read_bytes == 0


@pytest.mark.parametrize("theirs", [".", "inside", "inside/deeper"])
@pytest.mark.parametrize("ours", [".", "inside", "inside/deeper", "link"])
def test_one_directory_does_not_count_as_two_copies(entry: MirrorEntry, folder: Path, ours: str, theirs: str) -> None:
    (folder / "inside" / "deeper").mkdir(parents=True)
    (folder / "link").symlink_to(folder / "inside" / "deeper")
    add_mirror(replace(entry, slug="first", endpoint=str(folder / theirs)), now=timezone.now())
    with pytest.raises(MirrorRefusedError, match="the directory of mirror 'first' lie in each other"):
        add_mirror(replace(entry, endpoint=str(folder / ours)), now=timezone.now())
    assert Mirror.objects.count() == 1


def test_directories_side_by_side_are_two_mirrors(entry: MirrorEntry, folder: Path) -> None:
    for name in ("data", "data-2"):
        (folder / name).mkdir()
        add_mirror(replace(entry, slug=name, endpoint=str(folder / name)), now=timezone.now())
    assert Mirror.objects.count() == 2


def test_a_name_is_given_once(entry: MirrorEntry) -> None:
    add_mirror(entry, now=timezone.now())
    with pytest.raises(MirrorRefusedError, match="a mirror of that name is registered already"):
        add_mirror(replace(entry, operator="Another library"), now=timezone.now())
    assert Mirror.objects.get().operator == "A library"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8001/origin", "http://storage_01", "https://[2001:db8::1]:8443/a%20b"]
)
def test_an_address_on_this_machine_or_network_is_one(entry: MirrorEntry, url: str) -> None:
    assert add_mirror(replace(entry, public_url=url), now=timezone.now()).public_url == url


def test_the_command_adds_a_mirror_and_its_policy(entry: MirrorEntry, capsys: Any) -> None:
    call_command("mirror", "add", *words(entry), "--keeps-all=best-effort", "--json")
    assert json.loads(capsys.readouterr().out) == [{"mirror": "storage-01", "added": True}]
    assert Mirror.objects.get().operator == "A library"
    assert not Policy.objects.get().is_required


def test_a_dry_run_writes_nothing_and_finds_the_same_faults(entry: MirrorEntry, capsys: Any) -> None:
    call_command("mirror", "add", *words(entry), "--keeps-all=required", "--dry-run", "--json")
    assert json.loads(capsys.readouterr().out) == [{"mirror": "storage-01", "added": False}]
    assert not Mirror.objects.exists()
    assert not Policy.objects.exists()
    with pytest.raises(CommandError, match="no country code"):
        call_command("mirror", "add", *words(replace(entry, jurisdiction="ca")), "--dry-run")


def test_a_refusal_ends_the_command_with_its_sentence(entry: MirrorEntry) -> None:
    with pytest.raises(CommandError, match="has no operator") as caught:
        call_command("mirror", "add", *words(replace(entry, operator="")))
    assert caught.value.returncode != 0


def test_all_mirrors_are_listed_with_what_they_hold(capsys: Any) -> None:
    asset, north = factories.asset(), factories.mirror("north")
    factories.proved(asset, north)
    factories.replica(asset, factories.mirror("south", is_enabled=False), Replica.State.DAMAGED)
    call_command("mirror", "list", "--json")
    rows = json.loads(capsys.readouterr().out)
    assert [(row["mirror"], row["enabled"], row["verified"]) for row in rows] == [
        ("north", True, "1/1"),
        ("south", False, "0/1"),
    ]
    call_command("mirror", "list")
    assert "north  local  north operator  CA" in capsys.readouterr().out


def kept(folder: Path, slug: str, content: bytes | None = CONTENT) -> Replica:
    """Keep the one file at one more mirror, in a directory of its own; None for bytes that are not there."""
    item = Item.objects.first() or factories.item()
    asset = Asset.objects.first() or factories.asset(item)
    place = folder / slug
    replica = factories.replica(asset, factories.mirror(slug, endpoint=str(place)), Replica.State.STORED)
    path = place / replica.locator
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    return replica


def test_verifying_good_copies_ends_well_and_leaves_the_evidence(folder: Path, capsys: Any) -> None:
    kept(folder, "north")
    kept(folder, "south")
    call_command("mirror", "verify", "--json")
    rows = json.loads(capsys.readouterr().out)
    assert [(row["result"], row["level"], row["mirror"]) for row in rows] == [
        ("passed", "L4", "north"),
        ("passed", "L4", "south"),
    ]
    assert set(Replica.objects.values_list("state", flat=True)) == {"verified"}
    assert set(Check.objects.values_list("level", "result")) == {(4, "passed")}


@pytest.mark.parametrize(
    ("content", "result"), [(CONTENT[:-1] + b"x", "damaged"), (CONTENT[1:], "damaged"), (None, "missing")]
)
def test_one_bad_copy_ends_the_command_with_an_error_after_all_were_looked_at(
    folder: Path, capsys: Any, content: bytes | None, result: str
) -> None:
    kept(folder, "north", content)
    kept(folder, "south")
    with pytest.raises(CommandError, match="damaged or missing; it was taken out of every list") as caught:
        call_command("mirror", "verify", "--json")
    assert caught.value.returncode != 0
    assert [row["result"] for row in json.loads(capsys.readouterr().out)] == [result, "passed"]
    assert list(Replica.objects.order_by("pk").values_list("state", flat=True)) == [result, "verified"]


def test_one_mirror_and_one_level_can_be_chosen(folder: Path, capsys: Any) -> None:
    kept(folder, "north")
    kept(folder, "south", None)
    call_command("mirror", "verify", "north", "--level", "1")
    assert capsys.readouterr().out == "passed  L1  north  roads.geojson\n"
    assert Check.objects.get().level == 1


def test_a_dry_run_of_verify_says_what_is_wrong_and_takes_nothing_out(folder: Path, capsys: Any) -> None:
    kept(folder, "north", CONTENT[1:])
    with pytest.raises(CommandError, match="Something is wrong; nothing was written"):
        call_command("mirror", "verify", "--dry-run")
    assert capsys.readouterr().out == "damaged  L4  north  roads.geojson\n"
    assert not Check.objects.exists()
    assert Replica.objects.get().state == Replica.State.STORED


def test_a_mirror_that_nobody_registered_is_not_called_verified(folder: Path) -> None:
    kept(folder, "north")
    with pytest.raises(CommandError, match="Mirror 'nroth': none is registered under that name"):
        call_command("mirror", "verify", "nroth")


def test_a_silent_mirror_does_not_keep_the_others_from_being_looked_at(folder: Path, capsys: Any) -> None:
    silent = kept(folder, "north")
    Mirror.objects.filter(slug="north").update(endpoint=str(folder / "not-mounted"))
    kept(folder, "south")
    with pytest.raises(CommandError, match="could not be checked; nothing was written of it"):
        call_command("mirror", "verify", "--json")
    rows = json.loads(capsys.readouterr().out)
    assert [row["result"] for row in rows] == ["unchecked", "passed"]
    assert "Is its disk mounted?" in rows[0]["finding"]
    assert not silent.checks.exists()


def test_copies_that_were_never_stored_are_not_looked_at(folder: Path, capsys: Any) -> None:
    factories.replica(factories.asset(), factories.mirror(), Replica.State.PENDING)
    call_command("mirror", "verify", "--json")
    assert json.loads(capsys.readouterr().out) == []
