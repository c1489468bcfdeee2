"""Seal the reviewed bytes: copy them into our own storage, compare digests, write the Asset rows."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from catalog.digests import Digester, FileDigests
from catalog.models import Asset, Item, PieceTable, Version
from catalog.storage.base import Storage
from catalog.storage.connect import own_storage
from releases.build import output_path
from releases.builds.containerfile import is_containerfile
from releases.builds.lock import image_of
from releases.errors import SealError
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import DeclaredOutput, Release, SourceFile
from releases.review import reviewed_build

BLOCK_BYTES = 1 << 20
IMAGE_PATH = "environment/image.tar"


def storage_key(version: Version, path: str) -> str:
    """Where an Asset lies in our storage, and under the same key on every mirror."""
    dataset = version.dataset
    return f"{dataset.package.slug}/processed/{dataset.identifier}/{version.shown}/{path}"


def seal_file(
    item: Item,
    *,
    key: str,
    role: str,
    path: str,
    media_type: str,
    source: Path,
    expected_sha256: str | None,
    storage: Storage,
    now: datetime,
    progress: Callable[[int], None] | None = None,
) -> Asset:
    """Copy `source` into storage while hashing it, and write its Asset. Safe to run twice.

    Raises SealError if the bytes have not the expected sha256; the copy is then removed.
    """
    sealed = item.assets.filter(path=path).first()
    if sealed is not None:
        return sealed
    target = storage_key(item.version, path)
    digests = copy(source, target, storage, tag=(expected_sha256 or "")[:16], progress=progress)
    if expected_sha256 is not None and digests.sha256 != expected_sha256:
        storage.delete(target)
        raise SealError(
            f"{path}: its sha256 is {digests.sha256} now, {expected_sha256} was reviewed. "
            "The build folder was changed; stop this publication and build again.",
            path=path,
        )
    with transaction.atomic():
        return write_rows(
            Asset(
                item=item,
                key=key,
                role=role,
                path=path,
                media_type=media_type,
                size_bytes=digests.size_bytes,
                sha256=digests.sha256,
                sha1=digests.sha1,
                md5=digests.md5,
                storage_key=target,
                sealed_at=now,
            ),
            digests,
        )


def write_rows(asset: Asset, digests: FileDigests) -> Asset:
    asset.save(force_insert=True)
    if digests.pieces is not None:
        PieceTable.objects.create(
            asset=asset,
            piece_length=digests.pieces.piece_length,
            v1=digests.pieces.v1,
            v2_root=digests.pieces.v2_root,
            v2_layer=digests.pieces.v2_layer,
        )
    return asset


def copy(
    source: Path, target: str, storage: Storage, *, tag: str, progress: Callable[[int], None] | None
) -> FileDigests:
    """Copy a file into storage and hash the same pass; a copy that stopped half-way goes on at its length."""
    size_bytes = source.stat().st_size
    digester = Digester(size_bytes)

    def hashed(start: int) -> Iterator[bytes]:
        position = 0
        with source.open("rb") as file:
            while block := file.read(min(BLOCK_BYTES, start - position) if position < start else BLOCK_BYTES):
                digester.update(block)
                position += len(block)
                if position > start:
                    yield block

    storage.write(target, size_bytes, hashed, tag=tag, progress=progress)
    return digester.finish()


def expand_seal(release_id: int) -> Sequence[StepSpec]:
    release = Release.objects.get(pk=release_id)
    specs = [StepSpec("releases.seal.seal_output", one.pk, one.path) for one in release.outputs.all()]
    if release.includes_sources:
        specs += [StepSpec("releases.seal.seal_source", one.pk, one.name) for one in release.sources.all()]
    if release.includes_environment and is_containerfile(release.recipe.environment):
        specs += [StepSpec("releases.seal.seal_environment", release.pk, IMAGE_PATH)]
    return specs


def seal_output(step: StepContext, output_id: int) -> None:
    """Seal one declared output from the first of the two equal builds."""
    output = DeclaredOutput.objects.select_related("release__version__dataset__package").get(pk=output_id)
    build = reviewed_build(output.release)
    built = build.outputs.get(path=output.path)
    step.progress(total_bytes=built.size_bytes)
    seal_file(
        version_item(output.release),
        key=output.key,
        role=output.role,
        path=output.path,
        media_type=output.media_type,
        source=output_path(build, output.path),
        expected_sha256=built.sha256,
        storage=own_storage(),
        now=timezone.now(),
        progress=lambda done: step.progress(done_bytes=done),
    )


def seal_source(step: StepContext, source_id: int) -> None:
    """Seal one upstream file beside the data, so that a rebuild needs no other server."""
    source = SourceFile.objects.select_related("release__version__dataset__package").get(pk=source_id)
    storage = own_storage()
    position = source.release.sources.filter(name__lt=source.name).count()
    step.progress(total_bytes=source.size_bytes)
    with storage.local_copy(source.storage_key) as kept:
        seal_file(
            version_item(source.release),
            key="source" if position == 0 else f"source-{position + 1}",
            role=Asset.Role.SOURCE,
            path=source_path(source.name),
            media_type=source.media_type,
            source=kept,
            expected_sha256=source.sha256,
            storage=storage,
            now=timezone.now(),
            progress=lambda done: step.progress(done_bytes=done),
        )


def source_path(name: str) -> str:
    """Where an upstream file lies among the files of its version."""
    return f"sources/{name}"


def seal_environment(step: StepContext, release_id: int) -> None:
    """Seal the container's image beside the data, so that a rebuild needs no registry."""
    release = Release.objects.select_related("recipe", "version__dataset__package").get(pk=release_id)
    image, storage = image_of(release.recipe), own_storage()
    step.progress(total_bytes=image.size_bytes)
    with storage.local_copy(image.storage_key) as kept:
        seal_file(
            version_item(release),
            key="environment",
            role=Asset.Role.ENVIRONMENT,
            path=IMAGE_PATH,
            media_type="application/x-tar",
            source=kept,
            expected_sha256=image.archive_sha256,
            storage=storage,
            now=timezone.now(),
            progress=lambda done: step.progress(done_bytes=done),
        )


def version_item(release: Release) -> Item:
    return release.version.items.select_related("version__dataset__package").get(tile="")
