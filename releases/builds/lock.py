"""Make the environment of a round and lock its manifest: from then on nothing that a build depends on changes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from releases import manifest
from releases.build import round_in
from releases.builds import containerfile, environments, images, repositories
from releases.executors.base import Tick, nothing
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Build, EnvironmentImage, Manifest, Recipe, Release

# An environment in which a recipe can be called now; its `sha256` is its name in the manifest.
Ready = environments.Environment | images.Image


def expand_environment(release_id: int) -> Sequence[StepSpec]:
    recipe = Release.objects.select_related("recipe").get(pk=release_id).recipe
    return [StepSpec("releases.builds.lock.prepare_environment", release_id, recipe.environment)]


def prepare_environment(step: StepContext, release_id: int) -> None:
    """Make the environment, lock the manifest with its digest, and write the Build rows of the round.

    The only step of a build that may reach a package index or a registry. Safe to run twice.
    """
    release = Release.objects.select_related("recipe", "version__dataset").get(pk=release_id)
    step.progress(total_units=1)
    environment = locked_environment(release.recipe, tick=partial(step.progress, done_units=0))
    body = manifest.lock(locked_recipe(release, environment))
    step.progress(done_units=1)
    with step.finish():
        write_round(release, body, round_in(step.job_key))


def write_round(release: Release, body: str, number: int) -> None:
    now = timezone.now()
    row, _made = Manifest.objects.get_or_create(
        sha256=manifest.manifest_sha256(body), defaults={"body": body, "locked_at": now}
    )
    Build.objects.bulk_create(
        Build(
            release=release,
            manifest=row,
            purpose=Build.Purpose.REVIEW,
            round=number,
            number=one,
            started_at=now,
        )
        for one in ((1,) if release.reproducibility == Release.Reproducibility.NOT_REBUILDABLE else (1, 2))
    )


def locked_environment(recipe: Recipe, *, tick: Tick) -> manifest.LockedEnvironment | manifest.LockedImage:
    """Make the environment of a recipe, of either kind, and give what names it."""
    path = recipe.environment
    if not containerfile.is_containerfile(path):
        ready = environments.prepare(lock_of(recipe), Path(settings.DFC_ENVIRONMENTS_DIR))
        return manifest.LockedEnvironment(path, ready.sha256, environments.PYTHON)
    row = image_of(recipe, tick=tick)
    bases = (line.split("@sha256:") for line in row.bases.splitlines())
    return manifest.LockedImage(
        path=path,
        sha256=row.image_id,
        platform=row.platform,
        bases=tuple(manifest.LockedBase(name, sha256) for name, sha256 in bases),
        packages_sha256=images.packages_sha256(row),
    )


def lock_of(recipe: Recipe) -> str:
    return repositories.read_text(recipe.repository, recipe.commit, recipe.environment)


def image_of(recipe: Recipe, *, tick: Tick = nothing) -> EnvironmentImage:
    """Give the kept image of a recipe whose environment is a Containerfile, made now if it never was."""
    code = repositories.snapshot(recipe.repository, recipe.commit)
    return images.image_row(recipe.repository, code, recipe.environment, tick=tick, now=timezone.now())


def environment_of(recipe: Recipe) -> Ready:
    """Give the environment of a recipe ready for use on this machine, as it was made for the lock."""
    if containerfile.is_containerfile(recipe.environment):
        return images.ready(image_of(recipe))
    return environments.prepare(lock_of(recipe), Path(settings.DFC_ENVIRONMENTS_DIR))


def locked_recipe(
    release: Release, environment: manifest.LockedEnvironment | manifest.LockedImage
) -> manifest.LockedRecipe:
    """Resolve everything that a build depends on to digests and exact ids."""
    recipe = release.recipe
    code = repositories.snapshot(recipe.repository, recipe.commit)
    return manifest.LockedRecipe(
        dataset=release.version.dataset.identifier,
        version=release.version.number,
        entry_point=recipe.entry_point,
        parameters=recipe.parameters,
        outputs=tuple(release.outputs.values_list("path", flat=True)),
        sources=tuple(
            manifest.LockedSource(one.name, one.url, one.sha256, one.size_bytes) for one in release.sources.all()
        ),
        code=manifest.LockedCode(recipe.repository, code.commit, code.tree, code.committed_at),
        environment=environment,
    )
