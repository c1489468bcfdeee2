"""Probe a mirror: ask for one of its copies as a client does, and note whether it answers as it should.

1. A mirror passes if its backend knows the copy at its size, a HEAD of the public address says that size, and a short
   range comes with the right length and, where our own storage holds the file, the right bytes. So a mirror that was
   silent comes back only after a copy of it was looked at.
2. A mirror that fails leaves every list until a probe passes; its copies keep their state.
3. A copy that its backend does not have, or has at another size, is looked at at once: that is a verdict.
4. Where there is no verified copy to ask for, or our own rules forbid the address, nothing is said of the mirror. But
   a silent one comes back when its service answers, or the copies that it lost could never be put again.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Min
from django.utils import timezone

from catalog.addresses import Networks, networks
from catalog.storage.connect import own_storage
from mirrors.checks.incidents import mirror_answers, mirror_is_silent
from mirrors.checks.knock import Reply, knock
from mirrors.checks.recheck import start_recheck
from mirrors.connect import OPENED_KINDS, connect
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError
from mirrors.hidden import in_draft
from mirrors.models import Mirror, MirrorDay, MirrorProbe, Replica
from mirrors.offer import address_of
from mirrors.verify import checker
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec

RANGE_BYTES = 65_536
KEPT = timedelta(days=7)
OK, PARTIAL = 200, 206
SOON_S = 14 * 86_400
NOTHING_TO_ASK = "It holds no verified copy of a public file to ask for."


class CopyDoubtError(MirrorUnavailableError):
    """The mirror answers, but has not the copy that it should have."""


@dataclass(frozen=True)
class Seen:
    """What one look gave; `doubted` is the copy that has to be checked now."""

    result: str
    url: str = ""
    finding: str = ""
    latency_ms: int | None = None
    doubted: Replica | None = None


def expand_probes(_period: int) -> Sequence[StepSpec]:
    """One step a mirror in service."""
    mirrors = Mirror.objects.in_service().filter(kind__in=OPENED_KINDS)
    return [StepSpec("mirrors.checks.probe.probe_once", one.pk, one.name, is_required=False) for one in mirrors]


def probe_once(_step: StepContext, mirror_id: int) -> None:
    """Probe one mirror. Safe to run twice."""
    probe_mirror(Mirror.objects.get(pk=mirror_id), now=timezone.now())


def probe_mirror(mirror: Mirror, *, now: datetime) -> MirrorProbe:
    """Look at a mirror, and write what was seen and what follows from it in one transaction."""
    return note(mirror, look_at(mirror), now=now)


def look_at(mirror: Mirror) -> Seen:
    """Ask for one copy of a mirror; nothing is written."""
    copy = any_copy(mirror)
    if copy is None:
        return ask_service(mirror)
    url = address_of(copy)
    try:
        latency_ms, remark = ask_for(copy, url)
    except CopyDoubtError as error:
        return Seen(MirrorProbe.Result.FAILED, url, str(error), doubted=copy)
    except MirrorUnavailableError as error:
        return Seen(MirrorProbe.Result.FAILED, url, str(error))
    except MirrorRefusedError as error:
        return Seen(MirrorProbe.Result.UNASKED, url, str(error))
    return Seen(MirrorProbe.Result.PASSED, url, remark, latency_ms=latency_ms)


def ask_service(mirror: Mirror) -> Seen:
    """Ask the service of a silent mirror for a copy that is not proved: else it could never be put again."""
    unproved = Replica.objects.there().filter(mirror=mirror).exclude(locator="").order_by("pk").first()
    if unproved is None or mirror.state != Mirror.State.SILENT:
        return Seen(MirrorProbe.Result.UNASKED, finding=NOTHING_TO_ASK)
    try:
        connect(mirror).stat(unproved.locator)
    except MirrorUnavailableError as error:
        return Seen(MirrorProbe.Result.FAILED, unproved.url, str(error))
    except MirrorRefusedError as error:
        return Seen(MirrorProbe.Result.UNASKED, unproved.url, str(error))
    return Seen(MirrorProbe.Result.PASSED, unproved.url, f"{NOTHING_TO_ASK} Its service answers.")


def any_copy(mirror: Mirror) -> Replica | None:
    """Give a verified copy of a public file at a mirror, another one each time."""
    copies = Replica.objects.proved().filter(~in_draft(), mirror=mirror).select_related("asset", "mirror")
    ends = copies.aggregate(first=Min("pk"), last=Max("pk"))
    if ends["first"] is None:
        return None
    start = random.randint(ends["first"], ends["last"])  # noqa: S311  a sample, not a secret
    return copies.filter(pk__gte=start).order_by("pk").first()


def ask_for(copy: Replica, url: str) -> tuple[int, str]:
    """Ask backend and public address for a copy.

    Gives the milliseconds that a short range took, and a remark on what is not wrong yet. Raises CopyDoubtError,
    MirrorUnavailableError and MirrorRefusedError.
    """
    size_bytes, allowed = copy.asset.size_bytes, networks(settings.DFC_PRIVATE_NETWORKS)
    stat = connect(copy.mirror).stat(copy.locator)
    if stat is None or stat.size_bytes != size_bytes:
        raise CopyDoubtError(f"{copy.asset.path}: it is not there as it should be. The copy is checked now.")
    head = knock("HEAD", url, headers={"Origin": settings.DFC_SITE_URL}, allowed=allowed)
    refuse_other_head(url, head, size_bytes)
    return range_ms(copy, url, allowed), remark_on(copy.mirror, head)


def range_ms(copy: Replica, url: str, allowed: Networks) -> int:
    """Ask for a short range somewhere in a copy and compare it with our own; gives the milliseconds that it took."""
    size_bytes = copy.asset.size_bytes
    if not size_bytes or not copy.mirror.has_range:
        return 0
    wanted = min(RANGE_BYTES, size_bytes)
    start = random.randrange(size_bytes - wanted + 1)  # noqa: S311  a sample, not a secret
    began = time.monotonic()
    asked = {"Range": f"bytes={start}-{start + wanted - 1}"}
    reply = knock("GET", url, headers=asked, most_bytes=wanted + 1, allowed=allowed)
    took_ms = round((time.monotonic() - began) * 1000)
    if reply.status != PARTIAL or len(reply.body) != wanted:
        raise MirrorUnavailableError(
            f"{url}: it answered a range of {wanted} bytes with status {reply.status} and {len(reply.body)} bytes. "
            "Look at its server."
        )
    if is_other(copy, start, reply.body):
        raise CopyDoubtError(f"{copy.asset.path}: other bytes came at byte {start}. The copy is checked now.")
    return took_ms


def is_other(copy: Replica, start: int, body: bytes) -> bool:
    """Tell whether bytes differ from those of our own storage; what it does not hold whole proves nothing."""
    storage, key = own_storage(), copy.asset.storage_key
    if storage.size(key) != copy.asset.size_bytes:
        return False
    return body != b"".join(storage.read(key, start, len(body)))


def remark_on(mirror: Mirror, head: Reply) -> str:
    """Say what people would trip over later, or only browsers: a certificate that ends soon, no leave for scripts."""
    remarks = []
    if head.certificate_ends_s is not None and head.certificate_ends_s - time.time() < SOON_S:
        ends_on = datetime.fromtimestamp(head.certificate_ends_s, tz=UTC).date()
        remarks.append(f"Its certificate ends on {ends_on}.")
    allowed = head.headers.get("access-control-allow-origin", "")
    if mirror.has_cors and allowed not in {"*", settings.DFC_SITE_URL}:
        remarks.append("It does not let browsers of other pages read its files (CORS).")
    return " ".join(remarks)


def refuse_other_head(url: str, reply: Reply, size_bytes: int) -> None:
    said = reply.headers.get("content-length", "")
    if reply.status != OK:
        raise MirrorUnavailableError(f"{url}: it answered with status {reply.status}. Look at its server.")
    if said != str(size_bytes):
        raise MirrorUnavailableError(
            f"{url}: it says {said or 'no'} bytes instead of {size_bytes}. Look at its server."
        )


def note(mirror: Mirror, seen: Seen, *, now: datetime) -> MirrorProbe:
    with transaction.atomic():
        probe = MirrorProbe.objects.create(
            mirror=mirror,
            url=seen.url,
            result=seen.result,
            finding=seen.finding,
            latency_ms=seen.latency_ms,
            checker=checker(),
            at=now,
        )
        MirrorProbe.objects.filter(mirror=mirror, at__lt=now - KEPT).delete()
        if seen.result != MirrorProbe.Result.UNASKED:
            MirrorDay.objects.note(probe)
        follow(mirror, seen, now=now)
    return probe


def follow(mirror: Mirror, seen: Seen, *, now: datetime) -> None:
    if seen.result == MirrorProbe.Result.PASSED:
        mirror_answers(mirror, "A probe passed.", now=now)
    elif seen.result == MirrorProbe.Result.FAILED:
        mirror_is_silent(mirror, seen.finding, now=now)
    if seen.doubted is not None:
        start_recheck(seen.doubted, now=now)
