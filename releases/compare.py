"""Compare the two builds of a round: equal bytes make a release built, anything else returns it to draft."""

from collections.abc import Sequence
from pathlib import Path

from django.utils import timezone

from releases.build import output_path, round_of
from releases.errors import BuildFailedError
from releases.items import NAME, Tile, read_tiles, write_tiles
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Build, Difference, Release, Transition
from releases.states import Move

BLOCK_BYTES = 1 << 20


def expand_compare(release_id: int) -> Sequence[StepSpec]:
    return [StepSpec("releases.compare.compare_builds", release_id, "1 = 2")]


def compare_builds(step: StepContext, release_id: int) -> None:
    """Move the release to built with the tile items that its outputs declare, or back to draft with the finding."""
    first, second = round_of(release_id)
    failed = first.finding or second.finding
    differences = [] if failed else differing(first, second)
    finding = failed or difference(first, differences)
    tiles, wrong = ([], "") if finding else declared_tiles(first)
    now = timezone.now()
    with step.finish():
        if not failed:
            verdict = Build.Verdict.DIFFERENT if finding else Build.Verdict.IDENTICAL
            Build.objects.filter(pk=second.pk).update(verdict=verdict, finding=finding or wrong)
        second.differences.all().delete()
        Difference.objects.bulk_create(differences)
        to = "draft" if finding or wrong else "built"
        reason = (finding or wrong)[:2000]
        if Release.objects.move(release_id, Move("building", to, None, now, Transition.Channel.ENGINE, reason)):
            write_tiles(Release.objects.get(pk=release_id).version, tiles)


def declared_tiles(build: Build) -> tuple[list[Tile], str]:
    """Give the tiles of a build's `items.geojson`, none where it has no such output, and what is wrong with it."""
    if not build.outputs.filter(path=NAME).exists():
        return [], ""
    try:
        return read_tiles(output_path(build, NAME)), ""
    except BuildFailedError as error:
        return [], str(error)


def differing(first: Build, second: Build) -> list[Difference]:
    """Give the files of which two builds gave different bytes, by path, with the first byte that differs."""
    ours = dict(first.outputs.values_list("path", "sha256"))
    theirs = dict(second.outputs.values_list("path", "sha256"))
    return [
        Difference(
            build=second, path=path, offset=first_difference(output_path(first, path), output_path(second, path))
        )
        for path in sorted(ours)
        if ours[path] != theirs.get(path)
    ]


def difference(first: Build, differences: Sequence[Difference]) -> str:
    """Name the files that differ in a sentence; empty if none does."""
    if not differences:
        return ""
    names = ", ".join(one.path for one in differences[:5])
    return (
        f"Built twice, {len(differences)} of {first.outputs.count()} files differ: {names}; "
        f"{differences[0].path} from byte {differences[0].offset} on. "
        "Look for times, random numbers or an order that nothing fixes."
    )


def first_difference(one: Path, other: Path) -> int:
    """Give the offset of the first byte that differs; the shorter length where one begins the other."""
    position = 0
    with one.open("rb") as left, other.open("rb") as right:
        while True:
            ours, theirs = left.read(BLOCK_BYTES), right.read(BLOCK_BYTES)
            if ours != theirs or not ours:
                pairs = enumerate(zip(ours, theirs, strict=False))
                inside = next((offset for offset, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
                return position + inside
            position += len(ours)


def cancelled(release_id: int) -> None:
    """Give a release back to its author when its build was stopped."""
    now = timezone.now()
    Build.objects.filter(release_id=release_id, state=Build.State.RUNNING).update(
        state=Build.State.FAILED, verdict=Build.Verdict.FAILED, finding="Stopped by a person.", ended_at=now
    )
    Release.objects.move(
        release_id, Move("building", "draft", None, now, Transition.Channel.ENGINE, "The build was stopped.")
    )
