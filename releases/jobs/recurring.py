"""Work that comes back: one durable job a period, found by its business key.

The key is `<pipeline>:<number of the period since 1970>`. So a period has one job, however many supervisors ask and
however often they are killed; a period in which nobody ran is not made up for; and nothing but rows remembers it.
A schedule of the queue would be a message that can be lost or doubled, and its rows are remote code execution.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from releases.jobs import engine
from releases.jobs.clock import clock
from releases.models import Job

KEPT = timedelta(days=2)


@dataclass(frozen=True)
class Recurring:
    """A pipeline that is started every `every_s` seconds; its subject is the number of the period."""

    pipeline: str
    every_s: float


_declared: list[Recurring] = []
_forgotten: list[str] = []


def declare(recurring: Iterable[Recurring], *, forgotten: Iterable[str]) -> None:
    """Replace what is declared. Jobs of the `forgotten` pipelines that ended well leave no history of their own."""
    _declared[:] = recurring
    _forgotten[:] = forgotten


def start_owed() -> int:
    """Start what this period has not had yet; gives how many jobs.

    A period is left out while an earlier job of the same pipeline is still under way.
    """
    now = clock.now()
    started = sum(start_one(one, now) for one in _declared)
    if started:
        Job.objects.filter(pipeline__in=_forgotten, state=Job.State.DONE, ended_at__lt=now - KEPT).delete()
    return started


def start_one(one: Recurring, now: datetime) -> bool:
    number = int(now.timestamp() // one.every_s)
    key = f"{one.pipeline}:{number}"
    known = Job.objects.filter(pipeline=one.pipeline)
    if known.filter(key=key).exists() or known.filter(state=Job.State.OPEN).exists():
        return False
    engine.start(key, one.pipeline, number, now=now)
    return True
