"""Looking at copies: what each level finds, the evidence it leaves, and what follows from it."""

import hashlib
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError

from catalog.models import Asset, PieceTable
from mirrors.backends.base import RemoteStat
from mirrors.backends.memory import MemoryMirror
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError, UnverifiedError
from mirrors.models import Check, Incident, Mirror, Policy, Replica
from mirrors.verify import check_replica, require_verified
from releases.models import Job, Step
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_storage_dir")]

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
SMALL = bytes(range(250)) * 200  # less than one sample, so that L3 sees every byte
LEVELS = list(Check.Level)
METHODS = {
    Check.Level.LISTED: "size",
    Check.Level.SIZE: "size",
    Check.Level.CHECKSUM: "sha256 of the mirror",
    Check.Level.SAMPLED: "8 ranges",
    Check.Level.FULL: "sha256, full re-read",
}


@dataclass
class Copy:
    """One copy, the mirror that holds it, and the newest look at it."""

    replica: Replica
    backend: MemoryMirror

    def look(self, level: int, now: datetime = NOW) -> Check:
        check = check_replica(self.replica, backend=self.backend, level=level, now=now)
        self.replica.refresh_from_db()
        return check

    def hold(self, content: bytes) -> None:
        self.backend.files[self.replica.locator] = content

    def flip(self, position: int) -> None:
        self.backend.flip(self.replica.locator, position)


def copy_of(content: bytes = SMALL, backend: MemoryMirror | None = None) -> Copy:
    """Give a stored copy that nobody has looked at yet."""
    asset = factories.asset(content=content, is_stored=True)
    copy = Copy(factories.replica(asset, factories.mirror(), Replica.State.STORED), backend or MemoryMirror())
    copy.hold(content)
    return copy


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("content", [SMALL, b"", SMALL * 40], ids=["small", "empty", "large"])
def test_a_good_copy_passes_and_the_check_says_how(level: Check.Level, content: bytes) -> None:
    copy = copy_of(content)
    check = copy.look(level)
    assert Check.objects.get() == check
    assert (check.replica, check.level, check.result) == (copy.replica, level, Check.Result.PASSED)
    assert (check.method, check.size_seen_bytes) == (METHODS[level], len(content))
    assert (check.at, check.checker) == (NOW, socket.gethostname()[:60])
    expected = copy.replica.asset.sha256 if level in {Check.Level.CHECKSUM, Check.Level.FULL} else ""
    assert check.checksum_seen == expected


@pytest.mark.parametrize("level", LEVELS)
def test_only_a_checksum_or_a_full_re_read_makes_a_copy_verified(level: Check.Level) -> None:
    copy = copy_of()
    copy.look(level)
    is_proof = level in {Check.Level.CHECKSUM, Check.Level.FULL}
    assert copy.replica.state == (Replica.State.VERIFIED if is_proof else Replica.State.STORED)
    assert copy.replica.verified_at == (NOW if is_proof else None)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("content", [SMALL[:-1], SMALL + b"x", b""], ids=["shorter", "longer", "empty"])
def test_a_copy_of_another_size_is_damaged_at_any_level(level: Check.Level, content: bytes) -> None:
    copy = copy_of()
    copy.hold(content)
    check = copy.look(level)
    assert (check.result, check.method) == (Check.Result.DAMAGED, "size")
    assert check.size_seen_bytes == len(content)
    assert copy.replica.state == Replica.State.DAMAGED


