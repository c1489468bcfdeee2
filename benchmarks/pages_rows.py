"""Made-up rows for benchmarks/pages.py, the same at every run. `manage.py shell` runs it, which sets Django up."""

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

import shapely
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from catalog import versions
from catalog.models import (
    Asset,
    CatalogueChange,
    DataPackage,
    Dataset,
    Edition,
    Item,
    Licence,
    Provider,
    Version,
)
from catalog.places import MUNICIPALITIES
from catalog.search import fold_texts
from dfc_site.demo import ensure_packages
from mirrors.models import Check, Mirror, Replica
from releases.models import Approval, Build, Manifest, Recipe, Release, SourceFile
from swarm.models import Torrent

BATCH = 5000
NUMBERS = ("0.1.0-beta", "1.0.0", "1.1.0")
DEPRECATED_SHARE = 0.05
SUBJECTS = (
    ("Orthoimagery", "Orthoimagerie", "orthoimagery"),
    ("Building footprints", "Empreintes de bâtiments", "foundation"),
    ("Road network", "Réseau routier", "foundation"),
    ("Population by census tract", "Population par secteur de recensement", "statistical"),
    ("Flood plains", "Plaines inondables", "environment-climate-health"),
    ("Street photographs", "Photographies de rues", "field-imagery"),
)
REGIONS = {
    "10": "nl",
    "11": "pe",
    "12": "ns",
    "13": "nb",
    "24": "qc",
    "35": "on",
    "46": "mb",
    "47": "sk",
    "48": "ab",
    "59": "bc",
    "60": "yt",
    "61": "nt",
    "62": "nu",
}
MIRRORS = (("origin", "Ours", "CA"), ("lake", "Lake archive", "US"), ("library", "A library", "CH"))
FILES = (
    ("data", "data", "data.parquet", "application/vnd.apache.parquet"),
    ("data-2", "data", "data.csv", "text/csv"),
    ("source-bundle", "source-bundle", "source-bundle.tar.gz", "application/gzip"),
)


@dataclass(frozen=True)
class Place:
    code: str
    region: str
    name: str
    west: float
    south: float


def fill(datasets: int, items: int) -> None:
    """Write `datasets` datasets with one to three versions each, and tiles until there are `items` items."""
    lot, now = random.Random(7), timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")
    ensure_packages()
    rows = insert(dataset_rows(datasets, places(lot), lot, now))
    insert(provider_rows(rows))
    released = insert(version_rows(rows, lot, now))
    write_releases(released, now)
    own = insert(item_rows(released))
    insert(tile_rows(released, items - len(own), lot))
    assets = insert(asset_rows(own, lot, now))
    insert(torrent_rows(assets, now))
    copies = insert(replica_rows(assets, now))
    insert(check_rows(copies, now))
    CatalogueChange.objects.create(what="filled", at=now, edition=edition(len(released), now))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def insert(rows: Iterable[Any]) -> list[Any]:
    """Write rows of one model in batches; gives them with their keys."""
    found: list[Any] = []
    rest = iter(rows)
    while batch := list(islice(rest, BATCH)):
        found += type(batch[0]).objects.bulk_create(batch)
    return found


def hexadecimal(name: str, digits: int) -> str:
    return hashlib.sha512(name.encode()).hexdigest()[:digits]


def places(lot: random.Random) -> list[Place]:
    return [
        Place(
            code, REGIONS[code[:2]], names.partition(" | ")[2] or names, lot.uniform(-130, -60), lot.uniform(43, 62)
        )
        for code, names in MUNICIPALITIES.items()
    ]


