"""Letters: plain lines of 72 columns in the owner's language, sent once, at most twice, and never without a word."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone

from releases.jobs import engine
from releases.models import Effect, Job, Step
from swarm.letters import SEND_S, compose, owe, wrapped
from swarm.models import Node, NodeLetter
from tests.fakes.smtp import MailServer, mail_server
from tests.releases.conftest import Moment
from tests.swarm.factories import everything_kept, letter, node
from tests.swarm.mailboxes import WorkerKilled

pytestmark = pytest.mark.django_db

Work = Callable[[], int]
KINDS = NodeLetter.Kind.values
LONG = "La machine se trouve dans un jardin, où il pleut; " * 4


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    """A mail server on loopback that the settings name."""
    with mail_server() as running:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", running.port
        yield running


def owed(kind: str = "open", **fields: Any) -> NodeLetter:
    met = node("approved", **fields)
    return owe(met, kind, now=timezone.now(), pipeline="node-letter")


def composed(kind: str, language: str, **fields: Any) -> EmailMessage:
    return compose(letter(node(language=language, **fields), kind, reason=LONG.strip()))


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_letter_is_plain_lines_of_72_columns(kind: str, language: str, settings: Any) -> None:
    settings.DFC_SITE_URL = "https://dataforcanada.example"
    message = composed(kind, language)
    lines = str(message.body).splitlines()
    too_long = [line for line in lines if len(line) > 72 and not re.fullmatch(r"https?://\S+", line)]
    assert too_long == []
    assert message.subject
    assert "\n" not in str(message.subject)
    assert len(str(message.subject)) <= 72
    assert lines[0] == {"en": "Hello,", "fr": "Bonjour,"}[language]
    assert not re.search(r"[{}<>]|&\w+;", str(message.body))


@pytest.mark.parametrize("kind", KINDS)
def test_the_french_letter_keeps_french_typography_and_leads_to_french_pages(kind: str) -> None:
    message = composed(kind, "fr", display_name="")
    body = str(message.body)
    assert not re.search(
        r"[^\u00a0/0-9h]:(?!//)|[^\u00a0]»|«[^\u00a0]|[ \u00a0][;!?]", re.sub(r"https?://\S+", "", body)
    )
    assert re.findall(r"/(?:en|fr)/nodes/", body)
    assert "/en/" not in body
    assert "500\u00a0Gio" in body


@pytest.mark.parametrize(("kind", "has_link"), [(kind, kind not in {"refused", "suspended"}) for kind in KINDS])
def test_only_some_letters_have_a_link_that_opens(kind: str, *, has_link: bool) -> None:
    made = letter(node(), kind, reason="x")
    assert (f"/nodes/link/{made.key}-" in str(compose(made).body)) == has_link


def test_the_first_letter_carries_no_words_of_a_stranger() -> None:
    spam = "Buy now at https://shop.example"
    message = composed("confirm", "en", display_name=spam, notes=spam)
    assert "shop.example" not in f"{message.subject} {message.body}"


def test_long_lines_break_between_words_and_keep_their_indent() -> None:
    link = f"https://data.example.org/{'a' * 80}/"
    text = f"    {'word ' * 20}\n\n{link}\nshort"
    first, second, *rest = wrapped(text).splitlines()
    assert all(line.startswith("    word") and len(line) <= 72 for line in (first, second))
    assert rest == ["", link, "short"]


def test_a_sent_letter_is_noted_and_not_sent_again(server: MailServer, work: Work) -> None:
    made = owed(language="fr")
    work()
    message = server.taken[0]
    assert message["To"] == made.node.email
    assert message["Subject"].startswith("Le lien vers votre nœud")
    assert message["Auto-Submitted"] == "auto-generated"
    made.refresh_from_db()
    assert made.sent_at
    Step.objects.update(state="due")
    Job.objects.update(state="open", ended_at=None)
    work()
    assert len(server.taken) == 1


def forward(moment: Moment) -> None:
    moment.forward(2 * (SEND_S + 60))


def test_a_server_that_is_down_is_tried_again_until_the_letter_is_out(
    server: MailServer, work: Work, moment: Moment, settings: Any
) -> None:
    made, port = owed(), settings.EMAIL_PORT
    settings.EMAIL_PORT = 1
    for _ in range(3):
        work()
        forward(moment)
    assert "it is tried again" in Step.objects.get().error
    settings.EMAIL_PORT = port
    work()
    made.refresh_from_db()
    assert len(server.taken) == 1
    assert made.sent_at


def test_an_answer_that_was_lost_sends_the_same_letter_once_more(
    server: MailServer, work: Work, moment: Moment
) -> None:
    owed()
    server.hangs_up = True
    work()
    forward(moment)
    server.hangs_up = False
    work()
    first, second = (message["Message-ID"] for message in server.taken)
    assert first == second
    assert Job.objects.get().state == Job.State.DONE


def test_after_two_lost_answers_a_person_decides(server: MailServer, work: Work, moment: Moment) -> None:
    owed()
    server.hangs_up = True
    for _ in range(4):
        work()
        forward(moment)
    assert len(server.taken) == 2
    step = Step.objects.get()
    assert step.state == Step.State.FAILED
    assert "handed to the mail server twice" in step.error


def test_a_worker_killed_after_sending_makes_two_letters_at_most(
    settings: Any, work: Work, moment: Moment, mailoutbox: Any
) -> None:
    settings.EMAIL_BACKEND = "tests.swarm.mailboxes.KilledAfterSending"
    owed()
    for _ in range(2):
        (step,) = engine.due_steps()
        with pytest.raises(WorkerKilled):
            engine.run_step(step, has_heartbeat=False)
        forward(moment)
    work()
    assert [message.extra_headers["Message-ID"] for message in mailoutbox] == [
        mailoutbox[0].extra_headers["Message-ID"]
    ] * 2
    assert Step.objects.get().state == Step.State.FAILED


def test_a_refused_address_needs_a_person_and_is_not_written_into_the_history(server: MailServer, work: Work) -> None:
    made = owed()
    server.refuses = 550
    work()
    step = Step.objects.get()
    assert step.state == Step.State.FAILED
    assert "code 550" in step.error
    assert server.taken == []
    email = made.node.email
    Node.objects.filter(pk=made.node_id).update(email="gone@library.example")
    assert email not in everything_kept()


def test_a_refusal_for_the_moment_is_tried_again(server: MailServer, work: Work, moment: Moment) -> None:
    owed()
    server.refuses = 451
    work()
    server.refuses = 0
    forward(moment)
    work()
    assert len(server.taken) == 1


def test_nothing_is_sent_inside_a_transaction(work: Work, mailoutbox: Any) -> None:
    made = owed()
    assert mailoutbox == []
    assert not Effect.objects.exists()
    work()
    assert Effect.objects.get().external_id.startswith(f"<{made.key}@")


def test_an_owner_without_an_address_gets_nothing(work: Work, mailoutbox: Any) -> None:
    made = owed()
    Node.objects.filter(pk=made.node_id).update(state="left", email="")
    work()
    made.refresh_from_db()
    assert made.sent_at is None
    assert mailoutbox == []
    assert not Effect.objects.exists()
    assert Job.objects.get().state == Job.State.DONE


def test_letters_wait_for_each_other_no_longer_than_a_lease(moment: Moment, server: MailServer) -> None:
    """While a first attempt may be under way no other begins: its lease outlives the longest conversation."""
    owed()
    server.hangs_up = True
    (step,) = engine.due_steps()
    engine.run_step(step, has_heartbeat=False)
    moment.forward(SEND_S - 1)
    for due in engine.due_steps():
        engine.run_step(due, has_heartbeat=False)
    assert len(server.taken) == 1
    assert Step.objects.get().due_at > moment.now - timedelta(seconds=1)
