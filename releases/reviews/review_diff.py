"""Compare a built release with the version before it, for its reviewer. A durable step, and a job to do it again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from catalog.models import Version
from releases.diff.document import sha256_of
from releases.diff.judge import judge
from releases.errors import NotComparableError
from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Finding, Job, Release, ReviewDiff
from releases.people import require_permission
from releases.review import is_stale, newest_diff, reviewed_build
from releases.reviews.comparison import compare_release
from releases.reviews.findings import FROM_DIFF, findings_of
from releases.states import Move

COMPARABLE = (Release.State.BUILT, Release.State.IN_REVIEW)
AGAIN = "Compared again: another version is the one before."


def expand_diff(release_id: int) -> Sequence[StepSpec]:
    """Ask for the comparison where two builds agreed; a release that went back to draft has nothing to review."""
    release = Release.objects.select_related("version__dataset").get(pk=release_id)
    if release.state not in COMPARABLE:
        return []
    before = Version.objects.before(release.version)
    return [
        StepSpec(
            "releases.reviews.review_diff.make_diff", release_id, before.shown if before else release.version.shown
        )
    ]


def make_diff(step: StepContext, release_id: int) -> None:
    """Write the difference to the version before, and its findings in the place of those of before.

    Safe to run twice: the same two versions give the same text, which is one row.
    """
    release = Release.objects.select_related("version__dataset").get(pk=release_id)
    build = reviewed_build(release)
    before = Version.objects.before(release.version)
    step.progress(total_units=build.outputs.count())
    document = judge(compare_release(release, build, before, tick=lambda done: step.progress(done_units=done)))
    body, now = document.body(), timezone.now()
    with step.finish():
        ReviewDiff.objects.update_or_create(
            release=release,
            round=build.round,
            sha256=sha256_of(body),
            defaults={"body": body, "against": before, "made_at": now},
        )
        release.findings.filter(code__in=FROM_DIFF).delete()
        Finding.objects.bulk_create(findings_of(release, document.remarks, now=now))


def request_diff(release: Release, *, by: Any, channel: str, now: datetime) -> Job:
    """Compare again with what is the version before now; in review that takes the release back to be submitted anew.

    Raises NotAllowedError; NotComparableError (neither built nor in review, or the comparison there is still holds).
    """
    require_permission(by, "submit")
    refuse_state(release)
    with transaction.atomic():
        if release.state == Release.State.IN_REVIEW:
            leave_review(release, by=by, channel=channel, now=now)
        job = engine.start(next_key(release), "diff", release.pk, now=now)
    release.refresh_from_db()
    return job


def refuse_state(release: Release) -> None:
    if release.state not in COMPARABLE:
        raise NotComparableError(
            _("%(release)s: it is %(state)s. Only what was built twice and is not approved can be compared.")
            % {"release": release, "state": release.get_state_display().lower()}
        )
    diff = newest_diff(release)
    if diff is not None and not is_stale(diff, release):
        raise NotComparableError(
            _("%(release)s: it was compared with the version before already, and that still holds. Review it.")
            % {"release": release}
        )


def leave_review(release: Release, *, by: Any, channel: str, now: datetime) -> None:
    """Take a release out of review, so that nothing that was said about the former difference counts."""
    move = Move("in_review", "built", by, now, channel, AGAIN)
    if not Release.objects.move(release.pk, move, submitter=None, reviewed_digest="", approved_at=None):
        raise NotComparableError(
            _("%(release)s: somebody moved it just now. Load the page again and look.") % {"release": release}
        )
    release.approvals.filter(voided_at__isnull=True).update(voided_at=now)


def next_key(release: Release) -> str:
    """Name the job: the one that is still under way, else the next."""
    version = release.version
    prefix = f"diff:{version.dataset.identifier}:{version.number}:"
    jobs = Job.objects.filter(key__startswith=prefix)
    under_way = jobs.filter(state=Job.State.OPEN).first()
    return under_way.key if under_way else f"{prefix}{jobs.count() + 1}"
