"""A mirror goes out of service: its operator is told first, the day comes, and until then all can be recalled."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.test import Client
from django.utils import timezone

from mirrors.errors import NotEndableError
from mirrors.models import Mirror
from mirrors.registry.end_service import announce_end, recall_end
from releases.errors import NotAllowedError
from releases.jobs import engine
from releases.models import Job, Step
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

WHY = "The university closes its machine room."


def announce(mirror: Mirror, by: Any) -> None:
    announce_end(mirror, by=by, reason=WHY, now=timezone.now())
    engine.drain(10)
    mirror.refresh_from_db()


def test_the_operator_is_told_in_both_languages_and_the_mirror_serves_on(operator: Any, settings: Any) -> None:
    mirror = factories.mirror("north", owner_email="care@north.example.org")
    announce(mirror, operator)
    (letter,) = mail.outbox
    assert letter.to == ["care@north.example.org"]
    day = timezone.now().date() + timedelta(days=settings.DFC_NOTICE_DAYS)
    assert f"goes out of service on {day}" in letter.subject
    assert letter.body.count(WHY) == 2
    assert "Veuillez garder" in letter.body
    assert (mirror.is_enabled, mirror.ends_on) == (True, day)


@pytest.mark.parametrize("address", ["care@north.example.org", ""])
def test_when_the_day_has_come_nobody_is_sent_there_any_more(operator: Any, settings: Any, address: str) -> None:
    settings.DFC_NOTICE_DAYS = 0
    mirror = factories.mirror("north", owner_email=address)
    announce(mirror, operator)
    assert (mirror.is_enabled, mirror.ends_on) == (False, None)
    assert mirror.history.first().history_change_reason == WHY
    assert len(mail.outbox) == bool(address)


def test_until_then_the_end_can_be_recalled_and_announced_again(operator: Any, settings: Any) -> None:
    mirror = factories.mirror("north")
    announce(mirror, operator)
    recall_end(mirror, by=operator, reason="", now=timezone.now())
    assert (mirror.is_enabled, mirror.ends_on) == (True, None)
    assert Job.objects.get().state == Job.State.CANCELLED
    settings.DFC_NOTICE_DAYS = 0
    announce(mirror, operator)
    assert not mirror.is_enabled


def test_what_makes_no_sense_is_refused(operator: Any) -> None:
    mirror, now = factories.mirror("north"), timezone.now()
    with pytest.raises(NotEndableError, match="say why"):
        announce_end(mirror, by=operator, reason=" ", now=now)
    with pytest.raises(NotEndableError, match="no end of it is announced"):
        recall_end(mirror, by=operator, reason=WHY, now=now)
    announce(mirror, operator)
    with pytest.raises(NotEndableError, match="announced already"):
        announce_end(mirror, by=operator, reason=WHY, now=now)
    stranger = get_user_model().objects.create_user("stranger")
    for act in (announce_end, recall_end):
        with pytest.raises(NotAllowedError, match="change_mirror"):
            act(mirror, by=stranger, reason=WHY, now=now)


def test_the_form_does_not_disable_a_mirror_behind_its_operators_back(operator: Any) -> None:
    desk = Client()
    desk.force_login(operator)
    mirror = factories.mirror("north", endpoint="/srv/north")
    page = desk.post(
        f"/admin/mirrors/mirror/{mirror.pk}/change/",
        {
            "name": "North",
            "operator": "A library",
            "jurisdiction": "CA",
            "tier": "primary",
            "endpoint": "/srv/north",
            "public_url": "https://mirror.example.org",
        },
    )
    assert "Its operator is told first" in page.content.decode()
    mirror.refresh_from_db()
    assert mirror.is_enabled


@pytest.mark.parametrize(
    ("others", "least", "is_refused"),
    [(0, 1, True), (2, 3, True), (3, 3, False), (1, 3, False)],
    ids=["the last copy", "enough, and then too few", "enough all the same", "too few before"],
)
def test_no_version_loses_its_last_copy_or_falls_below_what_is_enough(
    operator: Any, settings: Any, others: int, least: int, *, is_refused: bool
) -> None:
    settings.DFC_NOTICE_DAYS, settings.DFC_MIN_OPERATORS = 0, least
    settings.DFC_MIN_COUNTRIES, settings.DFC_MIN_HOME_COPIES = 1, 0
    mirror, asset = factories.mirror("north"), factories.asset()
    for at in [mirror, *(factories.mirror(f"other-{number}") for number in range(others))]:
        factories.check(factories.replica(asset, at))
    announce(mirror, operator)
    failed = Step.objects.filter(function__endswith=".end_service", state=Step.State.FAILED)
    assert mirror.is_enabled == failed.exists() == is_refused
    if is_refused:
        assert f"{asset.item.version} and 0 more would be left with too few whole copies" in failed.get().error
