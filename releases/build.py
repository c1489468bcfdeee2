"""Build a release twice from its locked manifest and compare."""

import hashlib
import math
import shutil
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from catalog.digests import digest_file
from catalog.models import Dataset
from catalog.storage.connect import own_storage
from releases import environments, manifest, repositories
from releases.draft import item_id_of
from releases.errors import BuildFailedError, NotBuildableError, RepositoryError
from releases.executors.base import MEBI, Execution, Limits, Task
from releases.executors.local import local_executor
from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Build, BuildOutput, Job, Manifest, Release
from releases.people import require_permission
from releases.states import Move

ROUNDS = (1, 2)
LOG_BYTES = 200 * 1024
BLOCK_BYTES = 1 << 20


def request_build(release: Release, *, by: Any, channel: str, now: datetime) -> Job:
    """Lock the manifest, write the two Build rows of a new round, and start the durable job.

    Raises NotAllowedError; NotBuildableError (not a draft, a source is not kept any more, or the dataset was renamed
    since it was drafted); RepositoryError; EnvironmentDefinitionError.
    """
    require_permission(by, "build")
    refuse_state(release)
    body = manifest.lock(locked_recipe(release))
    round_number = next_round(release)
    version = release.version
    with transaction.atomic():
        refuse_former_name(release)
        if not Release.objects.move(release.pk, Move("draft", "building", by, now, channel)):
            raise NotBuildableError(
                _("%(release)s: somebody moved it just now. Load the page again and look.") % {"release": release}
            )
        row, _made = Manifest.objects.get_or_create(
            sha256=manifest.manifest_sha256(body), defaults={"body": body, "locked_at": now}
        )
        for number in ROUNDS:
            Build.objects.create(
                release=release,
                manifest=row,
                purpose=Build.Purpose.REVIEW,
                round=round_number,
                number=number,
                started_at=now,
            )
        key = f"build:{version.dataset.identifier}:{version.number}:r{round_number}"
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


def locked_recipe(release: Release) -> manifest.LockedRecipe:
    """Resolve everything that a build depends on to digests and exact ids."""
    recipe = release.recipe
    code = repositories.snapshot(recipe.repository, recipe.commit)
    lock = repositories.read_text(recipe.repository, recipe.commit, recipe.environment)
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
        environment=manifest.LockedEnvironment(
            recipe.environment, environments.environment_sha256(lock), environments.PYTHON
        ),
    )


def next_round(release: Release) -> int:
    newest: int | None = release.builds.filter(purpose=Build.Purpose.REVIEW).aggregate(Max("round"))["round__max"]
    return (newest or 0) + 1


def round_of(release_id: int) -> list[Build]:
    """Give the two builds of the newest round, build 1 first."""
    builds = Build.objects.filter(release_id=release_id, purpose=Build.Purpose.REVIEW).select_related("manifest")
    return sorted(builds.order_by("-round")[: len(ROUNDS)], key=lambda build: build.number)


def folder_of(build: Build) -> Path:
    """Where a build works: scratch space of this machine, one folder a build."""
    return Path(settings.DFC_BUILDS_DIR) / str(build.release_id) / f"{build.purpose}-{build.round}-{build.number}"


def output_path(build: Build, path: str) -> Path:
    """Where a declared output of a build lies."""
    return folder_of(build) / "out" / path


def expand_environment(release_id: int) -> Sequence[StepSpec]:
    recipe = Release.objects.select_related("recipe").get(pk=release_id).recipe
    return [StepSpec("releases.build.prepare_environment", release_id, recipe.environment)]


def expand_builds(release_id: int) -> Sequence[StepSpec]:
    return [StepSpec("releases.build.run_build", one.pk, f"Build {one.number}") for one in round_of(release_id)]


def environment_of(release: Release) -> environments.Environment:
    recipe = release.recipe
    lock = repositories.read_text(recipe.repository, recipe.commit, recipe.environment)
    return environments.prepare(lock, Path(settings.DFC_ENVIRONMENTS_DIR))


def prepare_environment(step: StepContext, release_id: int) -> None:
    """Make the environment ready; the only step of a build that may reach the package index."""
    step.progress(total_units=1)
    environment_of(Release.objects.select_related("recipe").get(pk=release_id))
    step.progress(done_units=1)


def run_build(step: StepContext, build_id: int) -> None:
    """Execute one build in an empty folder and write what came out. Safe to run twice.

    A recipe that fails is a result, written on the row; it is not an error of this step.
    """
    build = Build.objects.select_related("manifest", "release__recipe").get(pk=build_id)
    locked = manifest.read(build.manifest.body, sha256=build.manifest.sha256)
    environment = environment_of(build.release)
    execution, finding = execute(step, build, locked, environment)
    outputs = [] if finding else digest_outputs(step, build, locked)
    with step.finish():
        write_outcome(build, execution, environment, finding)
        build.outputs.all().delete()
        BuildOutput.objects.bulk_create(outputs)


def execute(
    step: StepContext, build: Build, locked: manifest.LockedRecipe, environment: environments.Environment
) -> tuple[Execution, str]:
    """Lay out and run one build; gives how it ended, and in a sentence why it is no build, empty if it is one.

    The recipe is ended within seconds when its job is stopped or this worker has to stop.
    """
    folder = folder_of(build)
    try:
        refuse_environment(environment, locked)
        lay_out(folder, build.release, locked)
    except (BuildFailedError, RepositoryError) as error:
        return Execution(exit_code=None, isolation=""), str(error)
    task = task_for(folder, locked, environment.python)
    execution = local_executor().run(task, tick=partial(step.progress, done_bytes=0))
    return execution, judge(folder, locked, execution)


