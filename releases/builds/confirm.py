"""Confirm a release: build it once more from its sealed source bundle, in an empty folder, and compare."""

import shutil
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from django.utils import timezone

from catalog.models import Asset
from catalog.storage.base import Storage
from catalog.storage.connect import own_storage
from releases.build import folder_of
from releases.builds import images
from releases.builds.content import has_same_content
from releases.builds.environments import PYTHON
from releases.builds.execute import judge_files, log_tail, name_of
from releases.builds.images import Image
from releases.builds.lock import Ready, environment_of, image_of
from releases.bundle import NAME
from releases.errors import PublicationError
from releases.executors.base import Execution, Limits, Task, Tick
from releases.executors.engine import environment as engine_environment
from releases.executors.local import LocalExecutor, local_executor
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Build, Release
from releases.review import reviewed_build

DIFFERENT = 1
# The engine keeps the limits of the container; its own commands reserve more memory than they use.
NO_LIMITS = Limits(memory_bytes=1 << 46)
VERDICTS = {0: Build.Verdict.IDENTICAL, DIFFERENT: Build.Verdict.DIFFERENT}


def expand_confirm(release_id: int) -> Sequence[StepSpec]:
    """Give one step, or none where the policy declares the confirmation off, with its public reason."""
    release = Release.objects.get(pk=release_id)
    return (
        [StepSpec("releases.builds.confirm.confirm_build", release_id, "rebuild.py")] if release.is_confirmed else []
    )


def confirm_build(step: StepContext, release_id: int) -> None:
    """Unpack the bundle, run its rebuild.py and keep the verdict. Safe to run twice.

    Raises PublicationError when the bytes differ or the bundle does not build; the row says how.
    """
    release = Release.objects.select_related("version", "recipe").get(pk=release_id)
    reviewed = reviewed_build(release)
    build, _ = Build.objects.get_or_create(
        release=release,
        round=reviewed.round,
        purpose=Build.Purpose.CONFIRM,
        number=1,
        defaults={"manifest": reviewed.manifest, "started_at": timezone.now()},
    )
    environment = environment_of(release.recipe)
    folder = folder_of(build)
    environment.executor().discard(name_of(folder))
    lay_out(folder, release)
    step.progress(done_units=1, total_units=2)
    execution = rebuild(folder, release, environment, tick=partial(step.progress, done_units=1))
    step.progress(done_units=2)
    write_verdict(build, execution, environment)
    if build.verdict == Build.Verdict.DIFFERENT and is_content_enough(folder, release):
        build.verdict = Build.Verdict.SAME_CONTENT
        build.save(update_fields=["verdict"])
    if build.verdict not in {Build.Verdict.IDENTICAL, Build.Verdict.SAME_CONTENT}:
        raise PublicationError(
            f"{release}: rebuilt from its source bundle, it is {build.get_verdict_display().lower()}. "
            "The log of that build names the files; stop this publication and correct the recipe."
        )


def lay_out(folder: Path, release: Release) -> None:
    """Put the unpacked bundle and the sources, and nothing else of ours, into an empty folder."""
    storage = own_storage()
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "out").mkdir(parents=True)
    (folder / "sources").mkdir()
    bundle = release.version.items.get(tile="").assets.get(path=NAME)
    with storage.local_copy(bundle.storage_key) as path, tarfile.open(path) as tar:
        tar.extractall(folder / "bundle", filter="data")
    for source in release.sources.all():
        with (folder / "sources" / source.name).open("wb") as file:
            file.writelines(storage.read(source.storage_key))


def is_content_enough(folder: Path, release: Release) -> bool:
    """Tell whether a rebuild gave the promised files, each with the content that was sealed, and that is promised."""
    if release.reproducibility != Release.Reproducibility.SAME_CONTENT:
        return False
    declared, storage = set(release.outputs.values_list("path", flat=True)), own_storage()
    sealed = release.version.items.get(tile="").assets.filter(path__in=declared)
    return not judge_files(folder / "out", declared) and all(
        is_same_content(storage, one, folder / "out" / one.path) for one in sealed
    )


def is_same_content(storage: Storage, asset: Asset, made: Path) -> bool:
    with storage.local_copy(asset.storage_key) as sealed:
        return has_same_content(sealed, made)


def rebuild(folder: Path, release: Release, environment: Ready, *, tick: Tick) -> Execution:
    """Call the bundle's own rebuild.py with the plain interpreter, without our code on its path.

    That of a container starts the engine by itself, which cannot be done from within a confinement.
    """
    if isinstance(environment, Image):
        images.fetch(image_of(release.recipe), folder / "image.tar")
        task = task_for(folder, container_words(folder, environment), inputs=())
        run = replace(task, environment={**engine_environment(), **task.environment}, limits=NO_LIMITS)
        execution = LocalExecutor(None).run(run, tick=tick)
        return replace(execution, isolation=f"rebuild.py with {environment.executor().isolation}")
    words, inputs = ("--wheels", str(environment.wheels)), (folder / "sources", environment.wheels)
    return local_executor().run(task_for(folder, words, inputs=inputs), tick=tick)


def container_words(folder: Path, environment: Image) -> tuple[str, ...]:
    runtime = ("--runtime", environment.engine.runtime) if environment.engine.runtime else ()
    return (
        *("--image", str(folder / "image.tar"), "--engine", environment.engine.program, *runtime),
        *("--name", name_of(folder)),
    )


def task_for(folder: Path, words: tuple[str, ...], *, inputs: tuple[Path, ...]) -> Task:
    interpreter = Path(sys.base_prefix) / "bin" / f"python{PYTHON}"
    return Task(
        command=(
            *(str(interpreter), "-I", "rebuild.py"),
            *("--sources", str(folder / "sources")),
            *words,
            *("--out", str(folder / "out")),
        ),
        code=folder / "bundle",
        inputs=inputs,
        out=folder / "out",
        log=folder / "log.txt",
        environment={"LC_ALL": "C.UTF-8"},
    )


def write_verdict(build: Build, execution: Execution, environment: Ready) -> None:
    """Keep the verdict of a rebuild: the exit code of rebuild.py is its word."""
    code = execution.exit_code
    build.verdict = VERDICTS.get(code, Build.Verdict.FAILED) if code is not None else Build.Verdict.FAILED
    build.state = Build.State.FAILED if build.verdict == Build.Verdict.FAILED else Build.State.SUCCEEDED
    build.executor = environment.executor().name
    build.isolation = execution.isolation
    build.environment_sha256 = environment.sha256
    build.log = log_tail(folder_of(build) / "log.txt")
    build.ended_at = timezone.now()
    build.save()
