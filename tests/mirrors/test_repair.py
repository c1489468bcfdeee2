"""A bad copy is found, leaves the lists, is put again from a good one, and both events stay in its history."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from catalog.models import CatalogueChange, Version
from mirrors.backends.local import LocalMirror
from mirrors.checks.incidents import mirror_answers
from mirrors.checks.repair import hashed, repair_copy
from mirrors.errors import RepairFailedError
from mirrors.models import Check, Incident, Mirror, Replica
from mirrors.verify import look, record
from releases.jobs import engine
from releases.models import Job, Step
from tests import factories
from tests.factories import CONTENT
from tests.mirrors.local_copies import Kept, keep, mend, owed

pytestmark = pytest.mark.django_db

OTHER = {"origin": "second", "second": "origin"}
HARM: dict[str, tuple[Callable[[Kept, str], Any], str]] = {
    "first byte": (lambda kept, slug: kept.flip(slug, 0), "damaged"),
    "last byte": (lambda kept, slug: kept.flip(slug, -1), "damaged"),
    "cut short": (lambda kept, slug: kept.path(slug).write_bytes(CONTENT[:-1]), "damaged"),
    "emptied": (lambda kept, slug: kept.path(slug).write_bytes(b""), "damaged"),
    "too long": (lambda kept, slug: kept.path(slug).write_bytes(CONTENT + b"x"), "damaged"),
    "removed": (lambda kept, slug: kept.path(slug).unlink(), "missing"),
}


@pytest.fixture
def kept(own_storage_dir: Path, tmp_path: Path, settings: Any) -> Kept:
    settings.DFC_BACKOFF_S = 0.001
    return keep(own_storage_dir, tmp_path)


def repair_job() -> Job:
    return Job.objects.get(pipeline="repair")


def words() -> str:
    return Step.objects.get(job__pipeline="repair").error


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("slug", OTHER)
def test_a_bad_copy_is_put_again_from_the_other_and_its_history_is_whole(kept: Kept, slug: str, harm: str) -> None:
    spoil, found = HARM[harm]
    spoil(kept, slug)
    check = kept.look(slug)
    assert kept.states() == {slug: found, OTHER[slug]: "verified"}
    mend()
    assert kept.path(slug).read_bytes() == CONTENT
    assert kept.states() == {slug: "verified", OTHER[slug]: "verified"}
    assert kept.history(slug) == [(4, found), (4, "passed")]
    incident = Incident.objects.get()
    assert (incident.kind, incident.found_by, incident.found_at) == (found, check, check.at)
    assert incident.source == Mirror.objects.get(slug=OTHER[slug])
    assert incident.ended_by == kept.copies[slug].checks.filter(result="passed", level=4).first()
    assert incident.ended_at is not None
    assert incident.ended_at > incident.found_at
    assert repair_job().state == Job.State.DONE


def test_finding_and_repair_each_change_the_catalogue_once(kept: Kept) -> None:
    kept.lose("second")
    kept.look("second")
    lost = CatalogueChange.objects.get()
    assert lost.what == "ca_roads v1.0.0: roads.geojson at second: damaged"
    assert lost.at == Check.objects.filter(result="damaged").earliest("pk").at
    assert Job.objects.filter(key=f"catalogue:{lost.pk}").exists()
    mend()
    kept.look("second")
    assert [one.what.rsplit(": ", 1)[1] for one in CatalogueChange.objects.order_by("pk")] == ["damaged", "verified"]


def test_what_changes_nothing_tells_the_catalogue_nothing(kept: Kept) -> None:
    for level in Check.Level:
        if level != Check.Level.CHECKSUM:
            kept.look("second", level)
    Version.objects.update(state=Version.State.DRAFT)
    kept.lose("second")
    mend()
    assert not CatalogueChange.objects.exists()
    Version.objects.update(state=Version.State.PUBLISHED)
    Replica.objects.update(state=Replica.State.DAMAGED)
    kept.path("second").unlink()
    kept.look("second")
    assert not CatalogueChange.objects.exists()


def test_a_copy_that_comes_late_to_a_public_version_changes_the_catalogue(kept: Kept) -> None:
    Replica.objects.filter(mirror__slug="second").update(state=Replica.State.STORED)
    kept.look("second")
    assert CatalogueChange.objects.get().what.endswith("at second: verified")


def test_a_finding_is_written_with_all_that_follows_or_not_at_all(kept: Kept) -> None:
    kept.flip("second")
    with transaction.atomic():
        kept.look("second")
        assert Job.objects.filter(pipeline="repair").exists()
        transaction.set_rollback(True)
    assert kept.history("second") == []
    assert kept.states()["second"] == "verified"
    assert not Incident.objects.exists()
    assert not CatalogueChange.objects.exists()
    assert not Job.objects.exists()


def test_many_findings_of_one_damage_are_one_incident_and_one_repair(kept: Kept) -> None:
    kept.lose("second")
    for level in (Check.Level.SIZE, Check.Level.SAMPLED, Check.Level.FULL):
        kept.look("second", level)
    incident = Incident.objects.get()
    assert repair_job().key == f"repair:{kept.copies['second'].pk}:{incident.found_by_id}"
    again = engine.start(incident.repair_key, "repair", incident.pk)
    assert again == repair_job()
    assert mend() == 1


@pytest.mark.django_db(transaction=True)
def test_checkers_that_find_it_at_the_same_moment_make_one_incident(kept: Kept) -> None:
    kept.flip("second")
    together = threading.Barrier(4)

    def find(_number: int) -> None:
        together.wait(timeout=10)
        kept.look("second")
        connection.close()

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(find, range(4)))
    assert kept.history("second") == [(4, "damaged")] * 4
    assert (Incident.objects.count(), Job.objects.filter(pipeline="repair").count()) == (1, 1)
    assert CatalogueChange.objects.count() == 1


def test_a_repair_that_is_delivered_again_does_nothing(kept: Kept) -> None:
    kept.lose("second")
    mend()
    facts = kept.path("second").stat()
    repair_copy(factories.step("mirrors.checks.repair.repair_copy"), Incident.objects.get().pk)
    assert kept.path("second").stat() == facts
    assert kept.history("second") == [(4, "damaged"), (4, "passed")]


def test_a_second_damage_is_a_second_incident_with_a_repair_of_its_own(kept: Kept) -> None:
    for _ in range(2):
        kept.lose("second")
        mend()
    assert Incident.objects.filter(ended_at__isnull=False).count() == 2
    assert Job.objects.filter(pipeline="repair", state=Job.State.DONE).count() == 2
    assert [result for _, result in kept.history("second")] == ["damaged", "passed"] * 2


def kill_before(kept: Kept, what_was_done: Callable[[], object]) -> None:
    """Leave the repair as a worker does that was killed: claimed, its lease over, and part of its work done."""
    kept.lose("second")
    what_was_done()
    Step.objects.filter(pk__in=owed()).update(
        state=Step.State.RUNNING, lease_until_at=timezone.now() - timedelta(seconds=1), fence=1, attempts=1
    )


def test_a_kill_between_removing_and_putting_goes_on(kept: Kept) -> None:
    kill_before(kept, lambda: LocalMirror(kept.directory("second"), "").retire(kept.copies["second"].locator))
    mend()
    assert kept.path("second").read_bytes() == CONTENT
    assert kept.states() == {"origin": "verified", "second": "verified"}
    assert kept.history("second") == [(4, "damaged"), (4, "passed")]


def partial_of(kept: Kept, content: bytes) -> None:
    """Leave what a put that was killed leaves: the beginning of the file beside its place."""
    kept.path("second").unlink()
    partial = kept.path("second").parent / ".partial" / f"roads.geojson.{kept.asset.sha256[:16]}"
    partial.parent.mkdir()
    partial.write_bytes(content)


def test_a_kill_in_the_middle_of_putting_goes_on_at_that_byte(kept: Kept) -> None:
    kill_before(kept, lambda: partial_of(kept, CONTENT[:1000]))
    mend()
    assert kept.path("second").read_bytes() == CONTENT
    assert Step.objects.get(job__pipeline="repair").attempts == 2


def test_a_beginning_that_rotted_meanwhile_is_found_and_put_anew(kept: Kept) -> None:
    kill_before(kept, lambda: partial_of(kept, b"x" * 1000))
    for _ in range(50):
        mend()
    assert kept.path("second").read_bytes() == CONTENT
    assert [result for _, result in kept.history("second")] == ["damaged", "damaged", "passed"]
    assert Incident.objects.filter(ended_at__isnull=False).count() == 1


def test_a_kill_after_putting_looks_again_and_does_not_put_twice(kept: Kept) -> None:
    kill_before(kept, lambda: kept.path("second").write_bytes(CONTENT))
    inode = kept.path("second").stat().st_ino
    mend()
    assert kept.path("second").stat().st_ino == inode
    assert kept.states()["second"] == "verified"


@pytest.mark.parametrize("slug", OTHER)
def test_the_only_copy_is_never_removed_however_damaged(kept: Kept, slug: str) -> None:
    kept.copies[OTHER[slug]].checks.all().delete()
    kept.copies.pop(OTHER[slug]).delete()
    kept.lose(slug)
    rotten = kept.path(slug).read_bytes()
    mend()
    assert kept.path(slug).read_bytes() == rotten
    assert (repair_job().state, kept.states()) == (Job.State.FAILED, {slug: "damaged"})
    assert "no other copy has the published digest, so nothing was removed" in words()
    assert kept.asset.sha256 in words()


def test_two_damaged_copies_are_both_left_until_a_good_one_comes(kept: Kept) -> None:
    kept.lose("origin")
    kept.lose("second")
    rotten = [kept.path(slug).read_bytes() for slug in OTHER]
    mend()
    assert [kept.path(slug).read_bytes() for slug in OTHER] == rotten
    assert set(Job.objects.filter(pipeline="repair").values_list("state", flat=True)) == {Job.State.FAILED}
    kept.add("third")
    for mirror in Mirror.objects.filter(slug__in=OTHER):
        mirror_answers(silenced(mirror), "A probe passed.", now=timezone.now())
    mend()
    assert kept.states() == dict.fromkeys(("origin", "second", "third"), "verified")


def silenced(mirror: Mirror) -> Mirror:
    Mirror.objects.filter(pk=mirror.pk).update(state=Mirror.State.SILENT)
    return mirror


def test_a_source_whose_damage_nobody_had_found_is_found_and_not_used(kept: Kept) -> None:
    kept.flip("origin")
    kept.lose("second")
    mend()
    assert kept.states() == {"origin": "damaged", "second": "damaged"}
    assert all(kept.path(slug).read_bytes() != CONTENT for slug in OTHER)
    assert all(kept.path(slug).is_file() for slug in OTHER)
    assert set(Incident.objects.values_list("mirror__slug", "ended_at")) == {("origin", None), ("second", None)}


def test_a_third_copy_mends_both_when_our_own_is_bad_too(kept: Kept) -> None:
    kept.add("third")
    kept.flip("origin")
    kept.lose("second")
    mend()
    assert kept.states() == dict.fromkeys(("origin", "second", "third"), "verified")
    assert all(kept.path(slug).read_bytes() == CONTENT for slug in kept.copies)


def test_a_copy_that_is_good_at_the_second_look_is_not_touched(kept: Kept) -> None:
    kept.lose("second")
    kept.flip("second")
    before = kept.path("second").stat()
    mend()
    after = kept.path("second").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert Incident.objects.get().source is None
    assert kept.history("second") == [(4, "damaged"), (4, "passed")]


def test_a_source_that_does_not_answer_is_passed_over_and_marked(kept: Kept) -> None:
    kept.lose("second")
    kept.add("third")
    kept.directory("origin").rename(kept.folder / "away")
    mend()
    assert kept.states()["second"] == "verified"
    assert kept.states()["origin"] == "verified"
    assert Mirror.objects.get(slug="origin").state == Mirror.State.SILENT
    assert Incident.objects.get(mirror__slug="second").source == kept.copies["third"].mirror


def test_a_repair_at_a_mirror_that_does_not_answer_waits_for_it(kept: Kept, settings: Any) -> None:
    settings.DFC_ATTEMPTS = 1
    kept.lose("second")
    kept.directory("second").rename(kept.folder / "away")
    mend()
    assert repair_job().state == Job.State.FAILED
    assert "Is its disk mounted?" in words()
    (kept.folder / "away").rename(kept.directory("second"))
    mirror_answers(silenced(Mirror.objects.get(slug="second")), "A probe passed.", now=timezone.now())
    mend()
    assert kept.states()["second"] == "verified"


def test_a_withdrawn_version_is_not_repaired(kept: Kept) -> None:
    Version.objects.update(state=Version.State.WITHDRAWN)
    kept.lose("second")
    assert kept.states()["second"] == "damaged"
    assert not Incident.objects.exists()
    assert not Job.objects.filter(pipeline="repair").exists()


def test_a_slow_re_read_that_passed_does_not_outweigh_a_later_finding(kept: Kept) -> None:
    began = timezone.now()
    backend = LocalMirror(kept.directory("second"), "")
    passed = look(kept.fresh("second"), backend, Check.Level.FULL, lambda _done: None)
    kept.lose("second")
    record(kept.fresh("second"), passed, level=Check.Level.FULL, now=began)
    assert kept.states()["second"] == "damaged"
    assert Incident.objects.get().ended_at is None


def test_our_own_storage_is_sampled_against_published_hashes_and_not_itself(kept: Kept) -> None:
    assert kept.look("origin", Check.Level.SAMPLED).method.endswith("pieces")
    kept.path("origin").write_bytes(bytes(len(CONTENT)))
    check = kept.look("origin", Check.Level.SAMPLED)
    assert (check.result, check.method[:6]) == (Check.Result.DAMAGED, "piece ")


def test_a_source_that_changes_while_it_is_copied_is_refused_at_its_end(kept: Kept) -> None:
    wrong = CONTENT[:-1] + b"x"
    source = hashed(lambda start: iter([wrong[start:50_000], wrong[50_000:]]), kept.fresh("second"))
    came: list[bytes] = []
    with pytest.raises(RepairFailedError, match="its source changed while it was copied"):
        came.extend(source(0))
    assert b"".join(came) == wrong


@pytest.mark.parametrize("start", [0, 1, 49_999, 50_000, 50_001, len(CONTENT) - 1, len(CONTENT)])
def test_a_source_goes_on_at_any_byte(kept: Kept, start: int) -> None:
    source = hashed(lambda start: iter([CONTENT[start:50_000], CONTENT[50_000:]]), kept.fresh("second"))
    assert b"".join(source(start)) == CONTENT[start:]