@pytest.mark.parametrize("position", [0, len(SMALL) // 2, -1], ids=["start", "middle", "end"])
@pytest.mark.parametrize("level", [Check.Level.CHECKSUM, Check.Level.SAMPLED, Check.Level.FULL])
def test_one_flipped_byte_is_found(level: Check.Level, position: int) -> None:
    copy = copy_of()
    copy.flip(position)
    check = copy.look(level)
    assert (check.result, check.level) == (Check.Result.DAMAGED, level)
    assert copy.replica.state == Replica.State.DAMAGED
    if level != Check.Level.SAMPLED:
        stored = copy.backend.files[copy.replica.locator]
        assert check.checksum_seen == hashlib.sha256(stored).hexdigest() != copy.replica.asset.sha256


def test_samples_of_a_large_file_name_the_range_that_differs() -> None:
    copy = copy_of(SMALL * 40)
    copy.hold(bytes(len(SMALL) * 40))
    check = copy.look(Check.Level.SAMPLED)
    assert check.result == Check.Result.DAMAGED
    assert check.method.startswith("range at byte ")


@pytest.mark.parametrize("level", LEVELS)
def test_an_absent_copy_is_missing_at_any_level(level: Check.Level) -> None:
    copy = copy_of()
    copy.look(Check.Level.FULL)
    copy.backend.retire(copy.replica.locator)
    check = copy.look(level)
    assert (check.result, check.method, check.size_seen_bytes) == (Check.Result.MISSING, "listing", None)
    assert copy.replica.state == Replica.State.MISSING


@pytest.mark.parametrize("level", LEVELS)
def test_a_mirror_that_does_not_answer_is_no_verdict(level: Check.Level) -> None:
    copy = copy_of()
    copy.look(Check.Level.FULL)
    copy.backend.faults.is_unavailable = True
    with pytest.raises(MirrorUnavailableError):
        copy.look(level, NOW + timedelta(days=1))
    copy.replica.refresh_from_db()
    assert Check.objects.count() == 1
    assert (copy.replica.state, copy.replica.verified_at) == (Replica.State.VERIFIED, NOW)


def test_a_read_that_ends_early_is_not_taken_for_the_whole() -> None:
    copy = copy_of()
    copy.backend.faults.reads_end_at_byte = 1000
    check = copy.look(Check.Level.FULL)
    assert (check.result, check.size_seen_bytes) == (Check.Result.DAMAGED, 1000)


def test_failed_samples_outweigh_the_full_re_read_before_them_and_a_later_one_heals() -> None:
    copy = copy_of()
    copy.look(Check.Level.FULL)
    copy.flip(100)
    copy.look(Check.Level.SAMPLED, NOW + timedelta(hours=1))
    assert copy.replica.state == Replica.State.DAMAGED
    copy.flip(100)
    for level in (Check.Level.LISTED, Check.Level.SIZE, Check.Level.SAMPLED):
        copy.look(level, NOW + timedelta(hours=2))
        assert copy.replica.state == Replica.State.DAMAGED
    healed_at = NOW + timedelta(hours=3)
    copy.look(Check.Level.FULL, healed_at)
    assert (copy.replica.state, copy.replica.verified_at) == (Replica.State.VERIFIED, healed_at)
    results = Check.objects.order_by("at", "pk").values_list("result", flat=True)
    assert list(results) == ["passed", "damaged", "passed", "passed", "passed", "passed"]


def test_looking_twice_leaves_two_checks_and_one_state() -> None:
    copy = copy_of()
    for day in (0, 1):
        copy.look(Check.Level.FULL, NOW + timedelta(days=day))
    assert [check.at for check in copy.replica.checks.all()] == [NOW + timedelta(days=1), NOW]
    assert copy.replica.verified_at == NOW + timedelta(days=1)


@pytest.mark.parametrize("name", ["md5", "sha1"])
def test_whichever_checksum_a_mirror_reports_is_compared(name: str) -> None:
    copy = copy_of(backend=MemoryMirror(checksums=[name]))
    check = copy.look(Check.Level.CHECKSUM)
    assert (check.result, check.method) == (Check.Result.PASSED, f"{name} of the mirror")
    assert check.checksum_seen == getattr(copy.replica.asset, name)
    copy.flip(0)
    assert copy.look(Check.Level.CHECKSUM).result == Check.Result.DAMAGED


def test_the_strongest_checksum_is_the_one_compared() -> None:
    copy = copy_of(backend=MemoryMirror(checksums=["md5", "sha1", "sha256"]))
    assert copy.look(Check.Level.CHECKSUM).method == "sha256 of the mirror"


def test_a_mirror_without_checksums_cannot_be_asked_for_them() -> None:
    copy = copy_of(backend=MemoryMirror(checksums=[]))
    with pytest.raises(
        MirrorRefusedError, match=r"north: it reports no checksum, so L2 cannot be done\. Use level 4"
    ):
        copy.look(Check.Level.CHECKSUM)
    assert not Check.objects.exists()


@pytest.mark.parametrize("ours", [None, SMALL[:100]], ids=["lost", "cut short"])
def test_a_loss_of_our_own_is_not_blamed_on_the_mirror(own_storage_dir: Path, ours: bytes | None) -> None:
    copy = copy_of()
    path = own_storage_dir / copy.replica.asset.storage_key
    path.unlink()
    if ours is not None:
        path.write_bytes(ours)
    with pytest.raises(MirrorRefusedError, match=r"roads\.geojson: our own storage does not hold it whole"):
        copy.look(Check.Level.SAMPLED)
    assert not Check.objects.exists()
    assert copy.look(Check.Level.FULL).result == Check.Result.PASSED


def test_check_and_state_are_written_together_or_not_at_all() -> None:
    copy = copy_of()
    Replica.objects.update(state=Replica.State.PENDING, locator="", url="")
    copy.replica.refresh_from_db()
    copy.hold(SMALL)
    with pytest.raises(IntegrityError, match="replica_stored_has_locator"):
        check_replica(copy.replica, backend=copy.backend, level=Check.Level.FULL, now=NOW)
    assert not Check.objects.exists()


def test_progress_of_a_full_re_read_rises_to_the_size() -> None:
    copy, seen = copy_of(SMALL * 40), list[int]()
    check_replica(copy.replica, backend=copy.backend, level=Check.Level.FULL, now=NOW, progress=seen.append)
    assert seen == sorted(seen)
    assert (len(seen) > 1, seen[-1]) == (True, len(SMALL) * 40)


@dataclass
class Wanted:
    """A version of two files that two mirrors are required to keep, a third is not."""

    assets: list[Asset]
    mirrors: list[Mirror]
    release_id: int

    def require(self) -> tuple[int, int | None]:
        """Run the step; gives how many copies it asked for, done and in total."""
        context = factories.step("mirrors.verify.require_verified", self.release_id)
        require_verified(context, self.release_id)
        context.complete()
        step = Step.objects.get()
        return step.done_units, step.total_units


@pytest.fixture
def wanted() -> Wanted:
    item = factories.item()
    assets = [factories.asset(item), factories.asset(item, "rail.csv", b"rail", key="data-2")]
    mirrors = [factories.mirror(slug) for slug in ("north", "south", "west")]
    for mirror in mirrors:
        Policy.objects.create(mirror=mirror, is_required=mirror.slug != "west")
    return Wanted(assets, mirrors, factories.release(item.version).pk)


def prove(wanted: Wanted) -> list[Replica]:
    return [factories.proved(asset, mirror) for mirror in wanted.mirrors[:2] for asset in wanted.assets]


def test_publication_goes_on_when_every_required_copy_is_proved(wanted: Wanted) -> None:
    prove(wanted)
    assert wanted.require() == (4, 4)


def test_a_required_copy_that_was_never_made_holds_publication_back(wanted: Wanted) -> None:
    for asset in wanted.assets:
        factories.proved(asset, wanted.mirrors[0])
    factories.proved(wanted.assets[0], wanted.mirrors[1])
    with pytest.raises(UnverifiedError, match=r"rail\.csv: no copy at South has been read back"):
        wanted.require()


@pytest.mark.parametrize("state", ["stored", "damaged", "missing"])
def test_a_required_copy_that_is_not_verified_holds_publication_back(wanted: Wanted, state: str) -> None:
    copy = prove(wanted)[0]
    Replica.objects.filter(pk=copy.pk).update(state=state)
    with pytest.raises(UnverifiedError, match=r"roads\.geojson: no copy at North has been read back"):
        wanted.require()


@pytest.mark.parametrize("level", [Check.Level.LISTED, Check.Level.SIZE, Check.Level.SAMPLED])
def test_a_look_that_proves_nothing_does_not_suffice(wanted: Wanted, level: Check.Level) -> None:
    copy = prove(wanted)[0]
    copy.checks.update(level=level)
    with pytest.raises(UnverifiedError, match=r"roads\.geojson: no copy at North"):
        wanted.require()


def test_a_proof_from_before_the_sealing_does_not_suffice(wanted: Wanted) -> None:
    copy = prove(wanted)[0]
    copy.checks.update(at=copy.asset.sealed_at - timedelta(seconds=1))
    with pytest.raises(UnverifiedError, match=r"roads\.geojson: no copy at North"):
        wanted.require()


def test_a_mirror_out_of_service_is_not_waited_for(wanted: Wanted) -> None:
    for asset in wanted.assets:
        factories.proved(asset, wanted.mirrors[0])
    Mirror.objects.filter(slug="south").update(is_enabled=False)
    assert wanted.require() == (2, 2)


@pytest.mark.parametrize("bytes_are", ["still there", "gone"])
def test_a_look_that_ends_after_a_removal_brings_no_copy_back(bytes_are: str) -> None:
    copy = copy_of()
    copy.look(Check.Level.FULL)
    Replica.objects.filter(pk=copy.replica.pk).update(state=Replica.State.REMOVED)
    if bytes_are == "gone":
        copy.backend.files.clear()
    copy.look(Check.Level.FULL, NOW + timedelta(hours=1))
    assert copy.replica.state == Replica.State.REMOVED
    assert not Incident.objects.exists()
    assert not Job.objects.filter(pipeline__in=["repair", "sweep", "tell"]).exists()


def test_no_piece_compared_is_no_passed_check() -> None:
    asset = factories.asset(content=SMALL, is_stored=True)
    PieceTable.objects.all().delete()
    copy = Copy(factories.replica(asset, factories.mirror("origin"), Replica.State.VERIFIED), MemoryMirror())
    copy.hold(SMALL[:-1] + b"?")
    with pytest.raises(MirrorRefusedError, match="has no pieces"):
        copy.look(Check.Level.SAMPLED)
    assert not Check.objects.filter(level=Check.Level.SAMPLED).exists()


@pytest.mark.parametrize("size_bytes", [2**70, -(2**70)])
def test_a_size_that_no_database_holds_is_a_verdict_all_the_same(size_bytes: int) -> None:
    copy = copy_of()
    copy.look(Check.Level.FULL)
    copy.backend.said = lambda _content: RemoteStat(size_bytes, {"md5": "\0" * 200})  # type: ignore[method-assign,assignment]
    assert copy.look(Check.Level.SIZE, NOW + timedelta(hours=1)).result == Check.Result.DAMAGED
    assert copy.replica.state == Replica.State.DAMAGED


def test_a_checksum_that_is_none_is_kept_as_far_as_a_row_has_room() -> None:
    copy = copy_of()
    copy.backend.said = lambda content: RemoteStat(len(content), {"sha256": "\0" * 200})  # type: ignore[method-assign]
    check = copy.look(Check.Level.CHECKSUM)
    assert check.result == Check.Result.DAMAGED
    assert check.checksum_seen.startswith("\\x00")
    assert len(check.checksum_seen) <= 80
