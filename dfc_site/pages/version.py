"""The page of one version: download, and the evidence for every claim."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from pyarrow import parquet

from catalog.footprint import Picture, draw, draw_boxes
from catalog.models import Asset, Item, Version
from catalog.places import place_name
from catalog.storage.base import StorageRefusedError, StorageUnavailableError
from catalog.storage.connect import own_storage
from dfc_site.entries import citation_of, item_href
from dfc_site.pages.evidence import Row, rows_of
from dfc_site.pages.provenance import provenance_of
from dfc_site.pages.rebuild import bundle_of, unpacking
from dfc_site.pages.timeline import timeline_of
from dfc_site.pages.ways import PARQUET, Source, Way, ways
from dfc_site.pages.withdrawn import notice_of, tombstone
from mirrors.models import Check, Mirror, Replica
from mirrors.offer import offers
from mirrors.read import copies_of, mirrors_of_version
from mirrors.redirect import find_version, open_to_all
from mirrors.safety import NOTHING, Safety, safety_of
from mirrors.selection import Ranking
from releases.models import MetadataRevision
from swarm.models import Torrent
from swarm.read import magnet_link, torrents_of

MAIN_KEY = "data"
FILES_SHOWN, TILES_DRAWN = 100, 1000
BROKEN = (Replica.State.DAMAGED, Replica.State.MISSING)


@dataclass(frozen=True)
class File:
    """One file as the page shows it; `door` is the address that leads to its best copy."""

    asset: Asset
    door: str
    torrent: Torrent | None
    magnet: str
    web_seeds: int
    ranking: Ranking


@dataclass(frozen=True)
class MirrorRow:
    """One mirror of this version: how many files are proved there, and the newest check of those shown."""

    mirror: Mirror
    verified: int
    files: int
    check: Check | None
    record_url: str

    @property
    def is_whole(self) -> bool:
        return self.verified == self.files


def version(request: HttpRequest, identifier: str, number: str) -> HttpResponse:
    found = find_version(identifier, number)
    if found.state == Version.State.WITHDRAWN:
        return tombstone(request, found)
    return render(request, "pages/version.html", context_of(found, now=timezone.now()))


def bibtex(_request: HttpRequest, identifier: str, number: str) -> HttpResponse:
    """Give the citation of a version as a file for reference managers; a withdrawn version can still be cited."""
    found = find_version(identifier, number)
    text = citation_of(found, get_language() or "en").bibtex
    response = open_to_all(HttpResponse(text, content_type="application/x-bibtex; charset=utf-8"))
    response["Content-Disposition"] = f'attachment; filename="{identifier}_{found.shown}.bib"'
    return response


def context_of(found: Version, *, now: datetime) -> dict[str, Any]:
    language = get_language() or "en"
    item = found.items.get(tile="")
    files = files_of(item, now=now)
    main = next((one for one in files if one.asset.key == MAIN_KEY), files[0])
    mirrors = mirrors_of_version(found)
    evidence = rows_of([one.asset for one in files], mirrors, now=now)
    safety = safety_of([found.pk], now=now).get(found.pk, NOTHING)
    latest = Version.objects.latest_of(found.dataset)
    tiles = found.items.exclude(tile="").count()
    return {
        "version": found,
        "dataset": found.dataset,
        "revision": MetadataRevision.objects.newest_of(found.dataset),
        "place": place_name(found.dataset.region, found.dataset.dguid, language),
        "item": item,
        "item_url": item_href(found, language),
        "picture": picture_of(item, tiles),
        "tiles": tiles,
        "tiles_url": tiles_url(found, language) if tiles else "",
        "latest": latest,
        "newer": latest if latest and latest.precedence > found.precedence else None,
        "timeline": timeline_of(Version.objects.public().filter(dataset=found.dataset)),
        "files": files,
        "main": main,
        "unlisted": safety.files - len(files),
        "evidence": evidence,
        "mirrors": mirror_rows(found, evidence, mirrors, safety),
        "safety": safety,
        "broken": copies_of(found).filter(state__in=BROKEN).count(),
        "section": "datasets",
        "ways": ways_of(files, main, found, language, has_tiles=bool(tiles)),
        "commands": commands_of(found, files, now=now),
        "citation": citation_of(found, language),
        **provenance_of(found),
        **notice_of(found),
    }


def picture_of(item: Item, tiles: int) -> Picture:
    """Draw the tiles where they are few enough for a page, else the footprint of the whole."""
    if not 0 < tiles <= TILES_DRAWN:
        return draw(bytes(item.footprint_wkb))
    boxes = Item.objects.filter(version=item.version_id).exclude(tile="")
    return draw_boxes(list(boxes.order_by("tile").values_list("west", "south", "east", "north")))


def tiles_url(found: Version, language: str) -> str:
    path = f"{language}/tiles/{found.dataset.identifier}/{found.shown}.parquet"
    return f"{settings.DFC_SITE_URL}{reverse('catalogue-file', args=[path])}"


def commands_of(found: Version, files: Sequence[File], *, now: datetime) -> dict[str, str]:
    """Write the lines that people paste into a terminal to verify and rebuild; the latter asks a mirror alone."""
    folder = f"{settings.DFC_SITE_URL}/d/{found.dataset.identifier}/{found.shown}"
    bundles = [one for one in files if one.asset.role == Asset.Role.SOURCE_BUNDLE]
    places = [(one.asset, [offer.url for offer in one.ranking.offered]) for one in bundles]
    bundle, urls = places[0] if places else bundle_of(found, now=now)  # not among the first files of a large version
    return {
        "verify": f"curl -sL {folder}/SHA256SUMS | sha256sum --check --ignore-missing",
        "rebuild": unpacking(bundle, urls),
    }


def ways_of(files: Sequence[File], main: File, found: Version, language: str, *, has_tiles: bool) -> list[Way]:
    data = [one for one in files if one.asset.role == Asset.Role.DATA and one is not main]
    return ways(
        [source_of(one) for one in (main, *data)],
        catalogue_url=f"{settings.DFC_SITE_URL}{reverse('catalogue-file', args=[f'{language}/versions.parquet'])}",
        tiles_url=tiles_url(found, language) if has_tiles else "",
    )


def source_of(file: File) -> Source:
    return Source(
        url=f"{settings.DFC_SITE_URL}{file.door}",
        name=file.asset.path.rpartition("/")[2],
        media_type=file.asset.media_type,
        has_geometry=has_geometry(file.asset),
    )


def has_geometry(asset: Asset) -> bool:
    """Tell whether a Parquet file has the `geo` metadata of GeoParquet; False for any other, and where it is away."""
    if not asset.media_type.startswith(PARQUET):
        return False
    try:
        with own_storage().open(asset.storage_key) as file:
            metadata = parquet.read_metadata(file).metadata
    except (OSError, pa.ArrowInvalid, StorageUnavailableError, StorageRefusedError):
        return False
    return b"geo" in (metadata or {})


def files_of(item: Item, *, now: datetime) -> list[File]:
    """Give the files of the version item; those of tiles are in the catalogue's file of tiles."""
    assets = list(item.assets.order_by("pk")[:FILES_SHOWN])
    torrents, rankings = torrents_of(assets), offers(assets, now=now)
    return [file_of(item.version, asset, torrents.get(asset.pk), rankings[asset.pk]) for asset in assets]


def file_of(found: Version, asset: Asset, torrent: Torrent | None, ranking: Ranking) -> File:
    seeds = [one.url for one in ranking.offered if one.offers_web_seed]
    return File(
        asset=asset,
        door=f"/d/{found.dataset.identifier}/{found.shown}/{asset.path}",
        torrent=torrent,
        magnet=magnet_link(torrent, asset.size_bytes, seeds) if torrent else "",
        web_seeds=len(seeds),
        ranking=ranking,
    )


def mirror_rows(found: Version, rows: Sequence[Row], mirrors: Sequence[Mirror], safety: Safety) -> list[MirrorRow]:
    records = dict(found.deposits.values_list("mirror", "landing_url"))
    verified = {one.mirror_id: one.files for one in safety.holdings}
    copies = [cell.copy for row in rows for cell in row.cells if cell.copy]
    checks = [(copy.replica.mirror_id, copy.check) for copy in copies if copy.check]
    newest = dict(sorted(checks, key=lambda pair: pair[1].at))
    return [
        MirrorRow(mirror, verified.get(mirror.pk, 0), safety.files, newest.get(mirror.pk), records.get(mirror.pk, ""))
        for mirror in mirrors
    ]
