"""A long upstream file that breaks off on its way into a bucket is asked for again only from where its parts end."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.storage import s3 as own
from catalog.storage.s3 import S3Storage
from releases.errors import UpstreamUnavailableError
from releases.ingest.errand import Announced
from tests.buckets import PART_BYTES, new_storage, opened
from tests.fakes.upstream import Upstream, content_of, upstream
from tests.releases.test_fetch import KEY, bring, errand
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.s3
CONTENT = bytes(content_of(1, 4 * PART_BYTES + 1000))


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as found:
        yield found


@pytest.fixture
def storage(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3Storage:
    monkeypatch.setattr(own, "KEPT_FROM_BYTES", len(CONTENT))
    return new_storage(s3, tmp_path)


def broken(server: Upstream, storage: S3Storage, *, has_validators: bool = True) -> tuple[str, Announced]:
    """Let a first try break; gives the address and what its server announced."""
    url = server.add("/file.bin", CONTENT, "truncate", has_validators=has_validators)
    said = Announced(len(CONTENT), server.files["/file.bin"].etag if has_validators else "")
    with pytest.raises(UpstreamUnavailableError):
        bring(errand(url, announced=said), storage)
    return url, said


def test_what_broke_off_goes_on_behind_the_last_full_part(
    server: Upstream, storage: S3Storage, tmp_path: Path
) -> None:
    url, said = broken(server, storage)
    kept = len(storage.below("own/.partial/"))
    assert kept > 0
    found = bring(errand(url, announced=said), opened(storage.address, tmp_path))
    asked = server.asked[-1].headers
    assert (asked["range"], asked["if-range"]) == (f"bytes={kept * PART_BYTES}-", said.etag)
    assert found.digests is not None
    assert found.digests.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert b"".join(storage.read(KEY)) == CONTENT
    assert storage.below("") == [f"own/{KEY}"]


def test_another_content_at_the_address_takes_nothing_of_it(server: Upstream, storage: S3Storage) -> None:
    url, said = broken(server, storage)
    other = CONTENT[::-1]
    server.add("/file.bin", other)
    found = bring(errand(url, announced=said), storage)
    assert found.digests is not None
    assert found.digests.sha256 == hashlib.sha256(other).hexdigest()
    assert b"".join(storage.read(KEY)) == other
    assert storage.below("") == [f"own/{KEY}"]


def test_without_a_validator_no_part_is_kept(server: Upstream, storage: S3Storage) -> None:
    url, said = broken(server, storage, has_validators=False)
    assert storage.below("") == []
    bring(errand(url, announced=said), storage)
    assert "range" not in server.asked[-1].headers
    assert b"".join(storage.read(KEY)) == CONTENT
