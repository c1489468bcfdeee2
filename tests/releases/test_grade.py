"""What a release promises of its reproducibility decides what its builds must have in common."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mirrors.models import Policy
from releases.approve import approve_release
from releases.drafts.definition import read_definition
from releases.errors import DefinitionError, NotSubmittableError
from releases.jobs import engine
from releases.jobs.registry import pipeline
from releases.models import Build, Difference, Job, Release
from releases.submit import submit_release
from tests import factories
from tests.releases.recipes import (
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    built,
    drafted,
    recipe,
    release_toml,
    reviewer_fixture,  # noqa: F401  a fixture
)

pytestmark = pytest.mark.django_db
REASON = 'reproducibility_reason = { en = "The program orders as it likes.", fr = "Le programme trie à sa guise." }'
# Two spellings of one JSON value, by where it is built.
SPELLED = """
indent = len(str(given.out)) % 2 + ("-2/" in str(given.out)) + 2 * ("confirm" in str(given.out))
target.write_text(json.dumps({"words": words.split()}, indent=indent))
"""
OTHER = "target.write_text(json.dumps({'at': time.time_ns()}))"


def graded(body: str, grade: str, reason: str = REASON) -> str:
    return release_toml(recipe(body)) + f'\n[policy]\nreproducibility = "{grade}"\n{reason}\n'


def confirmed(release: Release, author: Any, reviewer: Any) -> None:
    """Submit and approve, and publish as far as the confirmation has ended or is passed over."""
    submit_release(release, by=author, channel="command", now=timezone.now())
    seen = release.reviewed_digest
    approve_release(release, by=reviewer, channel="command", seen_digest=seen, now=timezone.now())
    Policy.objects.create(mirror=factories.mirror("origin", endpoint=str(settings.DFC_STORAGE_DIR)))
    job = Job.objects.get(pipeline="publish")
    after_confirm = [stage.name for stage in pipeline("publish").stages].index("confirm") + 1
    while not job.steps.filter(stage__gte=after_confirm).exists():
        assert any(engine.run_step(pk, has_heartbeat=False) for pk in engine.due_steps()), job.steps.values("error")


def test_the_same_content_is_enough_where_it_is_promised(
    bench: Path, author: Any, reviewer: Any, client: Client
) -> None:
    release = built(drafted(graded(SPELLED, "same-content"), author, bench), author)
    assert release.state == Release.State.BUILT, release.builds.last()
    assert [one.verdict for one in release.builds.order_by("number")] == ["first", "content"]
    assert Difference.objects.get().is_same_content
    author.is_staff = True
    author.save()
    client.force_login(author)
    page = client.get(reverse("admin:releases_release_change", args=[release.pk]), follow=True).content.decode()
    assert "Same content, different bytes" in page
    assert "Le programme trie à sa guise." in page
    assert "Its content is the same." in page
    confirmed(release, author, reviewer)
    found = Build.objects.get(purpose=Build.Purpose.CONFIRM)
    assert (found.verdict, found.state) == ("content", "succeeded")


def test_other_content_is_not(bench: Path, author: Any) -> None:
    release = built(drafted(graded(OTHER, "same-content"), author, bench), author)
    assert (release.state, release.builds.get(number=2).verdict) == (Release.State.DRAFT, "different")


def test_without_the_promise_the_same_content_in_other_bytes_goes_back(bench: Path, author: Any) -> None:
    release = built(drafted(release_toml(recipe(SPELLED)), author, bench), author)
    assert (release.state, release.builds.get(number=2).verdict) == (Release.State.DRAFT, "different")
    assert Difference.objects.get().is_same_content
    with pytest.raises(NotSubmittableError):
        submit_release(release, by=author, channel="command", now=timezone.now())


def test_what_nobody_can_rebuild_is_built_once_and_not_confirmed(bench: Path, author: Any, reviewer: Any) -> None:
    release = built(drafted(graded(OTHER, "not-rebuildable"), author, bench), author)
    assert (release.state, release.builds.get().verdict) == (Release.State.BUILT, "first")
    assert not release.is_confirmed
    assert release.unconfirmed_reason_fr == "Le programme trie à sa guise."
    confirmed(release, author, reviewer)
    assert not Build.objects.filter(purpose=Build.Purpose.CONFIRM).exists()


def test_a_round_of_one_build_follows_a_round_of_two(bench: Path, author: Any) -> None:
    built(drafted(release_toml(recipe(OTHER)), author, bench), author)
    release = Release.objects.get()
    Release.objects.update(
        reproducibility="not-rebuildable", reproducibility_reason_en="So.", reproducibility_reason_fr="Ainsi."
    )
    release.refresh_from_db()
    assert built(release, author).state == Release.State.BUILT
    submit_release(release, by=author, channel="command", now=timezone.now())


@pytest.mark.parametrize(
    ("policy", "finding"),
    [
        ('reproducibility = "same-content"', "same-content without policy.reproducibility_reason"),
        ('reproducibility = "mostly"', "is not one of"),
        (f'reproducibility = "not-rebuildable"\nconfirm = true\n{REASON}', "says that others cannot rebuild it"),
    ],
)
def test_a_promise_that_says_no_reason_or_contradicts_itself_is_refused(policy: str, finding: str) -> None:
    with pytest.raises(DefinitionError, match=finding):
        read_definition(release_toml("a" * 40) + f"\n[policy]\n{policy}\n")
