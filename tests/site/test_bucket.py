"""The path of one release where our own storage is a bucket: nothing but the storage's address differs."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from catalog.models import Asset
from catalog.storage.connect import own_storage
from catalog.storage.s3 import S3Storage
from mirrors.models import Replica
from releases.models import Release
from tests.buckets import new_storage, own_is
from tests.servers.s3 import S3Server
from tests.site import walk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.s3, pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture
def bucket(s3: S3Server, own_folders: Path, settings: Any) -> S3Storage:
    storage = new_storage(s3, own_folders / "scratch")
    own_is(storage, settings)
    return storage


def test_a_release_goes_from_recipe_to_public_by_way_of_a_bucket(bucket: S3Storage, capsys: Any) -> None:
    published = walk.to_public()
    assert published.state == Release.State.PUBLISHED
    assets = list(Asset.objects.filter(item__version=published.version_id))
    assert {asset.role for asset in assets} == {"data", "source", "source-bundle"}
    for asset in assets:
        stored = b"".join(own_storage().read(asset.storage_key))
        assert hashlib.sha256(stored).hexdigest() == asset.sha256
        assert bucket.size(asset.storage_key) == asset.size_bytes
        assert {one.state for one in Replica.objects.filter(asset=asset)} == {"verified"}
    assert not any(bucket.scratch.iterdir())
    assert any(name.startswith("own/catalogue/") for name in bucket.below("own/"))
    address = f"/en/datasets/{published.version.dataset.identifier}/{published.version.shown}/"
    assert Client().get(address).status_code == 200
    call_command("seed", "--once", "--listen", "127.0.0.1:0")
    assert "is a bucket" in capsys.readouterr().out
