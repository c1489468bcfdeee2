"""Compare the two builds of a round: equal bytes make a release built, anything else returns it to draft."""

from collections.abc import Sequence
from pathlib import Path

from django.utils import timezone

from releases.build import output_path, round_of
from releases.errors import BuildFailedError
from releases.items import NAME, Tile, read_tiles, write_tiles
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Build, Release, Transition
from releases.states import Move

BLOCK_BYTES = 1 << 20


def expand_compare(release_id: int) -> Sequence[StepSpec]:
    return [StepSpec("releases.compare.compare_builds", release_id, "1 = 2")]


def compare_builds(step: StepContext, release_id: int) -> None:
    """Move the release to built with the tile items that its outputs declare, or back to draft with the finding."""
    first, second = round_of(release_id)
    finding = first.finding or second.finding or difference(first, second)
    tiles, wrong = ([], "") if finding else declared_tiles(first)
    now = timezone.now()
    with step.finish():
        if not first.finding and not second.finding:
            verdict = Build.Verdict.DIFFERENT if finding else Build.Verdict.IDENTICAL
            Build.objects.filter(pk=second.pk).update(verdict=verdict, finding=finding or wrong)
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


def difference(first: Build, second: Build) -> str:
    """Name the files of which two builds gave different bytes, and where the first differs; empty if none."""
    ours = dict(first.outputs.values_list("path", "sha256"))
    theirs = dict(second.outputs.values_list("path", "sha256"))
    differing = sorted(path for path in ours if ours[path] != theirs.get(path))
    if not differing:
        return ""
    path = differing[0]
    offset = first_difference(output_path(first, path), output_path(second, path))
    return (
        f"Built twice, {len(differing)} of {len(ours)} files differ: {', '.join(differing[:5])}; "
        f"{path} from byte {offset} on. Look for times, random numbers or an order that nothing fixes."
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
