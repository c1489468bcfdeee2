"""Draft a version from its release.toml."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from functools import partial
from pathlib import Path
from typing import Any

import shapely
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from catalog import naming
from catalog.digests import digest_file
from catalog.models import Alias, DataPackage, Dataset, Item, Licence, Provider, Version
from catalog.storage.base import Storage
from releases.archive import digest_key, kept_keys
from releases.builds import environments, repositories
from releases.drafts.definition import DatasetEntry, Definition, SourceEntry
from releases.drafts.texts import entry_texts, write_texts
from releases.errors import DefinitionError, NotDraftableError
from releases.models import DeclaredOutput, Recipe, Release, SourceFile
from releases.people import require_permission

MAX_FOOTPRINT_POINTS = 20_000


def draft_release(
    definition: Definition,
    *,
    by: Any,
    offered: Mapping[str, Path],
    storage: Storage,
    now: datetime,
) -> Release:
    """Create the draft Version and its Release; `offered` are source files by name that are not kept yet.

    Everything is checked and the sources are kept before the first row is written; a refusal leaves no row.
    Raises NotAllowedError; NotDraftableError (the version exists, a source is absent or differs, the DOI
    provider is not to be had); DefinitionError (footprint); RepositoryError; EnvironmentDefinitionError.
    """
    footprint = check_draft(definition, by=by, offered=offered, storage=storage)
    keep_sources(definition, offered, storage)
    try:
        with transaction.atomic():
            return write_rows(definition, footprint, by=by, now=now)
    except IntegrityError as error:
        raise NotDraftableError(
            _("%(version)s: somebody else drafted it just now. Open that draft and edit it.")
            % {"version": named(definition)}
        ) from error


def check_draft(definition: Definition, *, by: Any, offered: Mapping[str, Path], storage: Storage) -> bytes:
    """Refuse what `draft_release` would refuse and write nothing; gives the footprint as WKB."""
    require_permission(by, "draft")
    refuse_alias(naming.compose(definition.dataset.identifier))
    refuse_existing(definition)
    refuse_provider(definition)
    footprint = check_recipe(definition)
    check_sources(definition, offered, storage)
    return footprint


def named(definition: Definition) -> str:
    return f"{naming.compose(definition.dataset.identifier)} {definition.number.shown}"


def refuse_existing(definition: Definition) -> None:
    identifier = naming.compose(definition.dataset.identifier)
    version = Version.objects.filter(dataset__identifier=identifier, number=str(definition.number)).first()
    if version is not None:
        raise NotDraftableError(
            _("%(version)s: exists already (%(state)s). Edit that draft, or write the next number in version.number.")
            % {"version": version, "state": version.release.get_state_display()},
            version=str(version),
        )


def refuse_alias(identifier: str) -> None:
    """Raise NotDraftableError for an identifier that a dataset had before it was renamed."""
    alias = Alias.objects.select_related("dataset").filter(identifier=identifier).first()
    if alias is not None:
        raise NotDraftableError(
            _('%(name)s: this dataset was renamed. Write identifier = "%(identifier)s".')
            % {"name": identifier, "identifier": alias.dataset.identifier},
            renamed=alias.dataset.identifier,
        )


def refuse_provider(definition: Definition) -> None:
    """Raise NotDraftableError for DOIs from elsewhere than before, or from a DataCite that is not set up.

    Only the first version of a dataset may change its mind, and only until it has its DOI. That a mirror of Zenodo is
    required is seen when the DOI is reserved, before anything is public.
    """
    identifier, provider = naming.compose(definition.dataset.identifier), definition.dataset.doi_provider
    fixed = Q(doi__isnull=False) | ~Q(number=str(definition.number))
    versions = Version.objects.filter(fixed, dataset__identifier=identifier).select_related("dataset")
    before = versions.exclude(dataset__doi_provider=provider).first()
    if before is not None:
        raise NotDraftableError(
            _(
                "%(dataset)s: its DOIs come from %(provider)s since the first release. "
                'Write doi_provider = "%(provider)s".'
            )
            % {"dataset": before.dataset, "provider": before.dataset.doi_provider}
        )
    if provider == Dataset.DoiProvider.DATACITE and not settings.DFC_DATACITE_PREFIX:
        raise NotDraftableError(
            _(
                "%(dataset)s: DOIs from DataCite cannot be reserved by this installation. "
                'Write doi_provider = "test", or ask the administrator to set up DataCite.'
            )
            % {"dataset": identifier},
            provider=provider,
        )


def check_recipe(definition: Definition) -> bytes:
    """Read what the repository must hold at that commit; gives the footprint as WKB."""
    recipe = definition.recipe
    repositories.snapshot(recipe.repository, recipe.commit)
    repositories.check_tree(recipe.repository, recipe.commit)
    repositories.read_text(recipe.repository, recipe.commit, recipe.entry_point)
    text = repositories.read_text(recipe.repository, recipe.commit, recipe.environment)
    environments.check(recipe.environment, text)
    west, south, east, north = definition.dataset.bbox_wgs84
    if not definition.dataset.footprint:
        return bytes(shapely.to_wkb(shapely.box(west, south, east, north)))
    text = repositories.read_text(recipe.repository, recipe.commit, definition.dataset.footprint)
    return read_footprint(text, definition.dataset)


def read_footprint(text: str, dataset: DatasetEntry) -> bytes:
    """Turn a GeoJSON geometry into WKB; raises DefinitionError unless it is valid and inside the box."""
    try:
        shape = shapely.from_geojson(json.dumps(json.loads(text)))
    except (ValueError, RecursionError, shapely.errors.ShapelyError) as error:
        raise refuse_footprint(dataset, _("%(file)s is no GeoJSON geometry")) from error
    if shape.is_empty or not shape.is_valid:
        reason = shapely.is_valid_reason(shape)
        raise refuse_footprint(dataset, _("%(file)s is not valid (%(reason)s)"), reason=reason)
    if shapely.get_num_coordinates(shape) > MAX_FOOTPRINT_POINTS:
        words = _("%(file)s has more than %(most)s points; simplify it")
        raise refuse_footprint(dataset, words, most=MAX_FOOTPRINT_POINTS)
    west, south, east, north = dataset.bbox_wgs84
    if not shapely.box(west, south, east, north).buffer(1e-6).covers(shape):
        box = [round(bound, 4) for bound in shape.bounds]
        raise refuse_footprint(dataset, _("%(file)s leaves dataset.bbox; its own box is %(box)s"), box=box)
    return bytes(shapely.to_wkb(shape))


def refuse_footprint(dataset: DatasetEntry, finding: str, **facts: object) -> DefinitionError:
    return DefinitionError(
        _("dataset.footprint: %(finding)s. Correct it in the repository and name the new commit.")
        % {"finding": finding % {"file": dataset.footprint, **facts}}
    )


def storage_keys(definition: Definition) -> dict[str, str]:
    """Say where each upstream file is kept, by its name: where bytes of that digest lie already, or will lie.

    What an earlier release or an ingest kept stays where it is: a rename moves no file.
    """
    name, package = naming.compose(definition.dataset.identifier), definition.dataset.identifier.package
    kept = kept_keys(name, [one.sha256 for one in definition.sources])
    return {
        one.name: kept.get(one.sha256) or digest_key(package, name, one.sha256, one.name)
        for one in definition.sources
    }


def absent_sources(definition: Definition, storage: Storage) -> list[SourceEntry]:
    keys = storage_keys(definition)
    return [one for one in definition.sources if storage.size(keys[one.name]) != one.size_bytes]


def check_sources(definition: Definition, offered: Mapping[str, Path], storage: Storage) -> None:
    """Raise NotDraftableError unless every source is kept already or offered with the right bytes."""
    for source in absent_sources(definition, storage):
        check_source(source, offered.get(source.name))


def keep_sources(definition: Definition, offered: Mapping[str, Path], storage: Storage) -> None:
    """Copy the sources that are new, and were checked, into our own storage."""
    keys = storage_keys(definition)
    for source in absent_sources(definition, storage):
        read = partial(blocks, offered[source.name])
        storage.write(keys[source.name], source.size_bytes, read)


def blocks(path: Path, start: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(1 << 20):
            yield block


def check_source(source: SourceEntry, path: Path | None) -> None:
    if path is None or not path.is_file():
        raise NotDraftableError(
            _(
                "Source %(name)s: not kept here, and no file of that name came along. "
                "Put it beside release.toml or upload it with the draft (sha256 %(sha256)s)."
            )
            % {"name": source.name, "sha256": source.sha256},
            source=source.name,
        )
    digests = digest_file(path)
    if digests.sha256 != source.sha256:
        raise NotDraftableError(
            _(
                "Source %(name)s: its sha256 is %(found)s (%(found_bytes)s bytes), release.toml says "
                "%(said)s (%(said_bytes)s bytes). Fetch the file again or correct release.toml."
            )
            % {
                "name": source.name,
                "found": digests.sha256,
                "found_bytes": digests.size_bytes,
                "said": source.sha256,
                "said_bytes": source.size_bytes,
            },
            source=source.name,
        )
    if digests.size_bytes != source.size_bytes:
        raise NotDraftableError(
            _("Source %(name)s: it has %(found)s bytes, release.toml says %(said)s. Correct size_bytes.")
            % {"name": source.name, "found": digests.size_bytes, "said": source.size_bytes},
            source=source.name,
        )


def write_rows(definition: Definition, footprint: bytes, *, by: Any, now: datetime) -> Release:
    number = definition.number
    version = Version.objects.create(
        dataset=dataset_row(definition, by=by, now=now),
        number=str(number),
        major=number.major,
        minor=number.minor,
        patch=number.patch,
        prerelease=number.prerelease,
        precedence=number.precedence,
        notes_en=definition.notes.en,
        notes_fr=definition.notes.fr,
    )
    release = Release.objects.create(version=version, author=by, created_at=now, **release_columns(definition))
    write_parts(release, definition, footprint, keys=storage_keys(definition), now=now)
    return release


def release_columns(definition: Definition) -> dict[str, Any]:
    return {
        "definition": definition.text,
        "is_confirmed": definition.policy.is_confirmed,
        "unconfirmed_reason_en": definition.policy.unconfirmed_reason.en,
        "unconfirmed_reason_fr": definition.policy.unconfirmed_reason.fr,
        "includes_sources": definition.policy.includes_sources,
        "includes_environment": definition.policy.includes_environment,
        "reproducibility": definition.policy.reproducibility,
        "reproducibility_reason_en": definition.policy.reproducibility_reason.en,
        "reproducibility_reason_fr": definition.policy.reproducibility_reason.fr,
    }


def write_parts(
    release: Release, definition: Definition, footprint: bytes, *, keys: Mapping[str, str], now: datetime
) -> None:
    """Write the rows that hang on a Release; an edit deletes them and writes them again.

    `keys` are those that `storage_keys` gave before anything was deleted.
    """
    recipe = definition.recipe
    Recipe.objects.create(
        release=release,
        repository=recipe.repository,
        commit=recipe.commit,
        entry_point=recipe.entry_point,
        environment=recipe.environment,
        parameters=recipe.parameters,
    )
    DeclaredOutput.objects.bulk_create(
        DeclaredOutput(release=release, path=one.path, key=one.key, role=one.role, media_type=one.media_type)
        for one in definition.outputs
    )
    SourceFile.objects.bulk_create(
        SourceFile(
            release=release,
            name=one.name,
            url=one.url,
            size_bytes=one.size_bytes,
            sha256=one.sha256,
            media_type=one.media_type,
            storage_key=keys[one.name],
            stored_at=now,
        )
        for one in definition.sources
    )
    write_item(release.version, definition.dataset, footprint)


def item_id_of(dataset: Dataset, version: Version) -> str:
    """Compose the id that a version item gets; once it is public, the row alone knows it."""
    return f"{dataset.identifier}_{version.shown}"


def write_item(version: Version, dataset: DatasetEntry, footprint: bytes) -> Item:
    west, south, east, north = dataset.bbox_wgs84
    return Item.objects.create(
        version=version,
        item_id=item_id_of(version.dataset, version),
        footprint_wkb=footprint,
        west=west,
        south=south,
        east=east,
        north=north,
        starts_at=start_of(dataset.starts_on),
        ends_at=start_of(dataset.ends_on),
    )


def start_of(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)


def dataset_row(definition: Definition, *, by: Any, now: datetime) -> Dataset:
    """Find the dataset or create it; a public one keeps its description until this version is published."""
    identifier, reason = definition.dataset.identifier, f"Drafted {definition.number.shown}"
    dataset = Dataset.objects.filter(identifier=naming.compose(identifier)).first()
    if dataset is not None:
        if not Version.objects.public().filter(dataset=dataset).exists():
            describe(dataset, definition.dataset, by=by, reason=reason)
        return dataset
    # Only now: a rename that is committed between the two questions is seen by the second.
    refuse_alias(naming.compose(identifier))
    dataset = Dataset(
        identifier=naming.compose(identifier),
        region=identifier.region,
        source=identifier.source,
        dguid=identifier.dguid,
        vintage=identifier.vintage,
        variant=identifier.variant,
        package=package_row(identifier.package),
        doi_provider=definition.dataset.doi_provider,
        created_at=now,
    )
    return describe(dataset, definition.dataset, by=by, reason=reason)


def package_row(slug: str) -> DataPackage:
    return DataPackage.objects.get_or_create(slug=slug, defaults={"title_en": slug, "title_fr": slug})[0]


def describe(dataset: Dataset, entry: DatasetEntry, *, by: Any, reason: str) -> Dataset:
    """Bring the descriptive columns of a dataset to what a definition says, and save it."""
    dataset.licence = licence_row(entry)
    dataset.west, dataset.south, dataset.east, dataset.north = entry.bbox_wgs84
    dataset.starts_on, dataset.ends_on = entry.starts_on, entry.ends_on
    if not Version.objects.filter(dataset_id=dataset.pk, doi__isnull=False).exists():
        dataset.doi_provider = entry.doi_provider
    write_texts(dataset, entry_texts(entry), by=by, reason=reason)
    dataset.providers.all().delete()
    Provider.objects.bulk_create(
        Provider(dataset=dataset, name=one.name, role=one.role, url=one.url) for one in entry.providers
    )
    return dataset


def licence_row(entry: DatasetEntry) -> Licence:
    """Find the licence by its id; the first release that names it writes its title and address."""
    licence, _made = Licence.objects.get_or_create(
        spdx_id=entry.licence.spdx_id,
        defaults={
            "title_en": entry.licence.title.en,
            "title_fr": entry.licence.title.fr,
            "url": entry.licence.url,
        },
    )
    return licence
