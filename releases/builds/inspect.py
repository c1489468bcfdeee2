"""Inspect sources and outputs of a build, and tell the reviewer what is wrong with them in a sentence each."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from catalog import naming
from catalog.inspection import Defect, Severity, inspect
from catalog.storage.connect import own_storage
from releases.build import output_path, round_of
from releases.builds import containerfile, repositories
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Build, Finding, Release

PARQUET = ".parquet"
SENTENCES: Mapping[str, str | Promise] = {
    "not-parquet": _("It cannot be read as Parquet (%(found)s)."),
    "geo-unreadable": _("Its `geo` metadata is no GeoParquet metadata."),
    "geo-version": _("Its GeoParquet version %(found)s was never published; readers expect %(instead)s."),
    "primary-absent": _("Its primary geometry %(found)s is not among its columns."),
    "primary-is-point": _(
        "Its primary geometry %(found)s is a point; the outline is in %(instead)s, which readers will not map."
    ),
    "no-box-column": _("It has no bbox column, so readers cannot skip rows by place."),
    "no-box": _("Its metadata has no box, so readers cannot skip the file by place."),
    "column-absent": _("Its metadata names the geometry %(found)s, which is not there."),
    "geometry-missing": _("%(found)s rows have no geometry in %(instead)s."),
    "geometry-invalid": _("%(found)s geometries in %(instead)s are not valid."),
    "legacy-name": _("Its name %(found)s does not follow the naming convention; the canonical form is %(instead)s."),
}


def expand_inspect(release_id: int) -> Sequence[StepSpec]:
    return [StepSpec("releases.builds.inspect.inspect_release", release_id, str(_("Sources and outputs")))]


def inspect_release(step: StepContext, release_id: int) -> None:
    """Write the findings of the newest build in the place of those of before. Safe to run twice."""
    release = Release.objects.select_related("recipe").get(pk=release_id)
    rows = [*source_findings(release), *output_findings(release), *environment_findings(release)]
    with step.finish():
        release.findings.all().delete()
        Finding.objects.bulk_create(rows)


def source_findings(release: Release) -> Iterator[Finding]:
    storage = own_storage()
    for source in release.sources.order_by("name"):
        defects = list(name_defects(source.name))
        if source.name.endswith(PARQUET):
            with storage.open(source.storage_key) as file:
                defects += inspect(file)
        yield from (row(release, source.name, one, is_source=True) for one in defects)


def output_findings(release: Release) -> Iterator[Finding]:
    """Look at the files of build 1; there are none where it failed."""
    first = round_of(release.pk)[0]
    if first.state != Build.State.SUCCEEDED:
        return
    for output in first.outputs.order_by("path"):
        for defect in file_defects(output_path(first, output.path)):
            yield row(release, output.path, defect, is_source=False)


def environment_findings(release: Release) -> Iterator[Finding]:
    """Read the Containerfile, and the script that is called in its image; an environment of Python has none."""
    recipe = release.recipe
    if not containerfile.is_containerfile(recipe.environment):
        return
    place = (recipe.repository, recipe.commit)
    scripts = {recipe.entry_point: repositories.read_text(*place, recipe.entry_point)}
    for lapse in containerfile.lint(repositories.read_text(*place, recipe.environment), scripts):
        defect = Defect(lapse.code, Severity(lapse.severity), lapse.found[:255], str(lapse.line))
        yield row(release, recipe.environment, defect, is_source=False)


def file_defects(path: Path) -> list[Defect]:
    return inspect(path) if path.name.endswith(PARQUET) else []


def name_defects(name: str) -> Iterator[Defect]:
    """Judge a source's name only where it means to follow the convention, by the prefix of a data package."""
    stem = name.partition(".")[0]
    grading = naming.grade(stem) if "_d4c-datapkg-" in stem else None
    if grading is not None and grading.findings:
        yield Defect("legacy-name", Severity.NOTE, stem[:255], (grading.suggestion or "")[:255])


def row(release: Release, file: str, defect: Defect, *, is_source: bool) -> Finding:
    return Finding(
        release=release,
        file=file,
        is_source=is_source,
        code=defect.code,
        severity=defect.severity.value,
        found=defect.found,
        instead=defect.instead,
        at=timezone.now(),
    )
