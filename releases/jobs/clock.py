"""The engine's one clock and its waiting times, so that a test can move the clock."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone


class Clock:
    """Gives the time; a test puts its own function in `read`."""

    def __init__(self) -> None:
        self.read: Callable[[], datetime] = timezone.now

    def now(self) -> datetime:
        return self.read()


clock = Clock()


def lease() -> timedelta:
    return timedelta(seconds=settings.DFC_LEASE_S)


def backoff(attempts: int) -> timedelta:
    """Double with each attempt, with a little jitter so that many steps do not come back at once."""
    seconds = min(settings.DFC_BACKOFF_S * 2 ** min(attempts - 1, 20), settings.DFC_LONGEST_BACKOFF_S)
    return timedelta(seconds=seconds * random.uniform(1.0, 1.2))  # noqa: S311  jitter, not a secret
