"""Ask for a build: two executions of one locked manifest, compared. Also where builds are found."""

from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from catalog.models import Dataset
from catalog.storage.connect import own_storage
from releases.builds import environments, repositories
from releases.draft import item_id_of
from releases.errors import NotBuildableError
from releases.jobs import engine
from releases.models import Build, Job, Release
from releases.people import require_permission
from releases.states import Move


def request_build(release: Release, *, by: Any, channel: str, now: datetime) -> Job:
    """Start the durable job that makes the environment, locks the manifest and builds twice.

    Raises NotAllowedError; NotBuildableError (not a draft, a source is not kept any more, or the dataset was renamed
    since it was drafted); RepositoryError; EnvironmentDefinitionError.
    """
    require_permission(by, "build")
    refuse_state(release)
    refuse_recipe(release)
    key = f"{job_prefix(release)}{next_round(release)}"
    with transaction.atomic():
        refuse_former_name(release)
        if not Release.objects.move(release.pk, Move("draft", "building", by, now, channel)):
            raise NotBuildableError(
                _("%(release)s: somebody moved it just now. Load the page again and look.") % {"release": release}
            )
        job = engine.start(key, "build", release.pk, now=now)
    release.refresh_from_db()
    return job


def refuse_state(release: Release) -> None:
    if release.state != Release.State.DRAFT:
        raise NotBuildableError(
            _("%(release)s: it is %(state)s, not a draft. Edit it to build it again.")
            % {"release": release, "state": release.get_state_display().lower()}
        )
    storage = own_storage()
    for source in release.sources.all():
        if storage.size(source.storage_key) != source.size_bytes:
            raise NotBuildableError(
                _("%(release)s: source %(name)s is not kept whole any more. Edit the draft and upload it again.")
                % {"release": release, "name": source.name},
                source=source.name,
            )


def refuse_former_name(release: Release) -> None:
    """Refuse a draft of before a rename; its dataset is locked, so that none happens until this transaction ends."""
    dataset = Dataset.objects.select_for_update().get(pk=release.version.dataset_id)
    if not release.version.items.filter(item_id=item_id_of(dataset, release.version)).exists():
        raise NotBuildableError(
            _(
                "%(version)s: the dataset was renamed since this was drafted. "
                'Edit the draft, so that its release.toml says identifier = "%(identifier)s".'
            )
            % {"version": f"{dataset} {release.version.shown}", "identifier": dataset.identifier}
        )


def refuse_recipe(release: Release) -> None:
    """Refuse code that is not kept here, and an environment that is not pinned; what else is wrong, a step finds."""
    recipe = release.recipe
    repositories.snapshot(recipe.repository, recipe.commit)
    text = repositories.read_text(recipe.repository, recipe.commit, recipe.environment)
    environments.check(recipe.environment, text)


def job_prefix(release: Release) -> str:
    """Give what the keys of a release's build jobs begin with; the number of the round follows."""
    return f"build:{release.version.dataset.identifier}:{release.version.number}:r"


def next_round(release: Release) -> int:
    """Count one on from the rounds that have builds, and from those that ended before they had any."""
    newest: int | None = release.builds.filter(purpose=Build.Purpose.REVIEW).aggregate(Max("round"))["round__max"]
    asked = Job.objects.filter(pipeline="build", key__startswith=job_prefix(release)).values_list("key", flat=True)
    return max([newest or 0, *(round_in(key) for key in asked)]) + 1


def round_in(key: str) -> int:
    """Read the number of the round out of a build job's key."""
    return int(key.rpartition(":r")[2])


def round_of(release_id: int) -> list[Build]:
    """Give the builds of the newest round, build 1 first: two, or one where no second is promised."""
    builds = Build.objects.filter(release_id=release_id, purpose=Build.Purpose.REVIEW).select_related("manifest")
    newest = builds.aggregate(Max("round"))["round__max"] or 0
    return list(builds.filter(round=newest).order_by("number"))


def folder_of(build: Build) -> Path:
    """Where a build works: scratch space of this machine, one folder a build."""
    return Path(settings.DFC_BUILDS_DIR) / str(build.release_id) / f"{build.purpose}-{build.round}-{build.number}"


def output_path(build: Build, path: str) -> Path:
    """Where a declared output of a build lies."""
    return folder_of(build) / "out" / path
