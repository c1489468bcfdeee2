"""Letters to the owners of nodes: owed in a transaction, sent by a durable step, at most twice.

A mail server has no way to ask whether it took a letter. So a letter whose answer was lost (the worker was killed,
the line broke after the text) is handed over once more, with the same Message-ID, which many mailboxes take for the
same letter. If the second answer is lost too, the step fails and says so, and a person decides. A server that says
no, or does not answer at all, did not take it: that is tried again as often as any step.
"""

import smtplib
import textwrap
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import F
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from swarm.errors import LetterUnsureError, MailboxError, MailRefusedError
from swarm.links import new_name, sign
from swarm.models import Node, NodeLetter
from swarm.nodes import LINK_LIFE

KEY_LENGTH = 12
COLUMNS = 72
SEND_S = 150.0  # EMAIL_TIMEOUT bounds each of about a dozen waits of one SMTP conversation
MOST_TRIES = 2
ANSWER_LOST = (smtplib.SMTPServerDisconnected, TimeoutError)
PERMANENT = 500


def owe(node: Node, kind: str, *, now: datetime, pipeline: str, by: Any = None, reason: str = "") -> NodeLetter:
    """Write a letter that is owed and start its durable job, in the caller's transaction."""
    letter = NodeLetter.objects.create(
        node=node, kind=kind, key=new_name(KEY_LENGTH), by=by, reason=reason, made_at=now
    )
    engine.start(letter.job_key, pipeline, letter.pk, now=now)
    return letter


def owe_after_pause(node: Node, kind: str, *, now: datetime) -> None:
    """Owe a letter with a link, unless one of its kind was owed less than DFC_LETTER_PAUSE_S ago.

    Locks the node, so that two requests at the same moment owe one letter.
    """
    Node.objects.select_for_update().get(pk=node.pk)
    since = now - timedelta(seconds=settings.DFC_LETTER_PAUSE_S)
    if not node.letters.filter(kind=kind, made_at__gt=since).exists():
        owe(node, kind, now=now, pipeline="node-letter")


def expand_letter(letter_id: int) -> Sequence[StepSpec]:
    node = NodeLetter.objects.select_related("node").get(pk=letter_id).node
    return [StepSpec("swarm.letters.send_letter", letter_id, node.public_id)]


def send_letter(step: StepContext, letter_id: int) -> None:
    """Send one letter; nothing to do for a decision that was dropped, and for an owner without an address."""
    letter = NodeLetter.objects.select_related("node").get(pk=letter_id)
    if letter.sent_at or letter.settled_at or not letter.node.email:
        return
    message = compose(letter)
    step.effect(
        "mail",
        find=lambda: refuse_third_try(letter_id),
        call=lambda: hand_over(message, letter_id),
        timeout_s=SEND_S,
    )
    with step.finish():
        NodeLetter.objects.filter(pk=letter_id).update(sent_at=timezone.now())


def refuse_third_try(letter_id: int) -> None:
    """Let a letter be handed over again; raises LetterUnsureError when two answers were lost."""
    letter = NodeLetter.objects.select_related("node").get(pk=letter_id)
    if letter.tries >= MOST_TRIES:
        raise LetterUnsureError(
            f"{letter.node}: the letter was handed to the mail server twice, and both answers were lost. Go on "
            "without it. If it did not arrive, the owner can ask for a link: “Lost your link?” on the page of nodes.",
            node=letter.node.public_id,
        )


def hand_over(message: EmailMessage, letter_id: int) -> str:
    """Give the message to the mail server; gives its Message-ID.

    Raises MailboxError and MailRefusedError; their words, kept in the history, leave the address out.
    """
    row = NodeLetter.objects.filter(pk=letter_id)
    row.update(tries=F("tries") + 1)
    try:
        message.send()
    except OSError as error:
        if not isinstance(error, ANSWER_LOST):
            row.update(tries=F("tries") - 1)
        raise refusal(error) from None
    return str(message.extra_headers["Message-ID"])


def refusal(error: OSError) -> MailboxError | MailRefusedError:
    """Turn a failure of the mail server into ours; its own words are dropped, since they repeat the address."""
    code = smtp_code(error)
    if code >= PERMANENT:
        return MailRefusedError(
            f"The mail server refused the letter for good (code {code}). Look at DFC_EMAIL_URL and DFC_EMAIL_FROM; "
            "if they are right, the owner's address does not exist: go on without the letter.",
            code=code,
        )
    return MailboxError(f"The mail server did not take the letter ({type(error).__name__}); it is tried again.")


def smtp_code(error: OSError) -> int:
    """Give the answer code (RFC 5321) of the server, of the first refused address too; 0 where there was none."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return int(next(iter(error.recipients.values()))[0])
    return int(getattr(error, "smtp_code", 0))


def compose(letter: NodeLetter) -> EmailMessage:
    """Write a letter in the language of its owner, in lines of at most 72 columns; links are never broken."""
    node = letter.node
    with override(node.language):
        context = {
            "node": node,
            "reason": letter.reason,
            "site": settings.DFC_SITE_URL,
            "link": absolute(reverse("node-open-link", args=[sign(letter.key)])),
            "ask": absolute(reverse("node-link")),
            "hours": int(LINK_LIFE.total_seconds() // 3600),
        }
        text = render_to_string(f"mail/node_{letter.kind}_{node.language}.txt", context)
    subject, _blank, body = text.strip().partition("\n\n")
    return EmailMessage(
        subject=" ".join(subject.split()),
        body=wrapped(body),
        to=[node.email],
        headers={
            "Message-ID": f"<{letter.key}@{urlsplit(settings.DFC_SITE_URL).hostname}>",
            "Auto-Submitted": "auto-generated",
        },
    )


def absolute(path: str) -> str:
    return f"{settings.DFC_SITE_URL}{path}"


def wrapped(text: str) -> str:
    """Break lines of more than 72 columns between words; what follows keeps the line's indent."""
    return "\n".join(part for line in text.splitlines() for part in wrapped_line(line)) + "\n"


def wrapped_line(line: str) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip(" ")))
    if len(line) <= COLUMNS:
        return [line]
    return textwrap.wrap(line, COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
