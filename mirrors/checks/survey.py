"""Survey a mirror: what it says of every file of a version, in few requests, and a sample of what it gives people.

1. A listing proves at level 2 where the mirror reports checksums, and says at level 1 that the size is right where it
   does not. What is missing or other in a listing is asked for once more by itself before it is a verdict, since
   listings lag and break off.
2. Sampled copies are read in ranges through the public address (level 3).
3. The versions that were surveyed longest ago come first; how many there are in a run does not matter to memory.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from mirrors.backends.base import MirrorBackend, RemoteStat
from mirrors.checks.due import answering
from mirrors.checks.incidents import mirror_is_silent
from mirrors.checks.probe import any_copy
from mirrors.checks.recheck import look_again
from mirrors.connect import connect
from mirrors.errors import MirrorRefusedError, MirrorSettlingError, MirrorUnavailableError
from mirrors.models import PUBLIC, Check, Deposit, Mirror, Replica
from mirrors.replicate import draft_of, find
from mirrors.verify import Finding, judge, record, settled
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec

MOST_DEPOSITS = 200


def expand_survey(_period: int) -> Sequence[StepSpec]:
    """One step a mirror that answers; none of them is waited for by another."""
    return [
        StepSpec("mirrors.checks.survey.survey_mirror", one.pk, one.name, is_required=False) for one in answering()
    ]


def survey_mirror(step: StepContext, mirror_id: int) -> None:
    """List the deposits of a mirror that are due, then sample some copies. Safe to run twice."""
    mirror = Mirror.objects.get(pk=mirror_id)
    due = due_deposits(mirror, now=timezone.now())
    step.progress(total_units=len(due))
    try:
        for done, deposit_id in enumerate(due, start=1):
            survey_deposit(deposit_id, now=timezone.now())
            step.progress(done_units=done)
        for _ in range(settings.DFC_SURVEY_SAMPLES):
            sample_copy(any_copy(mirror))
    except MirrorUnavailableError as error:
        mirror_is_silent(mirror, str(error), now=timezone.now())


def due_deposits(mirror: Mirror, *, now: datetime) -> list[int]:
    """Give the deposits of public versions that were not surveyed for DFC_SURVEY_DAYS, the longest ago first."""
    before = now - timedelta(days=settings.DFC_SURVEY_DAYS)
    there = Deposit.objects.filter(mirror=mirror, state=Deposit.State.PUBLIC, version__state__in=PUBLIC)
    old = there.exclude(surveyed_at__gte=before).exclude(record_id="")
    return list(
        old.order_by(F("surveyed_at").asc(nulls_first=True), "pk").values_list("pk", flat=True)[:MOST_DEPOSITS]
    )


def survey_deposit(deposit_id: int, *, now: datetime) -> None:
    """Compare one listing with what we published."""
    deposit = find(deposit_id)
    backend = connect(deposit.mirror)
    said = backend.listing(draft_of(deposit))
    copies = Replica.objects.there().filter(mirror=deposit.mirror, asset__item__version=deposit.version)
    for replica in copies.select_related("asset", "mirror").order_by("pk").iterator():
        stat = said.get(replica.asset.path)
        level = level_of(stat)
        finding = judge(replica, stat, level)
        if finding.result != Check.Result.PASSED:
            try:
                level, finding = second_look(replica, backend)
            except MirrorSettlingError:
                continue  # no verdict yet
        if replica.state != Replica.State.STORED or finding.result == Check.Result.PASSED:
            record(replica, finding, level=level, now=now)
    Deposit.objects.filter(pk=deposit_id).update(surveyed_at=now)


def level_of(stat: RemoteStat | None) -> int:
    return Check.Level.CHECKSUM if stat and stat.checksums else Check.Level.SIZE


def second_look(replica: Replica, backend: MirrorBackend) -> tuple[int, Finding]:
    """Ask for one file by itself, since a listing may be old or cut short."""
    stat = backend.stat(replica.locator)
    level = level_of(stat)
    return level, settled(replica, stat, judge(replica, stat, level))


def sample_copy(replica: Replica | None) -> None:
    """Read ranges of one copy; what cannot be compared here is left to the re-read in full."""
    if replica is None:
        return
    try:
        look_again(replica, Check.Level.SAMPLED, now=timezone.now())
    except (MirrorRefusedError, MirrorSettlingError):
        return
