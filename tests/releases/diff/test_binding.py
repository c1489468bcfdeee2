"""An approval is bound to the difference that was reviewed; an outdated one is compared again."""

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import Version
from releases.approve import approve_release
from releases.errors import NotAllowedError, NotApprovableError, NotComparableError, NotSubmittableError
from releases.jobs import engine
from releases.models import Job, Release, ReviewDiff, Step
from releases.request_changes import requested_changes
from releases.review import reviewed_document
from releases.reviews.review_diff import request_diff
from tests import factories
from tests.releases.diff.editions import edition, newest, public, submitted
from tests.releases.recipes import (
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    person,
    reviewer_fixture,  # noqa: F401  a fixture
)

pytestmark = pytest.mark.django_db


def approve(release: Release, by: Any) -> None:
    approve_release(release, by=by, channel="command", seen_digest=release.reviewed_digest, now=timezone.now())


def again(release: Release, by: Any) -> Job:
    return request_diff(release, by=by, channel="command", now=timezone.now())


def overtaken(release: Release) -> Version:
    """Let another version become the one before."""
    version = factories.version(release.version.dataset, "0.9.0")
    factories.item(version)
    return version


@pytest.fixture(name="waiting")
def waiting_fixture(bench: Path, author: Any) -> Release:
    return submitted(edition(author, bench, "1.0.0"), author)


def test_the_digest_of_the_difference_is_part_of_what_is_approved(waiting: Release, reviewer: Any) -> None:
    assert reviewed_document(waiting)["difference"] == newest(waiting).sha256
    ReviewDiff.objects.filter(release=waiting).update(sha256="0" * 64)
    with pytest.raises(NotApprovableError, match="is not what was reviewed"):
        approve(waiting, reviewer)
    ReviewDiff.objects.filter(release=waiting).delete()
    with pytest.raises(NotSubmittableError, match="not compared yet"):
        approve(waiting, reviewer)


def test_another_version_before_voids_the_review_until_it_is_compared_again(
    waiting: Release, author: Any, reviewer: Any
) -> None:
    version = overtaken(waiting)
    with pytest.raises(NotSubmittableError, match="another version was published or withdrawn"):
        approve(waiting, reviewer)
    former = newest(waiting).sha256
    again(waiting, reviewer)
    assert (waiting.state, waiting.reviewed_digest, waiting.submitter) == ("built", "", None)
    engine.drain(60)
    assert newest(waiting).against == version
    assert newest(waiting).sha256 != former
    approve(submitted(waiting, author), reviewer)
    assert waiting.state == Release.State.PUBLISHING
    assert requested_changes(waiting) is None


def test_comparing_again_is_no_request_for_changes(waiting: Release, reviewer: Any) -> None:
    overtaken(waiting)
    again(waiting, reviewer)
    assert requested_changes(waiting) is None


def test_two_clicks_are_one_job_and_a_difference_that_holds_is_kept(waiting: Release, author: Any) -> None:
    with pytest.raises(NotComparableError, match="still holds"):
        again(waiting, author)
    overtaken(waiting)
    assert again(waiting, author) == again(waiting, author)
    engine.drain(60)
    assert ReviewDiff.objects.filter(release=waiting).count() == 2


def test_a_built_release_without_a_difference_waits_for_it(bench: Path, author: Any) -> None:
    release = edition(author, bench, "1.0.0")
    ReviewDiff.objects.all().delete()
    with pytest.raises(NotSubmittableError, match="not compared yet"):
        submitted(release, author)
    again(release, author)
    engine.drain(60)
    assert submitted(release, author).state == Release.State.IN_REVIEW


def test_only_what_can_be_reviewed_is_compared_and_only_by_who_may_submit(waiting: Release, bench: Path) -> None:
    overtaken(waiting)
    with pytest.raises(NotAllowedError):
        again(waiting, person("stranger"))
    Release.objects.filter(pk=waiting.pk).update(state="draft")
    waiting.refresh_from_db()
    with pytest.raises(NotComparableError, match="it is draft"):
        again(waiting, person("curator", "curator"))


def test_a_deprecated_version_is_still_the_one_before_and_a_withdrawn_one_is_not(bench: Path, author: Any) -> None:
    first = public(edition(author, bench, "1.0.0"))
    second = edition(author, bench, "1.1.0")
    assert newest(second).against == first
    Version.objects.filter(pk=first.pk).update(state="deprecated")
    submitted(second, author)
    Version.objects.filter(pk=first.pk).update(state="withdrawn")
    with pytest.raises(NotSubmittableError, match="withdrawn since"):
        reviewed_document(second)


def test_a_build_that_differs_is_not_compared(bench: Path, author: Any) -> None:
    release = edition(author, bench, "1.0.0", more="target.write_bytes(os.urandom(8))")
    assert release.state == Release.State.DRAFT
    assert not release.diffs.exists()
    assert not Step.objects.filter(function="releases.reviews.review_diff.make_diff").exists()
