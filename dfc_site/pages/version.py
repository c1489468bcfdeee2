"""The page of one version: download, and the evidence for every claim."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language

from catalog.models import Asset, Version
from catalog.models.dataset import in_language
from dfc_site.entries import citation_of
from dfc_site.pages.footprint import draw
from mirrors.models import Check, Mirror, Replica
from mirrors.offer import offers
from mirrors.redirect import find_version
from mirrors.selection import Ranking
from releases.models import Build, Release
from swarm.models import Torrent
from swarm.read import magnet_link, torrents_of

MAIN_KEY = "data"
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
class Cell:
    """One file at one mirror, with the newest check of its copy."""

    mirror: Mirror
    replica: Replica | None
    check: Check | None

    @property
    def is_broken(self) -> bool:
        return self.replica is not None and self.replica.state in BROKEN


@dataclass(frozen=True)
class MirrorRow:
    """One mirror of this version: how many files are proved there, and the newest check."""

    mirror: Mirror
    verified: int
    files: int
    check: Check | None

    @property
    def is_whole(self) -> bool:
        return self.verified == self.files


@dataclass(frozen=True)
class Safety:
    """The one line of trust: whole copies, who runs them and where, and when the newest check was."""

    copies: int
    operators: int
    countries: int
    checked_at: datetime | None


def version(request: HttpRequest, identifier: str, number: str) -> HttpResponse:
    found = find_version(identifier, number)
    if found.state == Version.State.WITHDRAWN:
        return render(request, "pages/withdrawn.html", {"version": found}, status=410)
    return render(request, "pages/version.html", context_of(found, now=timezone.now()))


def context_of(found: Version, *, now: datetime) -> dict[str, Any]:
    release = Release.objects.select_related("recipe").get(version=found)
    item = found.items.get(tile="")
    files = files_of(found, now=now)
    main = next((one for one in files if one.asset.key == MAIN_KEY), files[0])
    cells = cells_of(files)
    latest = Version.objects.latest_of(found.dataset)
    builds = list(release.builds.select_related("manifest").order_by("-round", "purpose", "-number"))
    return {
        "version": found,
        "dataset": found.dataset,
        "item": item,
        "picture": draw(bytes(item.footprint_wkb)),
        "latest": latest,
        "newer": latest if latest and latest.precedence > found.precedence else None,
        "versions": Version.objects.public().filter(dataset=found.dataset),
        "files": files,
        "main": main,
        "total_bytes": sum(one.asset.size_bytes for one in files),
        "evidence": cells,
        "mirrors": (rows := mirror_rows(cells)),
        "safety": safety_of(rows),
        "broken": sum(cell.is_broken for _, line in cells for cell in line),
        "section": "datasets",
        "commands": commands_of(found, main),
        "citation": citation_of(found, get_language() or "en"),
        **provenance_of(release, builds),
    }


def commands_of(found: Version, main: File) -> dict[str, str]:
    """Write the lines that people paste into a terminal to fetch, verify and rebuild."""
    file = f"{settings.DFC_SITE_URL}{main.door}"
    folder = f"{settings.DFC_SITE_URL}/d/{found.dataset.identifier}/{found.shown}"
    return {
        "curl": f"curl -L -O {file}",
        "aria2": f"aria2c --seed-time=0 {file}.torrent",
        "verify": f"curl -sL {folder}/SHA256SUMS | sha256sum --check --ignore-missing",
        "rebuild": f"curl -sL {folder}/source-bundle.tar.gz | tar -xz && python3 rebuild.py --out rebuilt",
    }


def files_of(found: Version, *, now: datetime) -> list[File]:
    assets = list(Asset.objects.filter(item__version=found).select_related("item"))
    torrents, rankings = torrents_of(assets), offers(assets, now=now)
    return [file_of(found, asset, torrents.get(asset.pk), rankings[asset.pk]) for asset in assets]


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


def cells_of(files: list[File]) -> list[tuple[File, list[Cell]]]:
    """Lay out the evidence: one row a file, one cell a mirror; two queries whatever the number of files."""
    assets = [one.asset.pk for one in files]
    last = Check.objects.filter(replica=OuterRef("pk")).order_by("-at", "-pk").values("pk")[:1]
    replicas = list(
        Replica.objects.filter(asset__in=assets)
        .select_related("mirror")
        .annotate(last_check=Subquery(last))
        .order_by("mirror_id")
    )
    checks = Check.objects.in_bulk([key for replica in replicas if (key := getattr(replica, "last_check", None))])
    newest = {check.replica_id: check for check in checks.values()}
    mirrors = {replica.mirror_id: replica.mirror for replica in replicas}
    by_place = {(replica.asset_id, replica.mirror_id): replica for replica in replicas}
    table = []
    for one in files:
        found = [(mirror, by_place.get((one.asset.pk, key))) for key, mirror in mirrors.items()]
        table.append((one, [Cell(mirror, copy, newest.get(copy.pk) if copy else None) for mirror, copy in found]))
    return table


def mirror_rows(table: list[tuple[File, list[Cell]]]) -> list[MirrorRow]:
    rows = []
    for place in range(len(table[0][1])):
        cells = [cells[place] for _, cells in table]
        mirror = cells[0].mirror
        offered = sum(mirror.slug in {one.mirror for one in file.ranking.offered} for file, _ in table)
        checks = [cell.check for cell in cells if cell.check]
        newest = max(checks, key=lambda check: check.at) if checks else None
        rows.append(MirrorRow(mirror=mirror, verified=offered, files=len(cells), check=newest))
    return rows


def safety_of(rows: list[MirrorRow]) -> Safety:
    """Count only mirrors that hold every file, proved."""
    whole = [row for row in rows if row.is_whole]
    return Safety(
        copies=len(whole),
        operators=len({row.mirror.operator for row in whole}),
        countries=len({row.mirror.jurisdiction for row in whole}),
        checked_at=max((row.check.at for row in whole if row.check), default=None),
    )


def provenance_of(release: Release, builds: list[Build]) -> dict[str, Any]:
    confirmations = [build for build in builds if build.purpose == Build.Purpose.CONFIRM]
    newest_round = max(build.round for build in builds)
    reviewed = [build for build in builds if build.purpose == Build.Purpose.REVIEW and build.round == newest_round]
    people = {release.author_id, release.submitter_id}
    approvals = [one for one in release.approvals.filter(voided_at__isnull=True) if one.by_id not in people]
    return {
        "release": release,
        "recipe": release.recipe,
        "unconfirmed_reason": in_language(release, "unconfirmed_reason"),
        "sources": release.sources.all(),
        "builds": reviewed[::-1],
        "confirmation": confirmations[0] if confirmations else None,
        "manifest": reviewed[0].manifest,
        "manifest_shown": json.dumps(json.loads(reviewed[0].manifest.body), ensure_ascii=False, indent=2),
        "second_person": bool(approvals),
        "reviewed_at": release.approved_at,
    }
