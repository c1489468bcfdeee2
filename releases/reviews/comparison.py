"""Gather two versions from rows and bytes, and compare them; releases/diff/judge.py says what it means."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from django.conf import settings

from catalog.errors import PersonMustActError
from catalog.models import Asset, Version
from catalog.storage.connect import own_storage
from catalog.storage.scratch import scratch_folder
from releases import manifest
from releases.build import output_path
from releases.builds import repositories
from releases.diff.document import Comparison
from releases.diff.files import Fate, File, FilePair, compare_files
from releases.diff.footprints import FootprintDiff, compare_footprints, compare_tiles
from releases.diff.recipe import LONGEST_DIFF, CodeChange, Locked, RecipeDiff, compare_recipes
from releases.diff.tables import NoTableError, TableDiff, compare_tables, is_table, is_too_large, unchanged
from releases.diff.texts import compare_facts, compare_fields
from releases.drafts.definition import Bilingual, Definition, read_definition
from releases.errors import RepositoryError
from releases.models import Build, EnvironmentImage, Release
from releases.review import reviewed_build

MADE_BY_RECIPES = (Asset.Role.DATA, Asset.Role.OVERVIEW, Asset.Role.THUMBNAIL, Asset.Role.METADATA)
LONGEST_SUMMARY = 20_000  # bytes

Tick = Callable[[int], None]


def compare_release(release: Release, build: Build, against: Version | None, *, tick: Tick) -> Comparison:
    """Compare what a build made with the version before; `tick` is told how many files are done.

    What cannot be read any more (bytes that are gone, a recipe of another kind) is left out and named.
    """
    version = release.version
    numbers = (against.number if against else "", version.number)
    pairs = compare_files(files_of_version(against), files_of_build(release, build), numbers=numbers)
    tables, unread = compare_all(release, build, against, pairs, tick)
    old, new = definition_of(against), read_definition(release.definition)
    return Comparison(
        dataset=version.dataset.identifier,
        before=numbers[0],
        after=numbers[1],
        files=pairs,
        tables=tables,
        unread=unread,
        footprint=compare_outlines(against, version),
        tiles=compare_tiles(tiles_of(against), tiles_of(version)),
        fields=compare_fields(fields_of(old), fields_of(new)),
        facts=compare_facts(facts_of(old), facts_of(new)),
        recipe=recipe_of(build, against),
    )


def files_of_version(version: Version | None) -> list[File]:
    if version is None:
        return []
    assets = Asset.objects.filter(item__version=version, role__in=MADE_BY_RECIPES).order_by("path")
    return [File(one.path, one.key, one.media_type, one.size_bytes, one.sha256) for one in assets]


def files_of_build(release: Release, build: Build) -> list[File]:
    declared = {one.path: one for one in release.outputs.all()}
    return [
        File(one.path, declared[one.path].key, declared[one.path].media_type, one.size_bytes, one.sha256)
        for one in build.outputs.order_by("path")
    ]


def compare_all(
    release: Release, build: Build, against: Version | None, pairs: Sequence[FilePair], tick: Tick
) -> tuple[dict[str, TableDiff], dict[str, tuple[str, str]]]:
    """Compare the tables among the files; gives also the files that could not be compared, and why."""
    keys = {one.path: one.key_column for one in read_definition(release.definition).outputs}
    tables: dict[str, TableDiff] = {}
    unread: dict[str, tuple[str, str]] = {}
    for done, pair in enumerate(pairs, start=1):
        sides = [one for one in (pair.before, pair.after) if one]
        if all(is_table(one.path, one.size_bytes) for one in sides):
            with kept(against, pair.before) as old:
                if old is None and pair.before is not None and pair.fate != Fate.SAME:
                    unread[pair.path] = "bytes-absent", ""
                try:
                    tables[pair.path] = compare_pair(pair, old, new_path(build, pair.after), keys.get(pair.path, ""))
                except NoTableError as error:
                    unread[pair.path] = "not-compared", str(error)
        elif any(is_too_large(one.path, one.size_bytes) for one in sides):
            unread[pair.path] = "too-large", ""
        tick(done)
    return tables, unread


def compare_pair(pair: FilePair, old: Path | None, new: Path | None, key: str) -> TableDiff:
    suffix = PurePosixPath(pair.path).suffix.lower()
    with scratch_folder(Path(settings.DFC_SCRATCH_DIR), "difference-") as place:
        if pair.fate == Fate.SAME and new is not None:
            return unchanged(new, suffix=suffix, place=place)
        return compare_tables(old, new, suffix=suffix, declared_key=key, place=place)


@contextmanager
def kept(version: Version | None, file: File | None) -> Iterator[Path | None]:
    """Lend a file of the version before; None where our storage has it no more."""
    storage = own_storage()
    asset = Asset.objects.get(item__version=version, path=file.path) if version and file else None
    if asset is None or storage.size(asset.storage_key) != asset.size_bytes:
        yield None
        return
    with storage.local_copy(asset.storage_key) as path:
        yield path


def new_path(build: Build, file: File | None) -> Path | None:
    return output_path(build, file.path) if file else None


def compare_outlines(before: Version | None, after: Version) -> FootprintDiff | None:
    if before is None:
        return None
    old, new = (bytes(one.items.get(tile="").footprint_wkb) for one in (before, after))
    return compare_footprints(old, new)


def tiles_of(version: Version | None) -> Iterator[str]:
    return version.items.exclude(tile="").values_list("tile", flat=True).iterator() if version else iter(())


def release_of(version: Version | None) -> Release | None:
    return Release.objects.filter(version=version).first() if version else None


def definition_of(version: Version | None) -> Definition | None:
    """Read what a version was described by; None where today's rules refuse it."""
    release = release_of(version)
    try:
        return read_definition(release.definition) if release else None
    except PersonMustActError:
        return None


