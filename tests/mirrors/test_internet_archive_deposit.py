"""A deposit at the Internet Archive from its first step to the last, with a slow queue and kills between."""

import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import Asset, Version
from mirrors.checks.recheck import look_again, start_recheck
from mirrors.connect import connect, traits_of
from mirrors.errors import MirrorRefusedError, MirrorSettlingError
from mirrors.models import Check, Deposit, Incident, Mirror, MirrorDay, Replica
from mirrors.registry.doctor import examine
from mirrors.replicate import owe_replicas, start_deposit
from releases.jobs import engine, steering
from releases.models import Job, Step
from tests import factories
from tests.fakes.faults import ALWAYS
from tests.fakes.internet_archive import ACCESS, GLOBAL, SECRET, InternetArchive, Item
from tests.mirrors.archives import archive

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_storage_dir")]
ROUTES = bytes(range(256)) * 300


@pytest.fixture
def server(settings: Any) -> InternetArchive:
    settings.DFC_BACKOFF_S = 0.0
    settings.DFC_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    settings.DFC_MIRROR_SECRETS = {
        "DFC_MIRROR_ARCHIVE_ACCESS_KEY_ID": ACCESS,
        "DFC_MIRROR_ARCHIVE_SECRET_ACCESS_KEY": SECRET,
    }
    return archive()


@dataclass
class Brought:
    """A version of two files on its way to the Archive."""

    server: InternetArchive
    assets: list[Asset]
    deposit: Deposit

    def run(self, most: int = 12) -> None:
        """Run what is due, and again what becomes due by that, `most` times in all."""
        for _ in range(most):
            for step_id in engine.due_steps():
                engine.run_step(step_id, has_heartbeat=False)

    @property
    def identifier(self) -> str:
        self.deposit.refresh_from_db()
        return self.deposit.record_id

    def copies(self) -> list[str]:
        return list(Replica.objects.filter(mirror=self.deposit.mirror).order_by("pk").values_list("state", flat=True))

    def waiting(self) -> list[Step]:
        return list(Step.objects.filter(state=Step.State.DUE))


@pytest.fixture
def brought(server: InternetArchive) -> Brought:
    mirror = factories.mirror(
        "archive",
        kind=Mirror.Kind.INTERNET_ARCHIVE,
        endpoint=server.url,
        public_url=f"{server.url}/download",
        settle_s=0,
    )
    item = factories.item()
    assets = [
        factories.asset(item, is_stored=True),
        factories.asset(item, "sources/routes.bin", ROUTES, key="data-2", is_stored=True),
    ]
    deposit = Deposit.objects.create(version=item.version, mirror=mirror, created_at=timezone.now())
    owe_replicas(deposit)
    start_deposit(deposit)
    return Brought(server, assets, deposit)


def test_a_version_is_brought_to_the_archive(brought: Brought) -> None:
    brought.run(10)
    assert brought.copies() == [Replica.State.VERIFIED] * 2
    brought.deposit.refresh_from_db()
    assert brought.deposit.state == Deposit.State.PUBLIC
    assert brought.deposit.landing_url == f"https://archive.org/details/{brought.identifier}"
    files = brought.server.items[brought.identifier].files
    assert {name: file.content for name, file in files.items()}["sources/routes.bin"] == ROUTES
    copy = Replica.objects.get(asset=brought.assets[1])
    assert copy.url == f"{brought.server.url}/download/{brought.identifier}/sources/routes.bin"


def test_no_item_is_made_while_its_publication_is_stopped(brought: Brought) -> None:
    version = brought.deposit.version
    Version.objects.update(state=Version.State.DRAFT)
    publication = Job.objects.create(
        key="publish:roads",
        pipeline="publish",
        subject=factories.release(version).pk,
        state=Job.State.CANCELLED,
        created_at=timezone.now(),
    )
    brought.run(5)
    assert brought.server.items == {}
    assert any("its publication was stopped" in step.error for step in brought.waiting())
    Job.objects.filter(pk=publication.pk).update(state=Job.State.OPEN, ended_at=None)
    brought.run(10)
    assert brought.copies() == [Replica.State.VERIFIED] * 2


def history(brought: Brought) -> list[list[tuple[int, str]]]:
    """Give level and method of each check, for each of the files, the oldest check first."""
    copies = [Replica.objects.get(asset=asset, mirror=brought.deposit.mirror) for asset in brought.assets]
    return [list(one.checks.order_by("at", "pk").values_list("level", "method")) for one in copies]


def test_what_became_public_is_read_once_through_its_public_address_without_anybody_asking(brought: Brought) -> None:
    brought.run(10)
    proofs = [(2, "sha1 of the mirror"), (4, "sha256, full re-read through the public address")]
    assert history(brought) == [proofs, proofs]
    assert Job.objects.get(pipeline="reread").key == "reread:deposit:ca_roads:1.0.0:archive"
    engine.start("reread:again", "reread", brought.deposit.version_id)
    brought.run(5)
    assert history(brought) == [proofs, proofs]
    assert MirrorDay.objects.get().read_bytes == sum(one.size_bytes for one in brought.assets)


