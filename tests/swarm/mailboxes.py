"""Mail services that go wrong in ways a server on loopback cannot: the worker dies, or no such address."""

import smtplib
from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.locmem import EmailBackend as ListBackend


class WorkerKilled(BaseException):
    """What kill -9 leaves behind: the letter is out, and nobody wrote it down."""


class KilledAfterSending(ListBackend):
    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        super().send_messages(messages)
        raise WorkerKilled


class NobodyThere(BaseEmailBackend):
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        address = email_messages[0].to[0]
        raise smtplib.SMTPRecipientsRefused({address: (550, f"{address} is not known here".encode())})
