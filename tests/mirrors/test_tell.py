"""Curators are told what went wrong: all that is new in one letter, to those who may see it, in both languages."""

import smtplib
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.mail.backends.locmem import EmailBackend
from django.utils import timezone

from mirrors.checks.incidents import mirror_is_silent
from mirrors.models import Incident, Mirror
from releases.jobs import engine
from releases.models import Job, Step
from tests.mirrors.local_copies import Kept, keep, mend

pytestmark = pytest.mark.django_db


class RefusingBackend(EmailBackend):
    """A mail server that takes nothing, and repeats the address in its words as real ones do."""

    def send_messages(self, messages: Any) -> int:
        raise smtplib.SMTPRecipientsRefused({messages[0].to[0]: (450, b"not now, " + messages[0].to[0].encode())})


@pytest.fixture
def kept(own_storage_dir: Path, tmp_path: Path, settings: Any) -> Kept:
    settings.DFC_BACKOFF_S = 0.001
    return keep(own_storage_dir, tmp_path)


@pytest.fixture(autouse=True)
def people(db: None) -> None:
    """Two who may see incidents, one without an address, one who left, and one who may not."""
    made = get_user_model().objects.create_user
    seeing = [made("ada", "ada@example.org"), made("bo", "bo@example.org"), made("cy"), made("di", "di@example.org")]
    made("eve", "eve@example.org")
    for person in seeing:
        person.user_permissions.add(Permission.objects.get(codename="view_incident"))
    get_user_model().objects.filter(username="di").update(is_active=False)


def send() -> None:
    while due := list(Step.objects.filter(job__pipeline="tell", pk__in=engine.due_steps())):
        for step in due:
            engine.run_step(step.pk, has_heartbeat=False)


def test_one_letter_says_all_that_is_new(kept: Kept, mailoutbox: Any) -> None:
    kept.lose("second")
    mirror_is_silent(Mirror.objects.get(slug="origin"), "The disk is gone.", now=timezone.now())
    send()
    assert sorted(letter.to[0] for letter in mailoutbox) == ["ada@example.org", "bo@example.org"]
    letter = mailoutbox[0]
    assert letter.subject == "2 incidents at mirrors"
    for words in (
        "Second: roads.geojson",
        "is damaged",
        "est endommagée",
        "Origin: does not answer",
        "The disk is gone.",
    ):
        assert words in letter.body
    assert "/en/mirrors/" in letter.body
    assert "/fr/mirrors/" in letter.body
    assert not Incident.objects.filter(told_at=None).exists()
    assert set(Job.objects.filter(pipeline="tell").values_list("state", flat=True)) == {Job.State.DONE}


def test_nobody_is_told_twice_and_a_repair_sends_no_letter(kept: Kept, mailoutbox: Any) -> None:
    kept.lose("second")
    send()
    kept.look("second")
    mend()
    send()
    assert len(mailoutbox) == 2
    assert mailoutbox[0].subject == "1 incident at a mirror"


def test_a_letter_keeps_to_72_columns_and_its_links_are_whole(kept: Kept, mailoutbox: Any, settings: Any) -> None:
    settings.DFC_SITE_URL = "https://data.example.org"
    kept.lose("second")
    send()
    body = mailoutbox[0].body
    assert [line for line in body.splitlines() if len(line) > 72 and "https://" not in line] == []
    assert "https://data.example.org/en/mirrors/" in body.split()
    assert mailoutbox[0].extra_headers["Message-ID"].endswith("@data.example.org>")


def test_a_mail_server_that_says_no_is_asked_again_and_its_words_are_not_kept(
    kept: Kept, mailoutbox: Any, settings: Any
) -> None:
    locmem, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "tests.mirrors.test_tell.RefusingBackend"
    kept.lose("second")
    engine.run_step(Step.objects.get(job__pipeline="tell").pk, has_heartbeat=False)
    step = Step.objects.get(job__pipeline="tell")
    assert (step.state, step.attempts) == (Step.State.DUE, 1)
    assert "did not take the letter (SMTPRecipientsRefused)" in step.error
    assert "@" not in step.error
    settings.EMAIL_BACKEND = locmem
    Step.objects.update(due_at=timezone.now())
    send()
    assert len(mailoutbox) == 2


def test_without_anybody_to_tell_the_incident_stands_on_the_list_alone(kept: Kept, mailoutbox: Any) -> None:
    get_user_model().objects.update(email="")
    kept.lose("second")
    send()
    assert mailoutbox == []
    assert Job.objects.get(pipeline="tell").state == Job.State.DONE
