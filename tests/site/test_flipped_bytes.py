"""A byte rots at a mirror of each kind: what is due finds it, nobody is sent there any more, and it is put again."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Count, Q
from django.test import Client
from django.utils import timezone

from catalog.models import CatalogueChange, Version
from catalog.storage.client import client_of
from mirrors.checks.due import due_copies
from mirrors.checks.recheck import start_recheck
from mirrors.checks.survey import survey_mirror
from mirrors.connect import connect
from mirrors.models import Check, Incident, Mirror, Replica
from mirrors.policies import start_following
from mirrors.verify import PUBLICLY
from releases.jobs import engine
from releases.models import Release, Step
from tests import factories
from tests.mirrors.s3_mirrors import service_at
from tests.servers.s3 import S3Server
from tests.site.services import Services, adopt, services

pytestmark = [pytest.mark.s3, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
KEPT_FOR_EVER = "zenodo"


@pytest.fixture
def found(s3: S3Server, settings: Any) -> Iterator[Services]:
    settings.DFC_BACKOFF_S, settings.DFC_LONGEST_BACKOFF_S = 0.05, 0.05
    with services(s3) as running:
        adopt(settings, running)
        yield running


@pytest.fixture
def everywhere(published: Release, found: Services) -> Version:
    """Bring a version that is public to the three services, as a new policy does."""
    Version.objects.update(doi="10.5072/example")
    for mirror in found.register(is_required=False):
        start_following(mirror, now=timezone.now())
    finish()
    assert set(Replica.objects.values_list("state", flat=True)) == {Replica.State.VERIFIED}, owed()
    assert read_publicly() == {1}, "each copy at a service, once, without anybody asking"
    return published.version


def read_publicly() -> set[int]:
    """Give how often copies at the services were read through their public addresses."""
    elsewhere = Replica.objects.exclude(mirror__kind=Mirror.Kind.LOCAL)
    publicly = Q(checks__level=Check.Level.FULL, checks__method__endswith=PUBLICLY)
    return set(elsewhere.annotate(times=Count("checks", filter=publicly)).values_list("times", flat=True))


def finish() -> None:
    """Run all that is owed, also what waits for a moment."""
    until_s = time.monotonic() + 120
    while engine.drain(60) or Step.objects.filter(job__state="open", state="due").exists():
        assert time.monotonic() < until_s, owed()


def owed() -> list[str]:
    return [f"{one}: {one.state} {one.error}" for one in Step.objects.exclude(state="done")]


def copy_at(slug: str, version: Version) -> Replica:
    copies = Replica.objects.filter(mirror__slug=slug, asset__item__version=version, asset__key="data")
    return copies.select_related("asset", "mirror").get()


def flip_local(_found: Services, copy: Replica) -> None:
    path = Path(copy.mirror.endpoint) / copy.locator
    content = bytearray(path.read_bytes())
    content[7] ^= 0xFF
    path.write_bytes(bytes(content))


def flip_bucket(found: Services, copy: Replica) -> None:
    client, key = client_of(service_at(found.bucket.endpoint), os.getpid()), f"{found.prefix}{copy.locator}"
    content = bytearray(client.get_object(Bucket="mirrors", Key=key)["Body"].read())
    content[7] ^= 0xFF
    client.put_object(Bucket="mirrors", Key=key, Body=bytes(content))


def flip_zenodo(found: Services, copy: Replica) -> None:
    record_id, _, name = copy.locator.partition("/")
    found.zenodo.flip(record_id, name, 7)


def flip_archive(found: Services, copy: Replica) -> None:
    identifier, _, path = copy.locator.partition("/")
    found.archive.flip(identifier, path, 7)


FLIPS: dict[str, Callable[[Services, Replica], None]] = {
    "second": flip_local,
    "bucket": flip_bucket,
    "zenodo": flip_zenodo,
    "archive": flip_archive,
}


@pytest.fixture(params=FLIPS)
def bad(request: pytest.FixtureRequest, found: Services, everywhere: Version) -> Replica:
    copy = copy_at(request.param, everywhere)
    FLIPS[request.param](found, copy)
    return copy


def offered(copy: Replica) -> str:
    """Give where the redirect, asked for this mirror, sends a reader, and what is said of mirrors beside the file."""
    version, client = copy.asset.item.version, Client()
    door = f"/d/{version.dataset.identifier}/{version.shown}/{copy.asset.path}"
    sent = client.get(f"{door}?mirror={copy.mirror.slug}")["Location"]
    listed = [one["url"] for one in client.get(f"{door}.mirrors.json").json()["mirrors"]]
    return " ".join([sent, *listed])


def test_one_rotten_byte_is_found_when_due_leaves_every_list_at_once_and_is_put_again(bad: Replica) -> None:
    assert bad.url in offered(bad)
    before = CatalogueChange.objects.count()
    Replica.objects.filter(pk=bad.pk).update(verified_at=timezone.now() - timedelta(days=60))
    assert bad.pk in {one.pk for one in due_copies(bad.mirror, now=timezone.now())}
    start_recheck(bad, now=timezone.now())
    engine.run_step(Step.objects.get(job__pipeline="recheck-copy", job__subject=bad.pk, state="due").pk)
    assert Replica.objects.get(pk=bad.pk).state == Replica.State.DAMAGED
    assert bad.url not in offered(bad)
    assert CatalogueChange.objects.count() > before
    finish_repair(bad)
    found, ended = Incident.objects.get(replica=bad).found_by, Incident.objects.get(replica=bad).ended_by
    assert found is not None
    assert (found.level, found.result) == (Check.Level.FULL, Check.Result.DAMAGED)
    if bad.mirror.slug == KEPT_FOR_EVER:
        assert ended is None
        return
    assert ended is not None
    assert bad.url in offered(bad)
    content = b"".join(connect(bad.mirror).read(bad.locator))
    assert hashlib.sha256(content).hexdigest() == bad.asset.sha256
    assert Replica.objects.get(pk=bad.pk).state == Replica.State.VERIFIED


def finish_repair(bad: Replica) -> None:
    if bad.mirror.slug == KEPT_FOR_EVER:
        engine.drain(60)
        failed = Step.objects.get(job__pipeline="repair", state="failed")
        assert "Tell its staff which file is damaged" in failed.error
    else:
        finish()


@pytest.mark.parametrize(
    ("slug", "level", "method"),
    [("zenodo", 2, "md5 of the mirror"), ("archive", 2, "sha1 of the mirror"), ("bucket", 1, "size")],
)
def test_a_survey_takes_what_a_listing_says_and_samples_through_the_public_address(
    slug: str, level: int, method: str, everywhere: Version
) -> None:
    copy = copy_at(slug, everywhere)
    Check.objects.filter(replica__mirror=copy.mirror).delete()
    survey_mirror(factories.step("mirrors.checks.survey.survey_mirror"), copy.mirror_id)
    levels = dict(Check.objects.filter(replica__mirror=copy.mirror).values_list("level", "method"))
    assert levels == {level: method, Check.Level.SAMPLED: "8 ranges through the public address"}
    assert Mirror.objects.get(slug=slug).state == Mirror.State.ANSWERS


def test_ranges_that_a_mirror_cuts_short_take_it_out_of_every_list_and_say_nothing_of_the_copy(
    found: Services, everywhere: Version
) -> None:
    copy = copy_at("bucket", everywhere)
    found.public.faults.plan("GET *", "short", "always")
    survey_mirror(factories.step("mirrors.checks.survey.survey_mirror"), copy.mirror_id)
    assert Mirror.objects.get(slug="bucket").state == Mirror.State.SILENT
    assert Replica.objects.get(pk=copy.pk).state == Replica.State.VERIFIED
    assert copy.url not in offered(copy)
