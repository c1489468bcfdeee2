"""Versions go to an S3 server, Zenodo, the Internet Archive and DataCite while these fail and workers are killed.

Whatever fails before or after it was done, and whoever is killed on the way: one record, one item and one DOI a
version, every byte right, nothing half-made left behind.
"""

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.models import Asset, Version
from catalog.storage.client import client_of
from dfc_site import demo
from mirrors.connect import connect
from mirrors.models import Deposit, Doi, Mirror, Replica
from releases.models import Job, Release, Step
from tests.chaos.workers import Workers, wait_until
from tests.mirrors.s3_mirrors import service_at
from tests.releases.recipes import GOOD, IDENTIFIER, drafted, release_toml
from tests.servers.s3 import S3Server
from tests.site.services import Services, adopt, services
from tests.site.test_chaos import SEED, Publications

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.s3,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(1_500),
]
FILES = 5  # three that are made, their source, and the source bundle
FAULTS = 0.3
EXAMINED = "/dfc-doctor-"
OTHERS = ("data-2", "data-3")
OTHER_OUTPUT = """
[[outputs]]
path = "{name}.csv"
key = "{name}"
role = "data"
media_type = "text/csv"
"""


class FarPublications(Publications):
    """The same people, for a dataset whose DOIs come from DataCite; at least `least` versions become public."""

    least = 6
    body = GOOD + "".join(f"(given.out / '{name}.csv').write_text('{name}' + words)\n" for name in OTHERS)

    def all_public(self) -> bool:
        if self.drafted < self.least:
            super().go_on()
            return False
        return super().all_public()

    def draft(self, number: str) -> None:
        text = release_toml(self.commit, number=number).replace('doi_provider = "test"', 'doi_provider = "datacite"')
        drafted(text + "".join(OTHER_OUTPUT.format(name=name) for name in OTHERS), self.author, self.folder)

    def look(self) -> None:
        """Hold that nothing is public before all that can be taken back is verified, and the rest has its place."""
        for version in Version.objects.public():
            is_everywhere(version)


def is_everywhere(version: Version) -> None:
    assets = Asset.objects.filter(item__version=version)
    assert assets.count() == FILES
    copies = Replica.objects.filter(asset__in=assets, state=Replica.State.VERIFIED)
    assert copies.count() == FILES * Mirror.objects.count()
    assert Deposit.objects.filter(version=version, state=Deposit.State.PUBLIC).count() == Mirror.objects.count()


@pytest.fixture
def found(s3: S3Server, settings: Any) -> Iterator[Services]:
    with services(s3) as running:
        adopt(settings, running)
        yield running


@pytest.fixture
def publications(transactional_db: None, own_folders: Path, found: Services) -> FarPublications:
    demo.prepare()
    found.register()
    return FarPublications(own_folders)


@pytest.fixture
def workers(publications: FarPublications, own_folders: Path, found: Services) -> Iterator[Workers]:
    started = Workers(own_folders / "workers.log", DFC_DATA_DIR=str(own_folders), **found.environment)
    yield started
    started.end()


def survive(found: Services, workers: Workers, publications: FarPublications, *, kills: int, lag_s: float) -> None:
    found.zenodo.lag_s = found.datacite.lag_s = lag_s
    found.archive.queue_s = 0.5
    found.go_wrong(FAULTS, SEED)
    workers.start()
    workers.kill(kills, random.Random(SEED), meanwhile=publications.go_on)
    go_to_the_end(publications, workers)
    wait_until(nothing_is_owed, f"jobs are still open\n{still_open()}\n{workers.words()}")
    assert workers.stop() == 0, workers.words()
    workers.wait_for_silence()
    found.settle()
    once_and_whole(found, publications.drafted)


def go_to_the_end(publications: FarPublications, workers: Workers) -> None:
    """Wait until all is public, for each version as long as for one."""
    is_over = False
    while not is_over:
        before = Version.objects.public().count()

        def moved(before: int = before) -> bool:
            nonlocal is_over
            is_over = publications.all_public()
            return is_over or Version.objects.public().count() > before

        wait_until(moved, f"no version became public\n{still_open()}\n{workers.words()}")


