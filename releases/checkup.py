"""What builds need of this machine: git, Python, what confines a recipe, and what explains a difference."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from catalog.checkup import ABSENT, OK, WARNING, Check
from releases.builds.environments import PYTHON
from releases.builds.images import wanted
from releases.errors import ContainerEngineError
from releases.executors.engine import Wanted, working_engine
from releases.executors.local import local_executor


def checks() -> Iterator[Check]:
    yield program("git", state=ABSENT, remedy=_("Install git: recipes are read from its repositories."))
    yield python()
    yield bubblewrap()
    yield container()
    yield program(
        "diffoscope",
        state=WARNING,
        remedy=_("Install diffoscope-minimal, so that a difference between two builds is explained."),
    )


def program(name: str, *, state: str, remedy: str) -> Check:
    """Ask a program for its version; `state` is what its absence means."""
    try:
        done = subprocess.run([name, "--version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Check(name, state, str(error), remedy)
    return Check(name, OK, done.stdout.strip().splitlines()[0])


def python() -> Check:
    """Look for the plain interpreter that a rebuild from a bundle is called with."""
    path = Path(sys.base_prefix) / "bin" / f"python{PYTHON}"
    if not path.exists():
        return Check("Python", ABSENT, _("%(path)s is not there") % {"path": path}, _("Install Python %s.") % PYTHON)
    return Check("Python", OK, f"{PYTHON}, {path}")


def bubblewrap() -> Check:
    executor = local_executor()
    if executor.bubblewrap is None:
        remedy = _("Install bubblewrap and allow its namespaces: without it a recipe is not cut off the network.")
        return Check("bubblewrap", WARNING, executor.isolation, remedy)
    return Check("bubblewrap", OK, executor.isolation)


def container() -> Check:
    """Run a tiny image as a build would; the absence of an engine is bad only where the settings name one."""
    asked = wanted()
    try:
        engine = working_engine(asked)
    except ContainerEngineError as error:
        return Check(_("containers"), ABSENT if asked != Wanted() else WARNING, str(error), _("See what each said."))
    found = f"{engine.shown} {' '.join(engine.flags)}".strip()
    if not engine.has_limits:
        remedy = _("Memory, processors and processes are not limited: use control groups v2, or run as root.")
        return Check(_("containers"), WARNING, found, remedy)
    return Check(_("containers"), OK, f"{found}, {settings.DFC_BUILD_MEMORY_MIB} MiB")
