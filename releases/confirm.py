"""Confirm a release: build it once more from its sealed source bundle, in an empty folder, and compare."""

import shutil
import sys
import tarfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from django.utils import timezone

from catalog.storage.connect import own_storage
from releases.build import environment_of, folder_of, log_tail
from releases.bundle import NAME
from releases.environments import PYTHON, Environment
from releases.errors import PublicationError
from releases.executors.base import Execution, Task
from releases.executors.local import local_executor
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Build, Release
from releases.review import reviewed_build

DIFFERENT = 1
VERDICTS = {0: Build.Verdict.IDENTICAL, DIFFERENT: Build.Verdict.DIFFERENT}


def expand_confirm(release_id: int) -> Sequence[StepSpec]:
    """Give one step, or none where the policy declares the confirmation off, with its public reason."""
    release = Release.objects.get(pk=release_id)
    return [StepSpec("releases.confirm.confirm_build", release_id, "rebuild.py")] if release.is_confirmed else []


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
    environment = environment_of(release)
    folder = lay_out(build, release)
    step.progress(done_units=1, total_units=2)
    execution = local_executor().run(task_for(folder, environment), tick=partial(step.progress, done_units=1))
    step.progress(done_units=2)
    write_verdict(build, execution, environment)
    if build.verdict != Build.Verdict.IDENTICAL:
        raise PublicationError(
            f"{release}: rebuilt from its source bundle, it is {build.get_verdict_display().lower()}. "
            "The log of that build names the files; stop this publication and correct the recipe."
        )


def lay_out(build: Build, release: Release) -> Path:
    """Put the unpacked bundle and the sources, and nothing else of ours, into an empty folder."""
    folder, storage = folder_of(build), own_storage()
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "out").mkdir(parents=True)
    (folder / "sources").mkdir()
    bundle = release.version.items.get(tile="").assets.get(path=NAME)
    with storage.local_copy(bundle.storage_key) as path, tarfile.open(path) as tar:
        tar.extractall(folder / "bundle", filter="data")
    for source in release.sources.all():
        with (folder / "sources" / source.name).open("wb") as file:
            file.writelines(storage.read(source.storage_key))
    return folder


def task_for(folder: Path, environment: Environment) -> Task:
    """Call the bundle's own rebuild.py with the plain interpreter, without our code on its path."""
    interpreter = Path(sys.base_prefix) / "bin" / f"python{PYTHON}"
    return Task(
        command=(
            str(interpreter),
            "-I",
            "rebuild.py",
            *("--sources", str(folder / "sources")),
            *("--wheels", str(environment.wheels)),
            *("--out", str(folder / "out")),
        ),
        code=folder / "bundle",
        inputs=(folder / "sources", environment.wheels),
        out=folder / "out",
        log=folder / "log.txt",
        environment={"LC_ALL": "C.UTF-8"},
    )


def write_verdict(build: Build, execution: Execution, environment: Environment) -> None:
    """Keep the verdict of a rebuild: the exit code of rebuild.py is its word."""
    code = execution.exit_code
    build.verdict = VERDICTS.get(code, Build.Verdict.FAILED) if code is not None else Build.Verdict.FAILED
    build.state = Build.State.FAILED if build.verdict == Build.Verdict.FAILED else Build.State.SUCCEEDED
    build.executor = local_executor().name
    build.isolation = execution.isolation
    build.environment_sha256 = environment.sha256
    build.log = log_tail(folder_of(build) / "log.txt")
    build.ended_at = timezone.now()
    build.save()
