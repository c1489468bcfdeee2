"""Execute the builds of a round, each in an empty folder, and write what came out."""

import hashlib
import math
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from catalog.digests import digest_file
from catalog.storage.connect import own_storage
from releases import manifest
from releases.build import folder_of, output_path, round_of
from releases.builds import environments, repositories
from releases.builds.lock import Ready, environment_of
from releases.errors import BuildFailedError, RepositoryError
from releases.executors.base import MEBI, Execution, Limits, Task
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Build, BuildOutput, Release

LOG_BYTES = 200 * 1024


def expand_builds(release_id: int) -> Sequence[StepSpec]:
    return [
        StepSpec("releases.builds.execute.run_build", one.pk, f"Build {one.number}") for one in round_of(release_id)
    ]


def run_build(step: StepContext, build_id: int) -> None:
    """Execute one build in an empty folder and write what came out. Safe to run twice.

    A recipe that fails is a result, written on the row; it is not an error of this step.
    """
    build = Build.objects.select_related("manifest", "release__recipe").get(pk=build_id)
    locked = manifest.read(build.manifest.body, sha256=build.manifest.sha256)
    environment = environment_of(build.release.recipe)
    execution, finding = execute(step, build, locked, environment)
    outputs = [] if finding else digest_outputs(step, build, locked)
    with step.finish():
        write_outcome(build, execution, environment, finding)
        build.outputs.all().delete()
        BuildOutput.objects.bulk_create(outputs)


def execute(
    step: StepContext, build: Build, locked: manifest.LockedRecipe, environment: Ready
) -> tuple[Execution, str]:
    """Lay out and run one build; gives how it ended, and in a sentence why it is no build, empty if it is one.

    The recipe is ended within seconds when its job is stopped or this worker has to stop.
    """
    folder, executor = folder_of(build), environment.executor()
    executor.discard(name_of(folder))
    try:
        refuse_environment(environment, locked)
        lay_out(folder, build.release, locked)
    except (BuildFailedError, RepositoryError) as error:
        return Execution(exit_code=None, isolation=""), str(error)
    execution = executor.run(task_for(folder, locked, environment), tick=partial(step.progress, done_bytes=0))
    return execution, judge(folder, locked, execution)


def refuse_environment(environment: Ready, locked: manifest.LockedRecipe) -> None:
    if environment.sha256 == locked.environment.sha256:
        return
    if isinstance(locked.environment, manifest.LockedImage):
        raise BuildFailedError(
            f"The manifest locks image {locked.environment.sha256}, its Containerfile has {environment.sha256} now. "
            "Build again, so that it is locked anew."
        )
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


def task_for(folder: Path, locked: manifest.LockedRecipe, environment: Ready) -> Task:
    inputs = folder / "inputs"
    return Task(
        command=environment.command(locked.entry_point, inputs=inputs, out=folder / "out"),
        code=folder / "code",
        inputs=(inputs,),
        out=folder / "out",
        log=folder / "log.txt",
        environment={**manifest.FIXED_ENVIRONMENT, "SOURCE_DATE_EPOCH": str(locked.code.committed_at)},
        limits=limits(),
        name=name_of(folder),
    )


def name_of(folder: Path) -> str:
    """Name what runs in a folder, the same in each try; two installations on one machine never share a name."""
    return f"dfc-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"


def limits() -> Limits:
    """Give what one execution may use; the processor's time is that of one process."""
    return Limits(
        wall_s=settings.DFC_BUILD_WALL_S,
        cpu_s=math.ceil(settings.DFC_BUILD_WALL_S),
        memory_bytes=settings.DFC_BUILD_MEMORY_MIB * MEBI,
        disk_bytes=settings.DFC_BUILD_DISK_MIB * MEBI,
        processors=settings.DFC_BUILD_PROCESSORS,
    )


def judge(folder: Path, locked: manifest.LockedRecipe, execution: Execution) -> str:
    """Say in a sentence why an execution is no build; empty if it gave exactly the declared outputs."""
    if execution.is_over_disk:
        return (
            f"The recipe wrote more than {settings.DFC_BUILD_DISK_MIB} MiB and was stopped. Write less, or ask the "
            "administrator to raise DFC_BUILD_DISK_MIB."
        )
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


def write_outcome(build: Build, execution: Execution, environment: Ready, finding: str) -> None:
    """End a build's row: verdict `first` for build 1 that worked; build 2 waits for the comparison."""
    build.state = Build.State.FAILED if finding else Build.State.SUCCEEDED
    build.verdict = Build.Verdict.FAILED if finding else Build.Verdict.FIRST
    build.executor = environment.executor().name
    build.isolation = execution.isolation
    build.environment_sha256 = environment.sha256
    build.log = log_tail(folder_of(build) / "log.txt")
    build.finding = finding
    build.ended_at = timezone.now()
    build.save()
