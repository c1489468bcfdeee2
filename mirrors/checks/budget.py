"""How much of each mirror is read in a day: a costly one stays within its means, a large one takes no other's share.

1. A look is charged to the mirror's day in UTC before it begins, and what it did not read is given back after it. A
   kill on the way leaves it charged, so that the sum of a day is never too small.
2. A re-read that comes by itself is queued only while something of the day's budget is left: a file of any size is
   read some day, and no day has more than its budget and one file. What is queued counts as if it were read.
3. Deposits, repairs and what a person asks for are read at once, and count.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from math import ceil
from typing import TypeVar

from django.conf import settings

from mirrors.models import Mirror, MirrorDay

GIB = 1 << 30
ReadAt = Callable[[int, int], Iterator[bytes]]
Row = TypeVar("Row")


@dataclass
class Meter:
    """Counts the bytes that one look reads."""

    read_bytes: int = 0

    def reading(self, read: ReadAt) -> ReadAt:
        def counted(start: int, length: int) -> Iterator[bytes]:
            for block in read(start, length):
                self.read_bytes += len(block)
                yield block

        return counted


@contextmanager
def charged(mirror: Mirror, most_bytes: int, *, now: datetime) -> Iterator[Meter]:
    """Charge a look that reads at most so much, and bring that to what its meter has counted when it ends."""
    meter, on = Meter(), now.date()
    if most_bytes:
        MirrorDay.objects.charge(mirror.pk, on, most_bytes)
    try:
        yield meter
    finally:
        if meter.read_bytes != most_bytes:
            MirrorDay.objects.charge(mirror.pk, on, meter.read_bytes - most_bytes)


def budget_of(mirror: Mirror) -> int:
    """Give the bytes that may be read again of a mirror in a day, by itself."""
    own = mirror.daily_read_bytes
    return int(settings.DFC_RECHECK_GIB) * GIB if own is None else own


def read_on(mirror: Mirror, day: date) -> int:
    """Give the bytes that were read of a mirror on a day in UTC."""
    return MirrorDay.objects.filter(mirror=mirror, on=day).values_list("read_bytes", flat=True).first() or 0


def within(rows: Iterable[Row], left_bytes: int, size_of: Callable[[Row], int]) -> Iterator[Row]:
    """Give rows in their order while something is left, so that the last one may be larger than what is."""
    for row in rows:
        if left_bytes <= 0:
            return
        left_bytes -= size_of(row)
        yield row


def cycle_days(held_bytes: int, budget_bytes: int) -> int | None:
    """Give in how many days every copy of a mirror is read once, at its budget; None where nothing is read."""
    return max(1, ceil(held_bytes / budget_bytes)) if budget_bytes else None