def test_what_people_do_not_see_yet_just_after_it_became_public_is_waited_for(brought: Brought) -> None:
    brought.server.faults.plan("GET /download/*", "error-before:404", ALWAYS)
    Mirror.objects.update(settle_s=60)
    brought.run(10)
    assert {step.function for step in brought.waiting()} == {"mirrors.checks.recheck.recheck_copy"}
    assert [step.attempts for step in brought.waiting()] == [0, 0]
    Deposit.objects.update(described_at=timezone.now() - timedelta(seconds=61))
    Step.objects.filter(state=Step.State.DUE).update(due_at=timezone.now())
    brought.run(5)
    assert brought.copies() == [Replica.State.MISSING] * 2
    failed = Step.objects.filter(state=Step.State.FAILED)
    assert [step.function for step in failed] == ["mirrors.checks.repair.repair_copy"] * 2


def test_what_was_put_again_is_read_publicly_again(brought: Brought, own_storage_dir: Path) -> None:
    factories.proved(brought.assets[1], factories.mirror("origin", endpoint=str(own_storage_dir)))
    brought.run(10)
    brought.server.flip(brought.identifier, "sources/routes.bin", 77)
    start_recheck(Replica.objects.get(asset=brought.assets[1], mirror=brought.deposit.mirror), now=timezone.now())
    for _ in range(3):
        brought.run(10)
        brought.server.drain()
    checks = [(check.level, check.result) for check in Check.objects.filter(replica__asset=brought.assets[1])]
    assert checks.count((4, "damaged")) == 1
    assert history(brought)[1][-1] == (4, "sha256, full re-read through the public address")
    assert brought.copies() == [Replica.State.VERIFIED] * 2


def test_however_long_the_queue_takes_nothing_is_missing_and_no_attempt_is_used_up(brought: Brought) -> None:
    brought.server.is_held = True
    brought.run()
    assert brought.copies() == [Replica.State.STORED] * 2
    assert [step.attempts for step in brought.waiting()] == [0, 0]
    assert all("has accepted more than it shows yet" in step.error for step in brought.waiting())
    assert (Check.objects.count(), Incident.objects.count()) == (0, 0)
    brought.server.drain()
    brought.run(10)
    assert brought.copies() == [Replica.State.VERIFIED] * 2
    assert Job.objects.get(pipeline="deposit").state == Job.State.DONE
    assert brought.server.count("PUT *") == 2


def test_what_the_archive_lost_is_called_missing_when_it_had_its_time(brought: Brought, settings: Any) -> None:
    Mirror.objects.update(settle_s=3600)
    brought.server.is_held = True
    brought.run(5)
    brought.server.tasks.clear()
    brought.server.items.clear()
    Step.objects.filter(state=Step.State.DUE).update(due_at=timezone.now())
    brought.run(3)
    assert brought.copies() == [Replica.State.STORED] * 2
    settings.DFC_PATIENCE_S = 0
    Mirror.objects.update(settle_s=0)
    Step.objects.filter(state=Step.State.DUE).update(due_at=timezone.now())
    brought.run(1)
    assert Replica.State.MISSING in brought.copies()


