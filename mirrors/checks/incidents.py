"""What follows when something is wrong at a mirror, or is good again: incident, repair, sweep, and a letter.

Each function writes rows and starts durable jobs in its caller's transaction; none of them calls the outside.
"""

from datetime import datetime

from django.db import transaction

from catalog.models import Version
from mirrors.models import Check, Incident, Mirror, MirrorMove, Replica
from releases.jobs import engine, steering
from releases.models import Job, Step
from releases.rereads import request_reread

KINDS = {Check.Result.DAMAGED: Incident.Kind.DAMAGED, Check.Result.MISSING: Incident.Kind.MISSING}


def copy_is_bad(replica: Replica, check: Check) -> None:
    """Open the incident of a failed check with its repair, unless one is open; a withdrawn version has no repairs.

    An absent copy is rarely alone, so that the mirror's other copies are looked for as well.
    """
    if replica.asset.item.version.state == Version.State.WITHDRAWN:
        return
    incident, is_new = Incident.objects.get_or_create(
        replica=replica,
        ended_at=None,
        defaults={
            "mirror": replica.mirror,
            "kind": KINDS[Check.Result(check.result)],
            "finding": check.method,
            "found_by": check,
            "found_at": check.at,
        },
    )
    if not is_new:
        return
    engine.start(incident.repair_key, "repair", incident.pk)
    tell(incident)
    if check.result == Check.Result.MISSING:
        sweep(replica.mirror, check)


def copy_is_good(replica: Replica, check: Check) -> None:
    """End the open incident of a copy that a check has proved again; at a service it is then read publicly."""
    incident = Incident.objects.filter(replica=replica, ended_at=None).first()
    if incident is None:
        return
    Incident.objects.filter(pk=incident.pk).update(ended_at=check.at, ended_by=check)
    if replica.mirror.kind != Mirror.Kind.LOCAL:
        request_reread(replica.asset.item.version_id, cause=f"incident:{incident.pk}")


def sweep(mirror: Mirror, check: Check) -> None:
    """Look for all copies at a mirror, unless that is under way."""
    if not Job.objects.filter(pipeline="sweep", subject=mirror.pk, state=Job.State.OPEN).exists():
        engine.start(f"sweep:{mirror.pk}:{check.pk}", "sweep", mirror.pk)


def tell(incident: Incident) -> None:
    """Owe the curators a letter; letters owed at the same moment become one."""
    engine.start(f"tell:{incident.pk}", "tell", incident.pk)


def mirror_is_silent(mirror: Mirror, finding: str, *, now: datetime) -> bool:
    """Take a mirror out of every list until a probe passes; False if it was not in them, or is paused.

    Silence is no verdict about copies: theirs stay as they are.
    """
    move = MirrorMove(Mirror.State.ANSWERS, Mirror.State.SILENT, finding, now)
    with transaction.atomic():
        if not Mirror.objects.move(mirror.pk, move):
            return False
        tell(Incident.objects.create(mirror=mirror, kind=Incident.Kind.SILENT, finding=finding, found_at=now))
    return True


def mirror_answers(mirror: Mirror, why: str, *, now: datetime) -> bool:
    """Let a silent mirror be offered again, and try the repairs again that failed meanwhile; False if it was not."""
    move = MirrorMove(Mirror.State.SILENT, Mirror.State.ANSWERS, why, now)
    with transaction.atomic():
        if not Mirror.objects.move(mirror.pk, move):
            return False
        Incident.objects.filter(mirror=mirror, replica=None, ended_at=None).update(ended_at=now)
        repair_again(mirror)
    return True


def repair_again(mirror: Mirror) -> None:
    owed = Incident.objects.filter(mirror=mirror, replica__isnull=False, ended_at=None).values("pk")
    failed = Step.objects.filter(job__pipeline="repair", job__subject__in=owed, job__state=Job.State.FAILED)
    for step in failed.filter(state=Step.State.FAILED):
        steering.retry(step, by=None)