def dataset_rows(count: int, where: Sequence[Place], lot: random.Random, now: datetime) -> Iterator[Dataset]:
    packages = {one.slug: one for one in DataPackage.objects.all()}
    licences = [
        Licence.objects.create(spdx_id=f"LicenseRef-{name}", title_en=name, title_fr=name, url="https://example.org")
        for name in ("OGL-Canada", "OGL-City", "CC-BY")
    ]
    for number in range(count):
        place, (english, french, kind) = lot.choice(where), SUBJECTS[number % len(SUBJECTS)]
        year, package = 2000 + number % 26, packages[f"d4c-datapkg-{kind}"]
        source, dguid = f"office-{number}", f"{year}A0005{place.code}"
        row = Dataset(
            identifier=f"ca-{place.region}_{source}-{dguid}_{package.slug}_{year}_set-{number}",
            region=f"ca-{place.region}",
            source=source,
            dguid=dguid,
            vintage=str(year),
            variant=f"set-{number}",
            package=package,
            title_en=f"{english}, {place.name}, {year}",
            title_fr=f"{french}, {place.name}, {year}",
            description_en=f"{english} of {place.name} as published by its office of surveys in {year}. " * 4,
            description_fr=f"{french} de {place.name}, publié par son bureau des levés en {year}. " * 4,
            attribution_en=f"Contains information of {place.name}.",
            attribution_fr=f"Contient de l’information de {place.name}.",
            keywords_en="survey\nopen data\nmunicipality",
            keywords_fr="levé\ndonnées ouvertes\nmunicipalité",
            licence=licences[number % len(licences)],
            west=place.west,
            south=place.south,
            east=place.west + 0.4,
            north=place.south + 0.2,
            starts_on=date(year, 1, 1),
            ends_on=date(year, 12, 31),
            created_at=now,
        )
        fold_texts(row)
        yield row


def provider_rows(rows: Iterable[Dataset]) -> Iterator[Provider]:
    for row in rows:
        yield Provider(dataset=row, name=f"Office of {row.source}", role="producer", url="https://example.org")
        yield Provider(dataset=row, name="Data for Canada", role="processor")


def version_rows(rows: Iterable[Dataset], lot: random.Random, now: datetime) -> Iterator[Version]:
    for place, row in enumerate(rows):
        at = now - timedelta(hours=place)
        for number in NUMBERS[: 1 + place % len(NUMBERS)]:
            parsed = versions.parse(number)
            state = Version.State.DEPRECATED if lot.random() < DEPRECATED_SHARE else Version.State.PUBLISHED
            yield Version(
                dataset=row,
                number=number,
                **{name: getattr(parsed, name) for name in ("major", "minor", "patch", "prerelease", "precedence")},
                state=state,
                notes_en="Made anew from the source.",
                notes_fr="Refait à partir de la source.",
                doi=f"10.5072/d4c.{hexadecimal(row.identifier, 12)}.v{number}",
                published_at=at,
            )


def write_releases(released: Sequence[Version], now: datetime) -> None:
    """Write a release for each version, and then the rows around it, model by model."""
    author, reviewer = (get_user_model().objects.create(username=name) for name in ("author", "reviewer"))
    rows = insert(release_row(one, author, now) for one in released)
    locked = insert(
        Manifest(sha256=hexadecimal(f"manifest {one.pk}", 64), body='{"buildType":"x"}', locked_at=now)
        for one in rows
    )
    insert(Approval(release=one, by=reviewer, reviewed_digest=one.reviewed_digest, at=now) for one in rows)
    insert(recipe(one) for one in rows)
    insert(source(one, now) for one in rows)
    insert(build for one, manifest in zip(rows, locked, strict=True) for build in builds(one, manifest, now))


def release_row(version: Version, author: Any, now: datetime) -> Release:
    return Release(
        version=version,
        state=Release.State.PUBLISHED,
        definition="",
        author=author,
        submitter=author,
        reviewed_digest=hexadecimal(str(version.pk), 64),
        approved_at=now,
        created_at=now,
    )


def recipe(release: Release) -> Recipe:
    return Recipe(
        release=release,
        repository="surveys",
        commit=hexadecimal(f"commit {release.pk}", 40),
        entry_point="build.py",
        environment="requirements.lock",
    )


def source(release: Release, now: datetime) -> SourceFile:
    return SourceFile(
        release=release,
        name="survey.zip",
        url="https://example.org/survey.zip",
        size_bytes=10_000_000,
        sha256=hexadecimal(f"source {release.pk}", 64),
        media_type="application/zip",
        storage_key="archive/survey.zip",
        stored_at=now,
    )


