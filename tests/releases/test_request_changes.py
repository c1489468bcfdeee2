"""A reviewer sends a release back with a reason, which its author sees until it is submitted again."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from releases.approve import approve_release
from releases.errors import NotAllowedError, NotApprovableError, NotReturnableError, ReasonError
from releases.models import Release
from releases.request_changes import request_changes, requested_changes
from releases.submit import submit_release
from tests.releases.recipes import (
    IDENTIFIER,
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    built,
    edit,
    everything,
    in_review,
    person,
    reviewer_fixture,  # noqa: F401  a fixture
    strangers,
)
from tests.releases.second_thoughts import at_once

pytestmark = pytest.mark.django_db

REASON = "The French title says 2022; it should be 2023."


def send_back(release: Release, by: Any, reason: str = REASON) -> None:
    request_changes(release, by=by, channel="admin", reason=reason, now=timezone.now())


def approve(release: Release, by: Any) -> None:
    approve_release(release, by=by, channel="admin", seen_digest=release.reviewed_digest, now=timezone.now())


def test_a_request_returns_the_release_to_draft_and_voids_what_was_approved(
    bench: Path, author: Any, reviewer: Any, settings: Any
) -> None:
    settings.DFC_APPROVERS = 2
    release = in_review(author, bench)
    approve(release, person("other", "curator"))
    send_back(release, reviewer, f"  {REASON}\n")
    assert (release.state, release.reviewed_digest, release.submitter) == ("draft", "", None)
    assert release.approvals.get().voided_at is not None
    move = release.transitions.last()
    assert move is not None
    assert (move.source, move.to, move.by, move.reason) == ("in_review", "draft", reviewer, REASON)


def test_the_people_who_made_it_edit_it_instead(bench: Path, author: Any) -> None:
    release = in_review(author, bench)
    with pytest.raises(NotReturnableError, match=r"author wrote, built or submitted it\. Edit it"):
        send_back(release, author)
    assert release.state == Release.State.IN_REVIEW


def test_where_no_second_person_is_asked_for_the_author_may_do_it(bench: Path, author: Any, settings: Any) -> None:
    settings.DFC_APPROVERS = 0
    release = in_review(author, bench)
    send_back(release, author)
    assert release.state == Release.State.DRAFT


def test_only_who_may_approve_may_send_back(bench: Path, author: Any) -> None:
    release = in_review(author, bench)
    others, before = strangers(), everything(bench)
    for one in others.values():
        with pytest.raises(NotAllowedError, match="may not approve"):
            send_back(release, one)
    assert everything(bench) == before


def test_a_request_says_in_enough_words_what_has_to_change(bench: Path, author: Any, reviewer: Any) -> None:
    release = in_review(author, bench)
    before = everything(bench)
    with pytest.raises(ReasonError, match="at least 10 characters"):
        send_back(release, reviewer, " no, sorry ")
    assert everything(bench) == before


@pytest.mark.django_db(transaction=True)
def test_of_a_request_and_an_approval_at_once_one_wins(bench: Path, author: Any, reviewer: Any) -> None:
    release, other = in_review(author, bench), person("other", "curator")
    mine, theirs = (Release.objects.get(pk=release.pk) for _ in range(2))
    ends = at_once(partial(send_back, mine, reviewer), partial(approve, theirs, other))
    release.refresh_from_db()
    assert ends in (["NotApprovableError", "done"], ["NotReturnableError", "done"])
    assert release.state == ("draft" if "NotApprovableError" in ends else "publishing")


def test_a_second_click_finds_nothing_to_send_back(bench: Path, author: Any, reviewer: Any) -> None:
    release = in_review(author, bench)
    late = Release.objects.get(pk=release.pk)
    send_back(release, reviewer)
    with pytest.raises(NotReturnableError, match="somebody moved it just now"):
        send_back(late, reviewer)
    with pytest.raises(NotReturnableError, match="it is not in review"):
        send_back(release, reviewer)
    assert release.transitions.filter(reason=REASON).count() == 1


def test_the_author_sees_the_request_until_the_release_is_submitted_again(
    bench: Path, author: Any, reviewer: Any
) -> None:
    release = in_review(author, bench)
    assert requested_changes(release) is None
    send_back(release, reviewer)
    shown = requested_changes(release)
    assert shown is not None
    assert (shown.by, shown.reason) == (reviewer, REASON)
    edit(release, release.definition.replace('"Mots"', '"Les mots"'), author, bench)
    assert requested_changes(built(release, author)) == shown
    submit_release(release, by=author, channel="admin", now=timezone.now())
    assert requested_changes(release) is None


def test_an_edit_in_review_is_no_request(bench: Path, author: Any) -> None:
    release = in_review(author, bench)
    edit(release, release.definition.replace('"Mots"', '"Les mots"'), author, bench)
    assert requested_changes(release) is None


def test_the_reviewer_still_may_approve_what_comes_back(bench: Path, author: Any, reviewer: Any) -> None:
    release = in_review(author, bench)
    send_back(release, reviewer)
    submit_release(built(release, author), by=author, channel="admin", now=timezone.now())
    with pytest.raises(NotApprovableError):
        approve(release, author)
    approve(release, reviewer)
    assert release.state == Release.State.PUBLISHING


def client_of(by: Any) -> Client:
    by.is_staff = True
    by.save()
    client = Client()
    client.force_login(by)
    return client


def test_the_release_page_offers_it_to_reviewers_and_shows_it_to_the_author(
    bench: Path, author: Any, reviewer: Any
) -> None:
    release = in_review(author, bench)
    page = f"/admin/releases/release/{release.pk}/change/"
    assert "Request changes" in client_of(reviewer).get(page).content.decode()
    assert "Request changes" not in client_of(author).get(page).content.decode()
    words = {"act": "request-changes", "reason": "no"}
    answer = client_of(reviewer).post(f"/admin/releases/release/{release.pk}/act/", words, follow=True)
    assert "Say in at least 10 characters why." in answer.content.decode()
    client_of(reviewer).post(f"/admin/releases/release/{release.pk}/act/", words | {"reason": REASON})
    seen = client_of(author).get(page).content.decode()
    assert "Changes were requested." in seen
    assert REASON in seen


@pytest.mark.usefixtures("reviewer")
def test_the_command_does_the_same(bench: Path, author: Any, capsys: Any) -> None:
    release = in_review(author, bench)
    words = ("request-changes", IDENTIFIER, "1.0.0", "--reason", REASON)
    with pytest.raises(CommandError, match="Edit it to change it"):
        call_command("release", *words, "--by", "author")
    before = everything(bench)
    call_command("release", *words, "--by", "reviewer", "--dry-run")
    assert everything(bench) == before
    call_command("release", *words, "--by", "reviewer")
    assert capsys.readouterr().out.endswith(f"{IDENTIFIER} v1.0.0  draft\n")
    release.refresh_from_db()
    assert release.transitions.filter(reason=REASON, channel="command").count() == 1
