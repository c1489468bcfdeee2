"""A service that says no: one clear sentence on the board of its deposit, and every other deposit is unharmed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from mirrors.models import Mirror, Replica
from mirrors.policies import start_following
from releases.jobs import engine
from releases.models import Job, Release, Step
from tests.servers.s3 import S3Server
from tests.site.services import Services, adopt, services

pytestmark = [pytest.mark.s3, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


Spoil = Callable[[Services, Any, pytest.MonkeyPatch], object]


@pytest.fixture
def found(s3: S3Server, settings: Any) -> Iterator[Services]:
    settings.DFC_BACKOFF_S, settings.DFC_LONGEST_BACKOFF_S, settings.DFC_ATTEMPTS = 0.05, 0.05, 2
    with services(s3) as running:
        adopt(settings, running)
        yield running


def secret(settings: Any, name: str, text: str) -> None:
    settings.DFC_MIRROR_SECRETS = {**settings.DFC_MIRROR_SECRETS, f"DFC_MIRROR_{name}": text}


def closed_community(found: Services, _settings: Any, _patch: pytest.MonkeyPatch) -> None:
    found.zenodo.communities["closed"] = set()
    Mirror.objects.filter(slug="zenodo").update(collection="closed")


def small_quota(found: Services, _settings: Any, _patch: pytest.MonkeyPatch) -> None:
    found.zenodo.most_bytes = 10


def refused_licence(_found: Services, _settings: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("tests.fakes.zenodo_metadata.LICENCES", frozenset())


def wrong_endpoint(found: Services, _settings: Any, _patch: pytest.MonkeyPatch) -> None:
    Mirror.objects.filter(slug="zenodo").update(endpoint=found.datacite.url)


SPOILS: dict[str, tuple[str, Spoil, str]] = {
    "bad token at Zenodo": (
        "zenodo",
        lambda _found, settings, _patch: secret(settings, "ZENODO_TOKEN", "wrong"),
        "DFC_MIRROR_ZENODO_TOKEN",
    ),
    "no token at Zenodo": (
        "zenodo",
        lambda _found, settings, _patch: secret(settings, "ZENODO_TOKEN", ""),
        "DFC_MIRROR_ZENODO_TOKEN: it is not set",
    ),
    "bad keys at the Internet Archive": (
        "archive",
        lambda _found, settings, _patch: secret(settings, "ARCHIVE_SECRET_ACCESS_KEY", "wrong"),
        "DFC_MIRROR_ARCHIVE_",
    ),
    "bad keys of the bucket": (
        "bucket",
        lambda _found, settings, _patch: secret(settings, "BUCKET_SECRET_ACCESS_KEY", "wrong"),
        "DFC_MIRROR_BUCKET_",
    ),
    "no bucket": (
        "bucket",
        lambda _found, _settings, _patch: Mirror.objects.filter(slug="bucket").update(bucket="elsewhere"),
        "elsewhere",
    ),
    "a closed community": ("zenodo", closed_community, "closed"),
    "a full quota": ("zenodo", small_quota, "quota"),
    "a licence that is refused": ("zenodo", refused_licence, "Invalid license"),
    "a wrong endpoint": ("zenodo", wrong_endpoint, "endpoint"),
}


@pytest.mark.parametrize("case", SPOILS)
def test_a_refusal_is_one_clear_sentence_and_harms_nothing_else(
    case: str, published: Release, found: Services, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slug, spoil, words = SPOILS[case]
    mirrors = found.register(is_required=False)
    spoil(found, settings, monkeypatch)
    for mirror in mirrors:
        start_following(mirror, now=timezone.now())
    engine.drain(60)
    failed = Step.objects.filter(state=Step.State.FAILED, job__pipeline__in=["deposit", "open-deposit"])
    sentences = [step.error for step in failed if words in step.error]
    assert sentences, list(Step.objects.exclude(error="").values_list("label", "error"))
    others = Replica.objects.exclude(mirror__slug=slug)
    assert set(others.values_list("state", flat=True)) == {Replica.State.VERIFIED}
    assert others.values("mirror").distinct().count() == 4
    desk = Client()
    desk.force_login(get_user_model().objects.create_superuser("operator-on-duty", password=None))
    job = Job.objects.get(pk=failed.values_list("job", flat=True)[0])
    page = desk.get(f"/admin/releases/job/{job.pk}/change/", follow=True).content.decode()
    assert words in page.replace("<wbr>", "")
