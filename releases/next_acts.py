"""What comes next for a release, and what of it this person may do now; the use cases check again."""

from typing import Any

from django.conf import settings

from releases.approve import makers
from releases.models import Job, Release
from releases.review import is_stale, newest_diff
from releases.reviews.review_diff import COMPARABLE
from releases.states import EDITABLE
from releases.take import SOURCES

POSSIBLE = {"draft": {"build"}, "built": {"submit"}, "in_review": {"approve"}}


def next_of(release: Release, by: Any) -> dict[str, Any]:
    """Give the acts, the digests that a decision is bound to, and whether the comparison has to be made again."""
    newest = release.builds.select_related("manifest").order_by("-round", "-purpose", "number").first()
    diff = newest_diff(release)
    needs_comparing = release.state in COMPARABLE and (diff is None or is_stale(diff, release))
    return {
        "acts": acts_of(release, by, needs_comparing=needs_comparing),
        "is_own": bool(settings.DFC_APPROVERS) and by.pk in makers(release),
        "manifest": newest.manifest if newest else None,
        "diff": diff,
        "needs_comparing": needs_comparing,
        "is_comparing": needs_comparing and is_comparing(release),
    }


def is_comparing(release: Release) -> bool:
    jobs = Job.objects.filter(subject=release.pk, pipeline__in=["build", "diff"], state=Job.State.OPEN)
    return jobs.exists()


def acts_of(release: Release, by: Any, *, needs_comparing: bool) -> set[str]:
    """Name the buttons that this person has now."""
    acts = {act for act in POSSIBLE.get(release.state, ()) if by.has_perm(f"releases.{act}_release")}
    if needs_comparing:
        acts = {"compare"} if by.has_perm("releases.submit_release") else set()
    if by.has_perm("releases.draft_release"):
        acts |= {"edit"} if release.state in EDITABLE else set()
        acts |= {"renew"} if release.state == Release.State.PUBLISHED else set()
    if by.has_perm("releases.propose_decision"):
        acts |= {str(kind) for kind, sources in SOURCES.items() if release.version.state in sources}
    return acts
