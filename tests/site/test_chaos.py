"""Workers are killed during real publications: all become public, once, whole, and nothing is seen before."""

import hashlib
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from catalog.models import Asset, CatalogueChange, Version
from catalog.storage.connect import own_storage
from dfc_site import demo
from mirrors.connect import connect
from mirrors.models import Mirror, Replica
from releases.approve import approve_release
from releases.build import request_build
from releases.errors import NotSubmittableError
from releases.models import Job, Release, Step
from releases.review import is_stale, newest_diff
from releases.reviews.review_diff import COMPARABLE, request_diff
from releases.submit import submit_release
from swarm.models import Torrent
from tests.chaos.workers import Workers, wait_until
from tests.releases.recipes import GOOD, IDENTIFIER, drafted, recipe, release_toml

pytestmark = [pytest.mark.chaos, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]
SEED = 20261124
LOOK_S = 0.3
MOVES = ["building", "built", "in_review", "approved", "publishing", "published"]


class Publications:
    """Two people who draft, submit and approve one version after the other, whatever happens to the workers."""

    body = GOOD

    def __init__(self, folder: Path) -> None:
        self.folder, self.client, self.drafted, self.looked_at = folder, Client(), 0, 0.0
        self.author, self.reviewer = demo.person("author"), demo.person("reviewer")
        self.commit = recipe(self.body)

    def go_on(self) -> None:
        """Keep two releases under way, push each forward, and look at what the public sees; now and then."""
        if not self.is_time():
            return
        while Release.objects.exclude(state=Release.State.PUBLISHED).count() < 2:
            self.drafted += 1
            self.draft(f"1.{self.drafted}.0")
        self.push()

    def is_time(self) -> bool:
        """Leave the processors to the workers in between."""
        if time.monotonic() - self.looked_at < LOOK_S:
            return False
        self.looked_at = time.monotonic()
        return True

    def draft(self, number: str) -> None:
        drafted(release_toml(self.commit, number=number), self.author, self.folder)

    def push(self) -> None:
        for release in Release.objects.exclude(state=Release.State.PUBLISHED):
            push(release, author=self.author, reviewer=self.reviewer)
        self.look()

    def all_public(self) -> bool:
        if not self.is_time():
            return False
        self.push()
        return not Release.objects.exclude(state=Release.State.PUBLISHED).exists()

    def look(self) -> None:
        """Hold that a version is public whole or not at all."""
        hidden = list(Version.objects.filter(state=Version.State.DRAFT))
        public = list(Version.objects.public())
        for version in hidden:
            door = f"/d/{IDENTIFIER}/{version.shown}/words.csv"
            status = self.client.get(door).status_code
            assert status == 404 or not Version.objects.filter(pk=version.pk, state=Version.State.DRAFT).exists()
        for version in public:
            is_whole(version)


def push(release: Release, *, author: Any, reviewer: Any) -> None:
    """Do what a person would do next; nothing where a worker is at it.

    The other release may become public at any moment, which makes a comparison outdated: then it is made again.
    """
    words: dict[str, Any] = {"channel": "command", "now": timezone.now()}
    with suppress(NotSubmittableError):
        push_forward(release, author, reviewer, words)
    diff = newest_diff(release)
    if release.state in COMPARABLE and diff is not None and is_stale(diff, release):
        request_diff(release, by=author, **words)


def push_forward(release: Release, author: Any, reviewer: Any, words: dict[str, Any]) -> None:
    if release.state == Release.State.DRAFT:
        request_build(release, by=author, **words)
    elif release.state == Release.State.BUILT:
        submit_release(release, by=author, **words)
    elif release.state == Release.State.IN_REVIEW:
        approve_release(release, by=reviewer, seen_digest=release.reviewed_digest, **words)


def is_whole(version: Version) -> None:
    assets = Asset.objects.filter(item__version=version)
    copies = Replica.objects.filter(asset__in=assets, state=Replica.State.VERIFIED)
    assert assets.count() == 3
    assert copies.count() == assets.count() * 2
    assert Torrent.objects.filter(asset__in=assets).count() == assets.count()
    assert version.doi


@pytest.fixture
def publications(transactional_db: None, own_folders: Path) -> Publications:
    demo.prepare()
    return Publications(own_folders)


@pytest.fixture
def workers(publications: Publications, own_folders: Path) -> Iterator[Workers]:
    started = Workers(own_folders / "workers.log", DFC_DATA_DIR=str(own_folders))
    yield started
    started.end()


def survive(workers: Workers, publications: Publications, *, kills: int) -> None:
    workers.start()
    workers.kill(kills, random.Random(SEED), meanwhile=publications.go_on)
    wait_until(publications.all_public, f"releases are not public\n{workers.words()}")
    wait_until(no_job_is_open, f"jobs are still open\n{workers.words()}")
    assert workers.stop() == 0, workers.words()
    workers.wait_for_silence()
    assert Release.objects.count() == publications.drafted >= 2
    nothing_happened_twice(publications.drafted)
    for version in Version.objects.public():
        is_whole(version)
    every_byte_is_where_it_should_be()


def no_job_is_open() -> bool:
    return not Job.objects.filter(
        state=Job.State.OPEN, pipeline__in=["build", "diff", "publish", "deposit", "catalogue"]
    ).exists()


def nothing_happened_twice(releases: int) -> None:
    assert not Step.objects.filter(state=Step.State.FAILED).exists()
    for release in Release.objects.all():
        moves = [one.to for one in release.transitions.order_by("pk")]
        assert list(dict.fromkeys(moves)) == MOVES
        assert all(count == 1 for to, count in Counter(moves).items() if to not in {"built", "in_review"})
        assert sorted(release.builds.values_list("purpose", "verdict")) == [
            ("confirm", "identical"),
            ("review", "first"),
            ("review", "identical"),
        ]
    published = CatalogueChange.objects.filter(what__endswith=": published")
    assert Counter(published.values_list("what", flat=True)).most_common(1)[0][1] == 1
    assert published.count() == releases
    assert not CatalogueChange.objects.filter(edition__isnull=True).exists()


def every_byte_is_where_it_should_be() -> None:
    for asset in Asset.objects.all():
        for mirror in Mirror.objects.all():
            found = b"".join(connect(mirror).read(asset.storage_key))
            assert hashlib.sha256(found).hexdigest() == asset.sha256
        assert own_storage().size(asset.storage_key) == asset.size_bytes


def test_twenty_kills_during_publications_lose_nothing_and_show_nothing_half(
    workers: Workers, publications: Publications
) -> None:
    survive(workers, publications, kills=20)


@pytest.mark.long
@pytest.mark.timeout(14_400)
def test_five_hundred_kills_during_publications(workers: Workers, publications: Publications) -> None:
    survive(workers, publications, kills=500)