@pytest.mark.parametrize("after", ["prepare", "put", "answer"])
def test_a_worker_that_is_killed_in_between_leaves_one_item_and_no_file_twice(
    brought: Brought, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill is a BaseException that nothing of ours catches, at three places of the first file's step."""
    backend = type(connect(brought.deposit.mirror))
    kills = iter([True])

    def killed(usual: Any) -> Any:
        def act(*words: Any, **named: Any) -> Any:
            said = usual(*words, **named)
            if next(kills, False):
                raise SystemExit(9)
            return said

        return act

    owner, name = {
        "prepare": (backend, "prepare"),
        "put": (backend, "put"),
        "answer": (type(connect(brought.deposit.mirror).client), "put"),  # type: ignore[attr-defined]
    }[after]
    monkeypatch.setattr(owner, name, killed(getattr(owner, name)))
    for _ in range(10):
        for step_id in engine.due_steps():
            try:
                engine.run_step(step_id, has_heartbeat=False)
            except SystemExit:
                Step.objects.filter(pk=step_id).update(lease_until_at=timezone.now())
    assert brought.copies() == [Replica.State.VERIFIED] * 2
    assert list(brought.server.made) == [brought.identifier]
    assert brought.server.count("PUT *") == 2


@pytest.mark.parametrize("seed", range(3))
def test_whatever_goes_wrong_on_the_way_there_is_one_item_and_every_byte_is_right(
    brought: Brought, settings: Any, seed: int
) -> None:
    settings.DFC_PATIENCE_S = 0.0
    brought.server.faults.probability, brought.server.faults.seed, brought.server.queue_s = 0.3, seed, 0.02
    for _ in range(200):
        brought.run(1)
        for step in Step.objects.filter(state=Step.State.FAILED):
            steering.retry(step, by=None)
        if not Job.objects.filter(state=Job.State.OPEN, pipeline="deposit").exists():
            break
    brought.server.faults.clear()
    brought.server.drain()
    assert brought.copies() == [Replica.State.VERIFIED] * 2
    assert list(brought.server.made) == [brought.identifier]
    files = brought.server.items[brought.identifier].files
    assert {name: file.content for name, file in files.items()} == {
        "roads.geojson": factories.CONTENT,
        "sources/routes.bin": ROUTES,
    }
    assert not Check.objects.exclude(result=Check.Result.PASSED).exists()


def test_a_damaged_file_is_found_through_its_public_address_and_put_again_beside_its_history(
    brought: Brought, own_storage_dir: Path
) -> None:
    factories.proved(brought.assets[1], factories.mirror("origin", endpoint=str(own_storage_dir)))
    brought.run(10)
    brought.server.flip(brought.identifier, "sources/routes.bin", 77)
    brought.server.is_held = True
    copy = Replica.objects.get(asset=brought.assets[1], mirror=brought.deposit.mirror)
    assert look_again(copy, Check.Level.FULL, now=timezone.now()).result == Check.Result.DAMAGED
    brought.run(10)
    assert brought.copies() == [Replica.State.VERIFIED, Replica.State.DAMAGED]
    for _ in range(3):
        brought.server.drain()
        brought.server.is_held = True
        brought.run(10)
    assert brought.copies() == [Replica.State.VERIFIED] * 2
    assert Incident.objects.filter(replica=copy, ended_at__isnull=False).count() == 1
    files = brought.server.items[brought.identifier].files
    assert [name.startswith("history/") for name in files] == [False, True, False]


def test_a_queue_that_is_not_drained_does_not_make_the_mirror_silent(brought: Brought) -> None:
    brought.run(10)
    copy = Replica.objects.select_related("asset", "mirror").get(asset=brought.assets[1])
    del brought.server.items[brought.identifier].files["sources/routes.bin"]
    brought.server.is_held = True
    brought.server.queue(brought.identifier, "modify_xml.php", lambda: None)
    start_recheck(copy, now=timezone.now())
    with pytest.raises(MirrorSettlingError):
        look_again(copy, Check.Level.FULL, now=timezone.now())
    brought.run(10)
    assert Mirror.objects.get().state == Mirror.State.ANSWERS
    assert brought.copies() == [Replica.State.VERIFIED] * 2
    (step,) = brought.waiting()
    assert (step.function, step.attempts) == ("mirrors.checks.recheck.recheck_copy", 0)


def test_an_installation_without_the_package_says_so(brought: Brought, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.startswith("mirrors.backends.internet_archive")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "internetarchive", None)
    with pytest.raises(MirrorRefusedError, match="the Python package internetarchive is not installed here"):
        connect(brought.deposit.mirror)
    assert traits_of(brought.deposit.mirror).settles_late


def test_without_keys_or_at_a_private_address_it_is_not_opened(brought: Brought, settings: Any) -> None:
    settings.DFC_PRIVATE_NETWORKS = []
    with pytest.raises(MirrorRefusedError, match=r"127\.0\.0\.1 is no public address"):
        connect(brought.deposit.mirror)
    settings.DFC_MIRROR_SECRETS = {}
    with pytest.raises(MirrorRefusedError, match="DFC_MIRROR_ARCHIVE_ACCESS_KEY_ID: it is not set"):
        connect(brought.deposit.mirror)


def test_the_doctor_tells_what_is_wrong_and_makes_nothing(brought: Brought, settings: Any) -> None:
    mirror, server = brought.deposit.mirror, brought.server
    assert [one.result for one in examine(mirror)] == ["good", "good", "good"]
    settings.DFC_MIRROR_SECRETS |= {"DFC_MIRROR_ARCHIVE_SECRET_ACCESS_KEY": "wrong"}
    assert "DFC_MIRROR_ARCHIVE_SECRET_ACCESS_KEY" in examine(mirror)[0].finding
    settings.DFC_MIRROR_SECRETS |= {"DFC_MIRROR_ARCHIVE_SECRET_ACCESS_KEY": SECRET}
    server.slow_down, mirror.collection = GLOBAL, "museum"
    assert [one.result for one in examine(mirror)] == ["good", "bad", "bad"]
    server.items["museum"] = Item({"mediatype": "collection"})
    assert examine(mirror)[2].result == "good"
    assert server.made == {}


def test_the_web_process_does_not_load_the_package() -> None:
    text = (Path(__file__).parents[2] / "mirrors" / "connect.py").read_text(encoding="utf-8")
    assert "\nfrom mirrors.backends.internet_archive" not in text