def refuse_environment(environment: environments.Environment, locked: manifest.LockedRecipe) -> None:
    if environment.sha256 != locked.environment.sha256:
        raise BuildFailedError(
            f"The manifest locks an environment of Python {locked.environment.python}, this worker has "
            f"{environments.PYTHON}. Build again, so that it is locked anew, or give the workers that Python."
        )


def lay_out(folder: Path, release: Release, locked: manifest.LockedRecipe) -> None:
    """Empty a build's folder and put code, sources and parameters in place.

    Raises BuildFailedError when a kept source has other bytes than those that were locked.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "out").mkdir(parents=True)
    repositories.archive(locked.code.repository, locked.code.commit, folder / "code")
    (folder / "inputs" / "sources").mkdir(parents=True)
    (folder / "inputs" / "parameters.json").write_text(locked.parameters, encoding="utf-8")
    keys = dict(release.sources.values_list("name", "storage_key"))
    for source in locked.sources:
        copy_source(source, keys[source.name], folder / "inputs" / "sources" / source.name)


def copy_source(source: manifest.LockedSource, key: str, target: Path) -> None:
    digest, storage = hashlib.sha256(), own_storage()
    if storage.size(key) == source.size_bytes:
        with target.open("wb") as file:
            for block in storage.read(key):
                digest.update(block)
                file.write(block)
    if digest.hexdigest() != source.sha256:
        raise BuildFailedError(
            f"Source {source.name}: what our storage keeps as {key} is gone or has other bytes than were locked. "
            "Remove it there, and edit the draft with the right file."
        )


def task_for(folder: Path, locked: manifest.LockedRecipe, python: Path) -> Task:
    """Say how a recipe is called; docs/rebuild.md promises exactly this to its authors."""
    inputs = folder / "inputs"
    return Task(
        command=(
            str(python),
            locked.entry_point,
            *("--sources", str(inputs / "sources")),
            *("--out", str(folder / "out")),
            *("--parameters", str(inputs / "parameters.json")),
        ),
        code=folder / "code",
        inputs=(inputs,),
        out=folder / "out",
        log=folder / "log.txt",
        environment={**manifest.FIXED_ENVIRONMENT, "SOURCE_DATE_EPOCH": str(locked.code.committed_at)},
        limits=limits(),
    )


def limits() -> Limits:
    """Give what one execution may use; the processor's time is that of one process."""
    return Limits(
        wall_s=settings.DFC_BUILD_WALL_S,
        cpu_s=math.ceil(settings.DFC_BUILD_WALL_S),
        memory_bytes=settings.DFC_BUILD_MEMORY_MIB * MEBI,
    )


def judge(folder: Path, locked: manifest.LockedRecipe, execution: Execution) -> str:
    """Say in a sentence why an execution is no build; empty if it gave exactly the declared outputs."""
    if execution.exit_code is None:
        return (
            f"The recipe ran longer than {settings.DFC_BUILD_WALL_S:g} s and was stopped. Make it faster, or ask the "
            "administrator to raise DFC_BUILD_WALL_S."
        )
    if execution.exit_code < 0:
        return f"The recipe was ended by signal {-execution.exit_code}; look at its log and its use of memory."
    if execution.exit_code > 0:
        return f"The recipe ended with exit code {execution.exit_code}; its log says why."
    return judge_files(folder / "out", set(locked.outputs))


def judge_files(out: Path, declared: set[str]) -> str:
    paths = {
        path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_symlink() or not path.is_dir()
    }
    odd = sorted(name for name, path in paths.items() if path.is_symlink() or not path.is_file())
    missing, extra = sorted(declared - paths.keys()), sorted(paths.keys() - declared)
    if odd:
        return f"The recipe left {odd[0]}, which is no plain file. Write the file itself."
    if missing:
        return f"The recipe did not make {', '.join(missing[:5])}. Correct the recipe or the declared outputs."
    if extra:
        return f"The recipe also made {', '.join(extra[:5])}, which nobody declared. Declare it, or do not make it."
    return ""


def digest_outputs(step: StepContext, build: Build, locked: manifest.LockedRecipe) -> list[BuildOutput]:
    paths = {path: output_path(build, path) for path in locked.outputs}
    step.progress(total_bytes=sum(path.stat().st_size for path in paths.values()))
    rows, done = [], 0
    for name, path in paths.items():
        digests = digest_file(path)
        done += digests.size_bytes
        step.progress(done_bytes=done)
        rows.append(
            BuildOutput(
                build=build,
                path=name,
                size_bytes=digests.size_bytes,
                sha256=digests.sha256,
                sha1=digests.sha1,
                md5=digests.md5,
            )
        )
    return rows


def log_tail(path: Path) -> str:
    """Give the end of a log as text that every database takes; empty where nothing ran."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_BYTES))
        return file.read().decode(errors="replace").replace("\0", "�")


def write_outcome(build: Build, execution: Execution, environment: environments.Environment, finding: str) -> None:
    """End a build's row: verdict `first` for build 1 that worked; build 2 waits for the comparison."""
    build.state = Build.State.FAILED if finding else Build.State.SUCCEEDED
    build.verdict = Build.Verdict.FAILED if finding else Build.Verdict.FIRST
    build.executor = local_executor().name
    build.isolation = execution.isolation
    build.environment_sha256 = environment.sha256
    build.log = log_tail(folder_of(build) / "log.txt")
    build.finding = finding
    build.ended_at = timezone.now()
    build.save()
