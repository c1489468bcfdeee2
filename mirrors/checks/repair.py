"""Repair a copy: put it again from a copy that was read whole, then read it back whole.

1. What lies at its place is read first; if it is good after all, nothing is touched.
2. Nothing is removed before another copy has been read whole and has the published digest.
3. The bytes are hashed once more while they are copied, and what was stored is read back before the copy counts.

A kill at any line leaves an open incident and a step that begins again at 1.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from django.utils import timezone

from catalog.storage.files import OpenAt
from mirrors.checks.budget import charged
from mirrors.checks.incidents import mirror_is_silent
from mirrors.checks.recheck import look_again
from mirrors.connect import connect
from mirrors.errors import (
    MirrorRefusedError,
    MirrorSettlingError,
    MirrorUnavailableError,
    NoGoodCopyError,
    NotServedError,
    RepairFailedError,
)
from mirrors.models import OWN_SLUG, Check, Incident, Replica
from mirrors.offer import address_of
from mirrors.replicate import store
from mirrors.verify import Finding, by_backend, check_replica, is_unserved, look
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec


def expand_repair(incident_id: int) -> Sequence[StepSpec]:
    replica = find(incident_id).replica
    return [StepSpec("mirrors.checks.repair.repair_copy", incident_id, str(replica))]


def find(incident_id: int) -> Incident:
    related = ("replica__asset__item__version__dataset__package", "replica__mirror")
    return Incident.objects.select_related(*related).get(pk=incident_id, replica__isnull=False)


def repair_copy(step: StepContext, incident_id: int) -> None:
    """Make one copy good again. Safe to run twice.

    Raises NoGoodCopyError when no other copy is good; RepairFailedError when what was put is not good yet;
    NotServedError when the mirror has it whole and does not show it to the public.
    """
    replica = find(incident_id).replica
    if replica is None or is_over(incident_id):
        return
    found = look_whole(step, replica)
    if found.result != Check.Result.PASSED:
        source = good_copy(step, replica)
        Incident.objects.filter(pk=incident_id).update(source=source.mirror)
        if found.result == Check.Result.DAMAGED:
            connect(replica.mirror).retire(replica.locator)
        put_again(step, replica, source)
    if is_unserved(replica):
        look_again(replica, Check.Level.FULL, now=timezone.now())
    else:
        check_replica(replica, backend=connect(replica.mirror), level=Check.Level.FULL, now=timezone.now())
    if not is_over(incident_id):
        refuse_unserved(replica, found)
        raise RepairFailedError(
            f"{replica.asset.path}: its copy at {replica.mirror.name} does not read back as it was published. It is "
            "put again; if that does not help, look at that mirror's disk."
        )


def refuse_unserved(replica: Replica, found: Finding) -> None:
    if found.result == Check.Result.PASSED and is_unserved(replica):
        raise NotServedError(
            f"{replica.asset.path}: {replica.mirror.name} holds it whole, but says at its public address "
            f"{address_of(replica)} that nothing is there. Mend the public address of that mirror, then retry here."
        )


def is_over(incident_id: int) -> bool:
    return Incident.objects.filter(pk=incident_id, ended_at__isnull=False).exists()


def look_whole(step: StepContext, replica: Replica) -> Finding:
    """Read what lies at a copy's place, without a verdict: the check that found it bad stands already."""
    step.progress(total_bytes=replica.asset.size_bytes)
    backend = connect(replica.mirror)
    how = by_backend(replica, backend)
    with charged(replica.mirror, replica.asset.size_bytes, now=timezone.now()) as meter:
        how = replace(how, read=meter.reading(how.read))
        return look(replica, backend, Check.Level.FULL, lambda done: step.progress(done_bytes=done), how)


def good_copy(step: StepContext, bad: Replica) -> Replica:
    """Give another copy that passes a full re-read now, our own storage first; each look leaves its evidence."""
    others = Replica.objects.filter(asset=bad.asset_id).there().exclude(pk=bad.pk)
    ordered = sorted(
        others.select_related("asset__item__version__dataset", "mirror"),
        key=lambda one: (one.mirror.slug != OWN_SLUG, one.state != Replica.State.VERIFIED, one.mirror_id),
    )
    for one in ordered:
        if is_good(step, one):
            return one
    raise NoGoodCopyError(
        f"{bad.asset.path}: no other copy has the published digest, so nothing was removed at {bad.mirror.name}. "
        "Bring a good copy back at any mirror (sha256 "
        f"{bad.asset.sha256}), verify it, then retry here."
    )


def is_good(step: StepContext, replica: Replica) -> bool:
    """Read a copy whole; one at a mirror that does not answer, or cannot be opened here, is no source now."""
    try:
        check = check_replica(
            replica,
            backend=connect(replica.mirror),
            level=Check.Level.FULL,
            now=timezone.now(),
            progress=lambda done: step.progress(done_bytes=done),
        )
    except MirrorSettlingError:
        return False
    except MirrorUnavailableError as error:
        mirror_is_silent(replica.mirror, str(error), now=timezone.now())
        return False
    except MirrorRefusedError:
        return False
    return check.result == Check.Result.PASSED


def put_again(step: StepContext, replica: Replica, source: Replica) -> None:
    backend = connect(source.mirror)
    place = store(replica, hashed(lambda start: backend.read(source.locator, start=start), replica), step)
    Replica.objects.filter(pk=replica.pk).exclude(state=Replica.State.VERIFIED).update(**place)


def hashed(source: OpenAt, replica: Replica) -> OpenAt:
    """Read a source whole while it is copied, and raise RepairFailedError at its end if its digest is another.

    What was copied before a kill is read once more to be hashed, and not given again.
    """

    def opened(start: int) -> Iterator[bytes]:
        digest, position = hashlib.sha256(), 0
        for block in source(0):
            digest.update(block)
            position += len(block)
            if position > start:
                yield block[max(0, start - (position - len(block))) :]
        if digest.hexdigest() != replica.asset.sha256:
            raise RepairFailedError(
                f"{replica.asset.path}: its source changed while it was copied. The repair begins anew."
            )

    return opened