def builds(release: Release, manifest: Manifest, now: datetime) -> list[Build]:
    kinds = ((Build.Purpose.REVIEW, 1, "first"), (Build.Purpose.REVIEW, 2, "identical"), ("confirm", 1, "identical"))
    return [
        Build(
            release=release,
            manifest=manifest,
            purpose=purpose,
            round=1,
            number=number,
            state=Build.State.SUCCEEDED,
            verdict=verdict,
            isolation="bubblewrap: no network",
            environment_sha256=hexadecimal("environment", 64),
            log="x" * 2000,
            started_at=now,
            ended_at=now,
        )
        for purpose, number, verdict in kinds
    ]


def item(version: Version, tile: str, west: float, south: float, size: float) -> Item:
    start = datetime(int(version.dataset.vintage), 1, 1, tzinfo=UTC)
    return Item(
        version=version,
        item_id=f"{version.dataset.identifier}_{version.shown}{tile and '_'}{tile}",
        tile=tile,
        footprint_wkb=shapely.to_wkb(shapely.box(west, south, west + size, south + size / 2)),
        west=west,
        south=south,
        east=west + size,
        north=south + size / 2,
        starts_at=start,
        ends_at=start,
    )


def item_rows(released: Iterable[Version]) -> Iterator[Item]:
    for one in released:
        yield item(one, "", one.dataset.west or 0.0, one.dataset.south or 0.0, 0.4)


def tile_rows(released: Sequence[Version], count: int, lot: random.Random) -> Iterator[Item]:
    """Spread tiles over every sixth version, the imagery, some with few and some with thousands."""
    imagery = [one for one in released if "orthoimagery" in one.dataset.identifier]
    weights = [lot.paretovariate(1.2) for _ in imagery]
    total = sum(weights)
    for one, weight in zip(imagery, weights, strict=True):
        for number in range(round(count * weight / total)):
            west = (one.dataset.west or 0.0) + number % 40 * 0.01
            yield item(one, f"tile-{number}", west, (one.dataset.south or 0.0) + number // 40 * 0.005, 0.01)


def asset_rows(own: Iterable[Item], lot: random.Random, now: datetime) -> Iterator[Asset]:
    for one in own:
        for key, role, path, media_type in FILES:
            name = f"{one.item_id}/{path}"
            yield Asset(
                item=one,
                key=key,
                role=role,
                path=path,
                media_type=media_type,
                size_bytes=lot.randrange(10_000, 5_000_000_000),
                sha256=hexadecimal(name, 64),
                sha1=hexadecimal(name, 40),
                md5=hexadecimal(name, 32),
                storage_key=name,
                sealed_at=now,
            )


def torrent_rows(assets: Iterable[Asset], now: datetime) -> Iterator[Torrent]:
    for one in assets:
        name = f"torrent {one.storage_key}"
        yield Torrent(
            asset=one,
            name=one.path,
            infohash_v1=hexadecimal(name, 40),
            infohash_v2=hexadecimal(name, 64),
            info=b"d" * 500,
            made_at=now,
        )


def replica_rows(assets: Sequence[Asset], now: datetime) -> Iterator[Replica]:
    mirrors = [
        Mirror.objects.create(
            slug=slug,
            name=slug.capitalize(),
            kind=Mirror.Kind.LOCAL,
            operator=operator,
            jurisdiction=country,
            endpoint=f"/srv/{slug}",
            public_url=f"https://{slug}.example.org",
            added_at=now,
        )
        for slug, operator, country in MIRRORS
    ]
    for number, one in enumerate(assets):
        for mirror in mirrors[: 3 if number % 20 else 2]:
            yield Replica(
                asset=one,
                mirror=mirror,
                locator=one.storage_key,
                url=f"{mirror.public_url}/{one.pk}",
                state=Replica.State.VERIFIED,
                verified_at=now,
            )


def check_rows(copies: Iterable[Replica], now: datetime) -> Iterator[Check]:
    for one in copies:
        for level, days in ((Check.Level.CHECKSUM, 20), (Check.Level.FULL, 2)):
            yield Check(
                replica=one,
                level=level,
                method="sha256, full re-read",
                result=Check.Result.PASSED,
                checker="portal",
                at=now - timedelta(days=days),
            )


def edition(listed: int, now: datetime) -> Edition:
    return Edition.objects.create(
        manifest_sha256=hexadecimal("edition", 64), versions=listed, size_bytes=1_000_000, made_at=now
    )