def nothing_is_owed() -> bool:
    return not Job.objects.filter(state=Job.State.OPEN).exclude(pipeline__in=["probe", "survey", "recheck"]).exists()


def still_open() -> list[str]:
    return [f"{one}: {one.state} {one.error}" for one in Step.objects.exclude(error="")[:20]]


def once_and_whole(found: Services, versions: int) -> None:
    assert Release.objects.filter(state=Release.State.PUBLISHED).count() == versions >= FarPublications.least
    assert not Step.objects.filter(state=Step.State.FAILED).exists()
    wanted = set(Asset.objects.values_list("sha256", flat=True))
    published_once(found, versions)
    assert found.digests_at_zenodo() == wanted
    assert found.digests_at_archive() >= wanted
    assert len(found.archive.items) == versions
    assert set(found.archive.items) == set(record_ids("archive"))
    findable_once(found, versions)
    whole_at_bucket(found)
    for asset in Asset.objects.all():
        for copy in Replica.objects.filter(asset=asset).select_related("mirror"):
            content = b"".join(connect(copy.mirror).read(copy.locator))
            assert hashlib.sha256(content).hexdigest() == asset.sha256, copy


def record_ids(slug: str) -> list[str]:
    return list(Deposit.objects.filter(mirror__slug=slug).values_list("record_id", flat=True))


def published_once(found: Services, versions: int) -> None:
    """Hold that Zenodo has one published record a version and no draft of ours beside it."""
    urns = found.urns()
    assert {
        f"urn:uuid:{one}" for one in Deposit.objects.filter(mirror__slug="zenodo").values_list("urn", flat=True)
    } == set(urns)
    assert [states for states in urns.values() if states != ["done"]] == []
    assert len(urns) == versions
    assert {str(one["id"]) for one in found.zenodo.control({})["deposits"]} == set(record_ids("zenodo"))


def findable_once(found: Services, versions: int) -> None:
    """Hold that DataCite has one findable DOI a version and one for all of them, each leading to its page."""
    told = found.datacite.control({})["dois"]
    assert {one["state"] for one in told.values()} == {"findable"}
    assert set(told) == set(Doi.objects.values_list("name", flat=True))
    assert len(told) == versions + 1
    names = set(Version.objects.filter(dataset__identifier=IDENTIFIER).values_list("doi", flat=True))
    assert names < set(told)
    assert all(found.datacite.handles[name].endswith(told[name]["url"]) for name in told)


def whole_at_bucket(found: Services) -> None:
    """Hold that the bucket has each file once under our prefix, and no upload under way.

    What an examination made, and could not remove while nothing answered it, lies in a folder of its own.
    """
    client = client_of(service_at(found.bucket.endpoint), os.getpid())
    listed = client.list_objects_v2(Bucket="mirrors", Prefix=found.prefix).get("Contents", [])
    wanted = {f"{found.prefix}{one}" for one in Asset.objects.values_list("storage_key", flat=True)}
    assert {one["Key"] for one in listed if EXAMINED not in one["Key"]} == wanted
    uploads = client.list_multipart_uploads(Bucket="mirrors", Prefix=found.prefix).get("Uploads", [])
    assert [one["Key"] for one in uploads if EXAMINED not in one["Key"]] == []


def test_six_versions_reach_every_service_once_though_much_is_seen_later_than_settled(
    found: Services, workers: Workers, publications: FarPublications
) -> None:
    survive(found, workers, publications, kills=20, lag_s=4.0)


@pytest.mark.long
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("lag_s", [0.0, 4.0], ids=["seen at once", "seen later than settled"])
def test_forty_versions_reach_every_service_once_through_faults_and_kills(
    found: Services, workers: Workers, publications: FarPublications, lag_s: float
) -> None:
    publications.least = 40
    survive(found, workers, publications, kills=20, lag_s=lag_s)
