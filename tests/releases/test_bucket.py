"""A release is drafted, built, sealed and confirmed in the same way where our own storage is a bucket."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from catalog.models import Asset
from releases.jobs import engine
from releases.models import Build
from tests.buckets import new_storage, own_is
from tests.releases.bundles import bundled
from tests.releases.recipes import (
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    reviewer_fixture,  # noqa: F401  a fixture
)
from tests.servers.s3 import S3Server

pytestmark = [pytest.mark.django_db, pytest.mark.s3]


def test_a_release_is_made_by_way_of_a_bucket(
    s3: S3Server, author: Any, reviewer: Any, bench: Path, settings: Any
) -> None:
    storage = new_storage(s3, bench / "scratch")
    own_is(storage, settings)
    release = bundled(author, reviewer, bench)
    while not Build.objects.filter(purpose=Build.Purpose.CONFIRM).exclude(verdict="").exists():
        assert any(engine.run_step(pk, has_heartbeat=False) for pk in engine.due_steps())
    assert Build.objects.get(purpose=Build.Purpose.CONFIRM).verdict == Build.Verdict.IDENTICAL
    assets = Asset.objects.filter(item__version=release.version_id)
    assert {one.key for one in assets} == {"data", "source", "source-bundle"}
    for one in assets:
        assert hashlib.sha256(b"".join(storage.read(one.storage_key))).hexdigest() == one.sha256
    assert not any(storage.scratch.iterdir())
    assert not any((bench / "storage").rglob("*"))
