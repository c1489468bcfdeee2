"""Export the catalogue: write an edition in both languages, make it the current one, move the pointer.

    catalogue/<first 16 digits of the manifest's sha256>/
        manifest.json                       every other file with size and sha256; nothing else, no time
        <en|fr>/collections.json            all STAC Collections
        <en|fr>/versions.parquet            the version item of every version, as STAC GeoParquet
        <en|fr>/tiles/<dataset>/<version>.parquet   the tile items of a version that has any
    catalogue/latest.json                   the pointer: which folder is current, and its manifest's sha256

The same rows give the same bytes and so the same folder: nothing is written twice. Files come first, then the row of
the edition, then the pointer; a kill in between leaves the edition of before.
"""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.utils import timezone
from django.utils.translation import override

from catalog.digests import digest_file
from catalog.geoparquet import write_items
from catalog.models import Asset, CatalogueChange, Edition, Item, Version
from catalog.stac import collection, collections_document, document, item
from catalog.stac_schemas import validate
from catalog.storage.base import Storage
from catalog.storage.connect import own_storage
from catalog.storage.files import read_file
from dfc_site.entries import (
    LISTED,
    Neighbours,
    collection_entry,
    collections,
    entries_of,
    tile_items,
    version_items,
    with_neighbours,
)
from mirrors import verify
from mirrors.models import Doi, Mirror
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Release

LANGUAGES = ("en", "fr")
ROOT = "catalogue"
POINTER, MANIFEST = f"{ROOT}/latest.json", "manifest.json"
KEPT_EDITIONS = 5
SAMPLED_TILES = 20


@dataclass(frozen=True)
class Written:
    """An edition in a folder: the manifest's sha256, how many versions it lists, and all bytes."""

    folder: Path
    manifest_sha256: str
    versions: int
    size_bytes: int


def expand_write(change_id: int) -> Sequence[StepSpec]:
    return [StepSpec("dfc_site.export.write_edition", change_id, "STAC GeoParquet")]


def expand_point(change_id: int) -> Sequence[StepSpec]:
    return [StepSpec("dfc_site.export.move_pointer", change_id, POINTER)]


def write_edition(step: StepContext, change_id: int) -> None:
    """Make the edition that covers a change and all others noted until now. Safe to run twice."""
    owed = list(CatalogueChange.objects.filter(edition__isnull=True).values_list("pk", flat=True))
    if change_id not in owed:
        return
    with tempfile.TemporaryDirectory(prefix="catalogue-") as scratch:
        written = write(Path(scratch), now=timezone.now())
        store(written, own_storage())
    with step.finish():
        settle(written, owed, now=timezone.now())


def settle(written: Written, owed: list[int], *, now: datetime) -> Edition:
    """Make an edition current, unless its files are current already or a later change is covered by now.

    Inside a transaction: the newest edition and the changes are locked until it ends.
    """
    newest = Edition.objects.select_for_update().first()
    covered = list(CatalogueChange.objects.select_for_update().filter(pk__in=owed, edition__isnull=True))
    is_late = CatalogueChange.objects.filter(pk__gt=max(owed), edition__isnull=False).exists()
    if newest is None or not (is_late or newest.manifest_sha256 == written.manifest_sha256):
        newest = Edition.objects.create(
            manifest_sha256=written.manifest_sha256,
            versions=written.versions,
            size_bytes=written.size_bytes,
            made_at=now,
        )
    CatalogueChange.objects.filter(pk__in=[one.pk for one in covered]).update(edition=newest)
    return newest


def write(folder: Path, *, now: datetime) -> Written:
    """Write all files of an edition into an empty folder."""
    versions = 0
    for language in LANGUAGES:
        (folder / language).mkdir()
        versions = write_language(folder / language, language, now=now)
    files = {path.relative_to(folder).as_posix(): described(path) for path in plain_files(folder)}
    manifest = folder / MANIFEST
    manifest.write_text(shown({"files": files}), encoding="utf-8")
    size_bytes = sum(path.stat().st_size for path in plain_files(folder))
    return Written(folder, hashlib.sha256(manifest.read_bytes()).hexdigest(), versions, size_bytes)


