"""The source bundle: all that a stranger needs to make a version again, in one deterministic archive."""

import gzip
import json
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rfc8785
from django.conf import settings
from django.utils import timezone

from catalog.models import Asset
from catalog.storage.connect import own_storage
from releases import manifest
from releases.builds import repositories
from releases.builds.containerfile import is_containerfile
from releases.builds.lock import image_of
from releases.drafts.definition import read_definition
from releases.jobs.context import StepContext
from releases.models import Build, Release
from releases.review import metadata, reviewed_build
from releases.seal import IMAGE_PATH, seal_file, source_path, version_item

NAME = "source-bundle.tar.gz"
FILES = Path(__file__).with_name("bundle_files")
Places = Mapping[str, Sequence[str]]
OWN_FILES = {"rebuild.py": 0o755, "attest.py": 0o644, "REBUILD.md": 0o644}


def write_and_seal(step: StepContext, release: Release, *, places: Places) -> None:
    """Write the bundle and seal it as an Asset of the version. Safe to run twice: the sealed bytes stay.

    `places` are the addresses that a kept source has on mirrors, by its path; the first one is asked first.
    """
    folder = Path(settings.DFC_BUILDS_DIR) / str(release.pk)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bundle-", dir=folder) as scratch:
        target, inside = Path(scratch) / NAME, Path(scratch) / "inside"
        lay_out(release, inside, places=places)
        write_bundle(target, inside, epoch=approved_epoch(release))
        step.progress(done_units=1, total_units=1)
        seal_file(
            version_item(release),
            key="source-bundle",
            role=Asset.Role.SOURCE_BUNDLE,
            path=NAME,
            media_type="application/gzip",
            source=target,
            expected_sha256=None,
            storage=own_storage(),
            now=timezone.now(),
        )


def approved_epoch(release: Release) -> int:
    """Give the second of approval: the one time that a bundle carries."""
    if release.approved_at is None:
        raise ValueError(f"{release} has not been approved")
    return int(release.approved_at.timestamp())


def lay_out(release: Release, folder: Path, *, places: Places) -> None:
    """Put all that belongs into a bundle into an empty folder, under the names that it has there."""
    build, recipe = reviewed_build(release), release.recipe
    repositories.archive(recipe.repository, recipe.commit, folder / "code")
    (folder / "environment").mkdir()
    texts = {
        **environment_texts(release, places),
        "manifest.json": build.manifest.body,
        "parameters.json": recipe.parameters,
        "sources.json": shown(sources(release, places)),
        "outputs.json": shown(outputs(build)),
        "metadata.json": shown(description(release)),
    }
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode())
    for name, mode in OWN_FILES.items():
        shutil.copyfile(FILES / name, folder / name)
        (folder / name).chmod(mode)


def environment_texts(release: Release, places: Places) -> dict[str, str]:
    """Give the definition of the environment, and of a container where its image can be had."""
    recipe = release.recipe
    text = repositories.read_text(recipe.repository, recipe.commit, recipe.environment)
    if not is_containerfile(recipe.environment):
        return {"environment/requirements.lock": text}
    image = image_of(recipe)
    described = {
        "name": image.path,
        "image": image.image_id,
        "platform": image.platform,
        "sha256": image.archive_sha256,
        "size_bytes": image.size_bytes,
        "places": list(places.get(IMAGE_PATH, ())),
    }
    return {
        "environment/Containerfile": text,
        "environment/packages.txt": image.packages,
        "environment.json": shown(described),
    }


def write_bundle(target: Path, folder: Path, *, epoch: int) -> None:
    """Write a folder as a gzipped tar whose bytes depend on nothing but names, contents, links and `epoch`.

    Names in order, no owners, one time, modes 0755 and 0644 only, fixed compression level, no name and time in
    the gzip header. Files are streamed; folders are not listed, since a tree of git has no empty ones.
    """
    inside = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=9) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in inside):
            entry = entry_of(path, name, epoch)
            if entry.issym():
                tar.addfile(entry)
                continue
            with path.open("rb") as file:
                tar.addfile(entry, file)


def entry_of(path: Path, name: str, epoch: int) -> tarfile.TarInfo:
    """Describe one file or symbolic link, with nothing of this machine in it."""
    entry = tarfile.TarInfo(name)
    entry.mtime = epoch
    if path.is_symlink():
        entry.type, entry.mode = tarfile.SYMTYPE, 0o777
        entry.linkname = os.readlink(path)  # noqa: PTH115  Path would respell it
        return entry
    found = path.stat()
    entry.size = found.st_size
    entry.mode = 0o755 if found.st_mode & stat.S_IXUSR else 0o644
    return entry


def shown(document: Any) -> str:
    """Write JSON that people can read, in one way only."""
    canonical = json.loads(rfc8785.dumps(document))
    return json.dumps(canonical, ensure_ascii=False, indent=2) + "\n"


def sources(release: Release, places: Places) -> list[dict[str, Any]]:
    """Say where each source can be had: on mirrors where it travels with the version, then from its first server."""
    return [
        {
            "name": one.name,
            "sha256": one.sha256,
            "size_bytes": one.size_bytes,
            "places": [*places.get(source_path(one.name), ()), one.url],
        }
        for one in release.sources.order_by("name")
    ]


def outputs(build: Build) -> list[dict[str, Any]]:
    return [
        {"path": one.path, "sha256": one.sha256, "size_bytes": one.size_bytes}
        for one in build.outputs.order_by("path")
    ]


def description(release: Release) -> dict[str, Any]:
    definition = read_definition(release.definition)
    version = release.version
    return {
        "dataset": version.dataset.identifier,
        "version": version.number,
        "doi": version.doi,
        "build_type": manifest.build_type(manifest.read(reviewed_build(release).manifest.body)),
        "attestations": f"{settings.DFC_SITE_URL}/api/v1/attestations/",
        "en": metadata(definition, "en"),
        "fr": metadata(definition, "fr"),
    }