def fields_of(definition: Definition | None) -> dict[str, tuple[str, str]]:
    """Give the texts that have two languages, by where they stand in release.toml."""
    if definition is None:
        return {}
    dataset = definition.dataset
    keywords = Bilingual("\n".join(dataset.keywords_en), "\n".join(dataset.keywords_fr))
    found = {
        "dataset.title": dataset.title,
        "dataset.description": dataset.description,
        "dataset.attribution": dataset.attribution,
        "dataset.keywords": keywords,
        "version.notes": definition.notes,
    }
    return {path: (both.en, both.fr) for path, both in found.items()}


def facts_of(definition: Definition | None) -> dict[str, str]:
    """Give what has no language."""
    if definition is None:
        return {}
    dataset = definition.dataset
    return {
        "dataset.licence.id": dataset.licence.spdx_id,
        "dataset.licence.url": dataset.licence.url,
        "dataset.bbox": ", ".join(f"{degrees:g}" for degrees in dataset.bbox_wgs84),
        "dataset.time": f"{dataset.starts_on.isoformat()} – {dataset.ends_on.isoformat()}",
        "dataset.providers": "; ".join(f"{one.name} ({one.role})" for one in dataset.providers),
    }


def recipe_of(build: Build, against: Version | None) -> RecipeDiff:
    before = locked_before(against)
    after = locked(build)
    return compare_recipes(before, after, code_change(before, after))


def locked_before(version: Version | None) -> Locked | None:
    """Give what the manifest of the version before locks; None where there is none that can be read."""
    release = release_of(version)
    try:
        return locked(reviewed_build(release)) if release else None
    except PersonMustActError:
        return None


def locked(build: Build) -> Locked:
    """Read what a build's manifest locks."""
    recipe = manifest.read(build.manifest.body, sha256=build.manifest.sha256)
    code, environment = recipe.code, recipe.environment
    return Locked(
        repository=code.repository,
        commit=code.commit,
        entry_point=recipe.entry_point,
        parameters=json.loads(recipe.parameters),
        sources={one.name: one.sha256 for one in recipe.sources},
        environment=environment.path,
        environment_text=environment_text(code.repository, code.commit, environment.path),
        installed=installed_in(environment),
    )


def installed_in(environment: manifest.LockedEnvironment | manifest.LockedImage) -> str:
    """List what is in the image of a container; empty for a lock, and for an image that is known here no more."""
    if not isinstance(environment, manifest.LockedImage):
        return ""
    images = EnvironmentImage.objects.filter(image_id=environment.sha256)
    return images.values_list("packages", flat=True).first() or ""


def environment_text(repository: str, commit: str, path: str) -> str:
    try:
        return repositories.read_text(repository, commit, path)
    except RepositoryError:
        return ""


def code_change(before: Locked | None, after: Locked) -> CodeChange:
    """Ask git what lies between two commits of one repository."""
    if before is None or before.repository != after.repository or before.commit == after.commit:
        return CodeChange()
    pair = (after.repository, before.commit, after.commit)
    try:
        summary = repositories.difference(*pair, "--stat=100", most=LONGEST_SUMMARY)
        return CodeChange(summary, repositories.difference(*pair, most=LONGEST_DIFF + 1))
    except RepositoryError as error:
        return CodeChange(note=str(error))
