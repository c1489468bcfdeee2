"""What an ingest has come to: files and bytes by state and finding, and how fast it goes."""

from dataclasses import dataclass

from django.db.models import Count, Q, Sum

from releases.ingest.run import newest_job
from releases.jobs.board import StepLine, board
from releases.models import Ingest, IngestFile, Step


@dataclass(frozen=True)
class Total:
    """Files and bytes of one kind; `title` is for people, `word` for filters."""

    word: str
    title: str
    files: int
    size_bytes: int


@dataclass(frozen=True)
class Figures:
    """`line` is the step under way, or that stopped; None if there is none."""

    files: int
    announced_bytes: int
    kept_bytes: int
    unsized: int
    states: tuple[Total, ...]
    findings: tuple[Total, ...]
    types: tuple[Total, ...]
    same_names: tuple[Total, ...]
    moved: int
    line: StepLine | None

    @property
    def stored(self) -> int:
        return next(one.files for one in self.states if one.word == IngestFile.State.STORED)

    @property
    def failed(self) -> int:
        return next(one.files for one in self.states if one.word == IngestFile.State.FAILED)


MOST_TYPES, MOST_NAMES = 12, 20


def figures(ingest: Ingest) -> Figures:
    files = IngestFile.objects.filter(ingest=ingest)
    sums = files.aggregate(
        files=Count("pk"),
        announced=Sum("announced_bytes"),
        kept=Sum("size_bytes"),
        unsized=Count("pk", filter=Q(finding=IngestFile.Finding.REACHABLE, announced_bytes=None, size_bytes=None)),
        moved=Count("pk", filter=~Q(moved_to="")),
    )
    return Figures(
        files=sums["files"],
        announced_bytes=sums["announced"] or 0,
        kept_bytes=sums["kept"] or 0,
        unsized=sums["unsized"],
        states=totals(ingest, "state", IngestFile.State),
        findings=totals(ingest, "finding", IngestFile.Finding),
        types=tuple(grouped(ingest, "media_type")[:MOST_TYPES]),
        same_names=tuple(one for one in grouped(ingest, "name", at_least=2)[:MOST_NAMES]),
        moved=sums["moved"],
        line=line_of(ingest),
    )


def totals(
    ingest: Ingest, field: str, choices: type[IngestFile.State] | type[IngestFile.Finding]
) -> tuple[Total, ...]:
    """Count files by each choice of a field, also those that have none."""
    found = {one.word: one for one in grouped(ingest, field)}
    return tuple(
        Total(
            word,
            str(title),
            found[word].files if word in found else 0,
            found[word].size_bytes if word in found else 0,
        )
        for word, title in choices.choices
    )


def grouped(ingest: Ingest, field: str, *, at_least: int = 1) -> list[Total]:
    """Count files by the value of a field, the most first; files without a value are left out."""
    rows = IngestFile.objects.filter(ingest=ingest).exclude(**{field: ""}).values(field).order_by()
    counted = rows.annotate(files=Count("pk"), size_bytes=Sum("announced_bytes")).filter(files__gte=at_least)
    return [
        Total(row[field], row[field], row["files"], row["size_bytes"] or 0)
        for row in counted.order_by("-files", field)
    ]


def line_of(ingest: Ingest) -> StepLine | None:
    """Give the step that runs, waits or has failed."""
    job = newest_job(ingest)
    if job is None:
        return None
    lines = [line for stage in board(job).stages for line in stage.steps]
    return next((line for line in lines if line.step.state not in {Step.State.DONE, Step.State.SKIPPED}), None)
