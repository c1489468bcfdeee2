"""Rows for tests, each with the fewest fields that the database asks for; any other field is named by its test."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import shapely
from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils import timezone

from catalog import versions
from catalog.digests import Digester
from catalog.models import Asset, DataPackage, Dataset, Item, Licence, Version
from catalog.search import fold_texts
from catalog.storage.connect import own_storage
from catalog.storage.files import locate
from mirrors.models import Check, Mirror, Replica
from releases.jobs.context import StepContext
from releases.models import Job, Release, Step
from releases.seal import storage_key, write_rows
from swarm.describe import digests_of
from swarm.models import Torrent
from swarm.torrent import info_dict, infohashes

CONTENT = bytes(range(256)) * 400
BOX = (-80.0, 43.0, -79.0, 44.0)


def package(slug: str = "d4c-datapkg-foundation") -> DataPackage:
    return DataPackage.objects.get_or_create(slug=slug, defaults={"title_en": "Roads", "title_fr": "Routes"})[0]


def licence(spdx_id: str = "LicenseRef-open") -> Licence:
    return Licence.objects.get_or_create(spdx_id=spdx_id, defaults={"url": "https://licence.example.org"})[0]


def own_path(key: str) -> Path:
    """Give where a file of our own storage lies, while that is a folder of this machine."""
    return locate(Path(settings.DFC_STORAGE_DIR), key)


def dataset(identifier: str = "ca_roads", **fields: Any) -> Dataset:
    """Give a dataset of grade legacy, whose identifier need not have all parts."""
    given = {"grade": Dataset.Grade.LEGACY, "title_en": "Roads", "title_fr": "Routes", "created_at": timezone.now()}
    related = {
        "package": fields.pop("package", None) or package(),
        "licence": fields.pop("licence", None) or licence(),
    }
    made = Dataset(identifier=identifier, **related, **{**given, **fields})
    fold_texts(made)
    made.save(force_insert=True)
    return made


def version(
    of: Dataset | None = None, number: str = "1.0.0", state: str = Version.State.PUBLISHED, **fields: Any
) -> Version:
    """Give a version, public unless its state is draft."""
    of = of or dataset()
    parsed = versions.parse(number)
    facts: dict[str, Any] = {name: getattr(parsed, name) for name in ("major", "minor", "patch", "prerelease")}
    if state != Version.State.DRAFT:
        facts |= {"doi": f"10.5072/{of.identifier}-{number}", "published_at": timezone.now()}
    facts |= {"number": str(parsed), "precedence": parsed.precedence, "state": state}
    return Version.objects.create(dataset=of, **{**facts, **fields})


def item(of: Version | None = None, tile: str = "", **fields: Any) -> Item:
    """Give the version item, or a tile of it."""
    of = of or version()
    west, south, east, north = BOX
    now = timezone.now()
    facts = {
        "item_id": f"{of.dataset.identifier}_{of.shown}{tile and '_'}{tile}",
        "footprint_wkb": shapely.to_wkb(shapely.box(*BOX)),
        "west": west,
        "south": south,
        "east": east,
        "north": north,
        "starts_at": now,
        "ends_at": now,
    }
    return Item.objects.create(version=of, tile=tile, **{**facts, **fields})


def asset(
    of: Item | None = None,
    path: str = "roads.geojson",
    content: bytes = CONTENT,
    *,
    is_stored: bool = False,
    piece_length: int | None = None,
    **fields: Any,
) -> Asset:
    """Give a file with the digests and pieces of `content`, which lies in our own storage if `is_stored`."""
    of = of or item()
    digester = Digester(len(content), piece_length)
    digester.update(content)
    digests = digester.finish()
    facts = {
        "key": "data",
        "role": Asset.Role.DATA,
        "media_type": "application/geo+json",
        "size_bytes": digests.size_bytes,
        "sha256": digests.sha256,
        "sha1": digests.sha1,
        "md5": digests.md5,
        "storage_key": storage_key(of.version, path),
        "sealed_at": timezone.now() - timedelta(hours=1),
    }
    made = write_rows(Asset(item=of, path=path, **{**facts, **fields}), digests)
    if is_stored:
        own_storage().write_bytes(made.storage_key, content)
    return made


def torrent(of: Asset) -> Torrent:
    """Give the torrent of a file, from the pieces that `asset` wrote."""
    info = info_dict(of.path, digests_of(of))
    hashes = infohashes(info)
    return Torrent.objects.create(
        asset=of, name=of.path, infohash_v1=hashes.v1, infohash_v2=hashes.v2, info=info, made_at=timezone.now()
    )


def mirror(slug: str = "north", **fields: Any) -> Mirror:
    """Give an enabled mirror of a directory, by an operator of its own."""
    facts = {
        "name": slug.capitalize(),
        "kind": Mirror.Kind.LOCAL,
        "operator": f"{slug} operator",
        "jurisdiction": "CA",
        "endpoint": f"/srv/{slug}",
        "public_url": f"https://{slug}.example.org",
        "added_at": timezone.now(),
    }
    return Mirror.objects.create(slug=slug, **{**facts, **fields})


def replica(of: Asset, at: Mirror, state: str = Replica.State.VERIFIED, **fields: Any) -> Replica:
    """Give a copy as a row says it is; no bytes lie anywhere and no check proves it."""
    facts: dict[str, Any] = {"locator": of.storage_key, "url": f"{at.public_url}/{of.storage_key}"}
    if state == Replica.State.VERIFIED:
        facts["verified_at"] = timezone.now()
    return Replica.objects.create(asset=of, mirror=at, state=state, **{**facts, **fields})


def check(of: Replica, level: int = Check.Level.FULL, result: str = Check.Result.PASSED, **fields: Any) -> Check:
    facts = {"method": "test", "checker": "test", "at": timezone.now()}
    return Check.objects.create(replica=of, level=level, result=result, **{**facts, **fields})


def proved(of: Asset, at: Mirror) -> Replica:
    """Give a copy that may be offered: verified by a full re-read just now."""
    copy = replica(of, at)
    check(copy)
    return copy


def release(of: Version | None = None, **fields: Any) -> Release:
    author = fields.pop("author", None) or get_user_model().objects.create_user("author")
    return Release.objects.create(version=of or version(), author=author, created_at=timezone.now(), **fields)


def step(function: str = "mirrors.replicate.publish_deposit", subject: int = 0) -> StepContext:
    """Give the context of a step under way, the only one of the last stage of its job."""
    now = timezone.now()
    job = Job.objects.create(
        key=f"{function}:{subject}", pipeline="deposit", subject=subject, stage=3, created_at=now
    )
    running = Step.objects.create(
        job=job,
        stage=3,
        position=0,
        function=function,
        subject=subject,
        state=Step.State.RUNNING,
        due_at=now,
        lease_until_at=now + timedelta(minutes=5),
    )
    return StepContext(running)
