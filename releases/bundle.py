"""The source bundle: all that a stranger needs to make a version again, in one deterministic archive."""

import gzip
import io
import json
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
from releases import manifest, repositories
from releases.definition import read_definition
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Build, Release
from releases.review import metadata, reviewed_build
from releases.seal import seal_file, version_item

NAME = "source-bundle.tar.gz"
FILES = Path(__file__).with_name("bundle_files")
EXECUTABLE = "rebuild.py"


def expand_bundle(release_id: int) -> Sequence[StepSpec]:
    return [StepSpec("releases.bundle.make_bundle", release_id, NAME)]


def make_bundle(step: StepContext, release_id: int) -> None:
    """Write the bundle and seal it as an Asset of the version. Safe to run twice: the bytes are the same."""
    release = Release.objects.select_related("version__dataset__package", "recipe").get(pk=release_id)
    with tempfile.TemporaryDirectory(prefix="bundle-") as scratch:
        target = Path(scratch) / NAME
        write_bundle(target, contents(release, Path(scratch)), epoch=approved_epoch(release))
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


def write_bundle(target: Path, files: Mapping[str, bytes], *, epoch: int) -> None:
    """Write files as a gzipped tar whose bytes depend on nothing but names, contents and `epoch`.

    Names in order, no owners, one time, fixed modes and compression level, no name and time in the gzip header.
    """
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=9) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            entry.mtime = epoch
            entry.mode = 0o755 if name == EXECUTABLE else 0o644
            tar.addfile(entry, io.BytesIO(files[name]))


def contents(release: Release, scratch: Path) -> dict[str, bytes]:
    """Gather the files of a bundle by their names in it."""
    build = reviewed_build(release)
    recipe = release.recipe
    code = scratch / "code"
    repositories.archive(recipe.repository, recipe.commit, code)
    lock = repositories.read_text(recipe.repository, recipe.commit, recipe.environment)
    described = {f"code/{path.relative_to(code).as_posix()}": path.read_bytes() for path in plain_files(code)}
    return {
        **described,
        "environment/requirements.lock": lock.encode(),
        "manifest.json": build.manifest.body.encode(),
        "sources.json": shown(sources(release)),
        "outputs.json": shown(outputs(build)),
        "metadata.json": shown(description(release)),
        **{path.name: path.read_bytes() for path in plain_files(FILES) if path.suffix in {".py", ".md"}},
    }


def plain_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def shown(document: Any) -> bytes:
    """Write JSON that people can read, in one way only."""
    canonical = json.loads(rfc8785.dumps(document))
    return (json.dumps(canonical, ensure_ascii=False, indent=2) + "\n").encode()


def sources(release: Release) -> list[dict[str, Any]]:
    """Say where each source can be had: our own door first when it travels with the version, then upstream."""
    version = release.version
    door = f"{settings.DFC_SITE_URL}/d/{version.dataset.identifier}/{version.shown}/sources"
    return [
        {
            "name": one.name,
            "sha256": one.sha256,
            "size_bytes": one.size_bytes,
            "places": [*([f"{door}/{one.name}"] if release.includes_sources else []), one.url],
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
        "build_type": manifest.BUILD_TYPE,
        "en": metadata(definition, "en"),
        "fr": metadata(definition, "fr"),
    }