def write_language(folder: Path, language: str, *, now: datetime) -> int:
    """Write one language's files; gives the number of versions."""
    (folder / "collections.json").write_text(
        shown(collections_document(list(collections(language)))), encoding="utf-8"
    )
    mirrors = list(Mirror.objects.order_by("slug").values_list("slug", flat=True))
    versions = write_items(
        folder / "versions.parquet",
        version_items(language, now=now),
        asset_keys=asset_keys(),
        mirrors=mirrors,
        collections={},
    )
    tiled = set(Item.objects.exclude(tile="").values_list("version_id", flat=True).distinct())
    for version, around in with_neighbours():
        if version.pk in tiled:
            write_tiles(folder / "tiles", version, around, language, mirrors, now=now)
    return versions


def write_tiles(
    folder: Path, version: Version, around: Neighbours, language: str, mirrors: list[str], *, now: datetime
) -> None:
    """Write the tile items of one version; the file carries its Collection along."""
    target = folder / version.dataset.identifier / f"{version.shown}.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    described = collection_entry(around.newest, language, Doi.objects.concept_of(version.dataset))
    write_items(
        target,
        tile_items(version, around, language, now=now),
        asset_keys=asset_keys(tiles=True, item__version=version),
        mirrors=mirrors,
        collections={version.dataset.identifier: document(collection(described))},
    )


def asset_keys(*, tiles: bool = False, **narrowing: Any) -> list[str]:
    """Give all keys that the assets of version items, or of tile items, have."""
    found = Asset.objects.filter(item__version__state__in=LISTED, **narrowing)
    found = found.exclude(item__tile="") if tiles else found.filter(item__tile="")
    return sorted(found.order_by().values_list("key", flat=True).distinct())


def plain_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def described(path: Path) -> dict[str, Any]:
    digests = digest_file(path)
    return {"size_bytes": digests.size_bytes, "sha256": digests.sha256}


def shown(value: Any) -> str:
    """Write JSON that people can read, in one way only."""
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def store(written: Written, storage: Storage) -> None:
    """Put an edition's files into our storage; the manifest last, so that its presence says that all are there."""
    folder = f"{ROOT}/{written.manifest_sha256[:16]}"
    names = [path.relative_to(written.folder).as_posix() for path in plain_files(written.folder)]
    for name in sorted(names, key=lambda one: (one == MANIFEST, one)):
        path = written.folder / name
        storage.write(
            f"{folder}/{name}", path.stat().st_size, partial(read_file, path), tag=written.manifest_sha256[:16]
        )


def move_pointer(step: StepContext, _change_id: int) -> None:
    """Write the pointer to the current edition, and drop the folders of old ones. Safe to run twice."""
    editions = list(Edition.objects.all()[: KEPT_EDITIONS * 4])
    storage = own_storage()
    pointer = {"folder": editions[0].folder, "manifest_sha256": editions[0].manifest_sha256}
    storage.write_bytes(POINTER, shown(pointer).encode())
    kept = {one.folder for one in editions[:KEPT_EDITIONS]}
    for old in {one.folder for one in editions[KEPT_EDITIONS:]} - kept:
        storage.delete_folder(old)
    step.progress(done_units=1, total_units=1)


def expand_verify(release_id: int) -> Sequence[StepSpec]:
    """Before the point of no return: every required copy is proved, and the description is valid STAC."""
    return [
        *verify.expand_require(release_id),
        StepSpec("dfc_site.export.validate_description", release_id, "STAC"),
    ]


def validate_description(step: StepContext, release_id: int) -> None:
    """Raise StacInvalidError unless Collection and Items are valid in both languages; of many tiles, a sample."""
    version = Release.objects.get(pk=release_id).version
    version = Version.objects.select_related("dataset__package", "dataset__licence").get(pk=version.pk)
    items = [version.items.get(tile=""), *version.items.exclude(tile="").order_by("tile")[:SAMPLED_TILES]]
    around, concept = Neighbours(None, None, version), Doi.objects.concept_of(version.dataset)
    step.progress(total_units=len(LANGUAGES) * (len(items) + 1))
    done = 0
    for language in LANGUAGES:
        with override(language):
            entries = entries_of([(version, around)], items, language, now=timezone.now())
            documents = [document(collection(collection_entry(version, language, concept)))]
            documents += [document(item(entry)) for entry in entries]
        for one in documents:
            validate(one)
            done += 1
            step.progress(done_units=done)
