"""Compare the builds of a round: as alike as promised makes a release built, anything else returns it to draft."""

from collections.abc import Sequence
from pathlib import Path

from django.utils import timezone

from releases.build import output_path, round_of
from releases.builds.content import has_same_content
from releases.drafts.items import NAME, Tile, read_tiles, write_tiles
from releases.errors import BuildFailedError
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Build, Difference, Release, Transition
from releases.states import Move

BLOCK_BYTES = 1 << 20


def expand_compare(release_id: int) -> Sequence[StepSpec]:
    return [StepSpec("releases.builds.compare.compare_builds", release_id, "1 = 2")]


def compare_builds(step: StepContext, release_id: int) -> None:
    """Move the release to built with the tile items that its outputs declare, or back to draft with the finding."""
    builds = round_of(release_id)
    release = Release.objects.get(pk=release_id)
    failed = next((one.finding for one in builds if one.finding), "")
    differences = [] if failed else differing(builds)
    finding = failed or difference(release, builds[0], differences)
    tiles, wrong = ([], "") if finding else declared_tiles(builds[0])
    now = timezone.now()
    with step.finish():
        if not failed and len(builds) > 1:
            verdict = verdict_of(differences, finding)
            Build.objects.filter(pk=builds[-1].pk).update(verdict=verdict, finding=finding or wrong)
        Difference.objects.filter(build=builds[-1]).delete()
        Difference.objects.bulk_create(differences)
        to = "draft" if finding or wrong else "built"
        reason = (finding or wrong)[:2000]
        if Release.objects.move(release_id, Move("building", to, None, now, Transition.Channel.ENGINE, reason)):
            write_tiles(Release.objects.get(pk=release_id).version, tiles)


def verdict_of(differences: Sequence[Difference], finding: str) -> Build.Verdict:
    if finding:
        return Build.Verdict.DIFFERENT
    return Build.Verdict.SAME_CONTENT if differences else Build.Verdict.IDENTICAL


def declared_tiles(build: Build) -> tuple[list[Tile], str]:
    """Give the tiles of a build's `items.geojson`, none where it has no such output, and what is wrong with it."""
    if not build.outputs.filter(path=NAME).exists():
        return [], ""
    try:
        return read_tiles(output_path(build, NAME)), ""
    except BuildFailedError as error:
        return [], str(error)


def differing(builds: Sequence[Build]) -> list[Difference]:
    """Give the files of which two builds gave different bytes, by path; none where there is only one build."""
    first, second = builds[0], builds[-1]
    ours = dict(first.outputs.values_list("path", "sha256"))
    theirs = dict(second.outputs.values_list("path", "sha256"))
    return [between(first, second, path) for path in sorted(ours) if ours[path] != theirs.get(path)]


def between(first: Build, second: Build, path: str) -> Difference:
    """Say of one file where its two forms differ first, and whether they say the same all the same."""
    left, right = output_path(first, path), output_path(second, path)
    return Difference(
        build=second,
        path=path,
        offset=first_difference(left, right),
        is_same_content=has_same_content(left, right),
    )


def difference(release: Release, first: Build, differences: Sequence[Difference]) -> str:
    """Name the files that differ more than the release allows, in a sentence; empty if none does."""
    is_content_enough = release.reproducibility == Release.Reproducibility.SAME_CONTENT
    differences = [one for one in differences if not (is_content_enough and one.is_same_content)]
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
