"""Which copies of a mirror are to be read again in full, and in which order."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import DateTimeField, Exists, ExpressionWrapper, F, OuterRef, Subquery
from django.db.models.functions import Coalesce, Least

from mirrors.connect import OPENED_KINDS
from mirrors.hidden import in_draft
from mirrors.models import Check, Incident, Mirror, MirrorQuerySet, Replica, ReplicaQuerySet
from mirrors.verify import PUBLICLY


def answering() -> MirrorQuerySet:
    return Mirror.objects.filter(is_enabled=True, state=Mirror.State.ANSWERS, kind__in=OPENED_KINDS)


def due_copies(mirror: Mirror, *, now: datetime) -> ReplicaQuerySet:
    """Give the copies of a mirror that are to be read again in full, those that are due longest first.

    Due is a copy whose proof is older than DFC_RECHECK_DAYS. At the services of others it is due as well as soon as
    the public can have it and DFC_REREAD_DAYS after it was last read through its public address; a read from before
    it was put again does not count. So each waits its turn and none is passed over.
    """
    copies = Replica.objects.proved().filter(~in_draft(), mirror=mirror)
    proof_ends = F("verified_at") + timedelta(days=settings.DFC_RECHECK_DAYS)
    due_at: Any = proof_ends
    if mirror.kind != Mirror.Kind.LOCAL:
        read_ends = F("read_at") + timedelta(days=settings.DFC_REREAD_DAYS)
        copies = copies.annotate(read_at=last_public_read())
        due_at = Least(proof_ends, Coalesce(read_ends, F("asset__item__version__published_at")))
    due = copies.annotate(due_at=ExpressionWrapper(due_at, output_field=DateTimeField()))
    return due.filter(due_at__lte=now).order_by("due_at", "pk")


def last_public_read() -> Subquery:
    """Give when a copy was last read whole through its public address, and has not been put again since."""
    ended_later = Incident.objects.filter(replica=OuterRef("replica"), ended_at__gt=OuterRef("at"))
    read = Check.objects.filter(
        replica=OuterRef("pk"), level=Check.Level.FULL, result=Check.Result.PASSED, method__endswith=PUBLICLY
    )
    return Subquery(read.exclude(Exists(ended_later)).order_by("-at").values("at")[:1])
