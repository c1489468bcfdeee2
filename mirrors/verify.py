"""Verify copies: read them back, write the evidence, and all that follows from it in the same transaction."""

import hashlib
import random
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import BigIntegerField
from django.utils import timezone

from catalog.models import Asset, PieceTable
from catalog.storable import storable
from catalog.storage.connect import own_storage
from mirrors.backends.base import MirrorBackend, RemoteStat
from mirrors.checks.budget import ReadAt, charged
from mirrors.checks.incidents import copy_is_bad, copy_is_good
from mirrors.connect import connect, traits_of
from mirrors.errors import AbsentError, MirrorRefusedError, MirrorSettlingError, UnverifiedError
from mirrors.models import PUBLIC, Check, Incident, Mirror, Replica
from mirrors.replicate import mirrors_of
from releases.catalogue import request_edition
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Release

SAMPLES, SAMPLE_BYTES, SHA1_BYTES = 8, 65_536, 20
MOST_CHECKSUM = 80  # characters of what a mirror tells as one
STATES = {
    Check.Result.DAMAGED: Replica.State.DAMAGED,
    Check.Result.MISSING: Replica.State.MISSING,
}
PUBLICLY = " through the public address"
PROVING = (Check.Level.CHECKSUM, Check.Level.FULL)
Progress = Callable[[int], None]


@dataclass(frozen=True)
class How:
    """How the bytes of a copy are read, from a place and of a length, and what the evidence says of it."""

    read: ReadAt
    words: str = ""


@dataclass(frozen=True)
class Finding:
    """What one look at a copy gave."""

    result: str
    method: str
    size_bytes: int | None
    checksum: str = ""


def check_replica(
    replica: Replica,
    *,
    backend: MirrorBackend,
    level: int,
    now: datetime,
    progress: Progress | None = None,
    read_at: ReadAt | None = None,
) -> Check:
    """Look at one copy at one level, and write what was found and what follows from it in one transaction.

    Bytes are read by the backend, or by `read_at` where they are to come another way (mirrors/checks/public.py), and
    charged to the mirror's day.
    A mirror that does not answer raises MirrorUnavailableError and writes nothing: silence is no verdict. Neither is
    what a mirror shows while it has accepted more: MirrorSettlingError.
    """
    how = How(read_at, PUBLICLY) if read_at else by_backend(replica, backend)
    with charged(replica.mirror, most_bytes(replica, level), now=now) as meter:
        finding = look(replica, backend, level, progress or ignore, replace(how, read=meter.reading(how.read)))
    return record(replica, finding, level=level, now=now)


def most_bytes(replica: Replica, level: int) -> int:
    """Give how much of a copy a look at a level reads at most, short of large pieces of our own."""
    if level <= Check.Level.CHECKSUM:
        return 0
    size_bytes = replica.asset.size_bytes
    return size_bytes if level == Check.Level.FULL else min(SAMPLES * SAMPLE_BYTES, size_bytes)


def by_backend(replica: Replica, backend: MirrorBackend) -> How:
    return How(lambda start, length: backend.read(replica.locator, start=start, length=length))


def ignore(_done_bytes: int) -> None:
    """Take progress that nobody asked for."""


def checker() -> str:
    """Name this machine in the evidence."""
    return socket.gethostname()[:60]


def record(replica: Replica, finding: Finding, *, level: int, now: datetime) -> Check:
    """Write a Check, the copy's new state, its incident, and the change of the catalogue, all or nothing."""
    with transaction.atomic():
        check = Check.objects.create(
            replica=replica,
            level=level,
            method=finding.method,
            result=finding.result,
            size_seen_bytes=kept_size(finding.size_bytes),
            checksum_seen=storable(finding.checksum)[:MOST_CHECKSUM],
            checker=checker(),
            at=now,
        )
        settle(locked(replica.pk), check)
    return check


def kept_size(size_bytes: int | None) -> int | None:
    """Give a size that a mirror tells if a row has room for it; what it tells may be anything."""
    return size_bytes if size_bytes is not None and 0 <= size_bytes <= BigIntegerField.MAX_BIGINT else None


def locked(replica_id: int) -> Replica:
    """Hold a copy's row until the transaction ends, so that two checks of it cannot both move it."""
    rows = Replica.objects.select_for_update(of=("self",))
    return rows.select_related("asset__item__version__dataset", "mirror").get(pk=replica_id)


def settle(replica: Replica, check: Check) -> None:
    """Bring a copy's state to what a check found; the catalogue is told if that changes what is offered.

    Of a copy that we removed while it was looked at nothing follows: it is neither offered again nor repaired.
    """
    if replica.state == Replica.State.REMOVED:
        return
    if check.result != Check.Result.PASSED:
        to, facts = STATES[Check.Result(check.result)], {}
        copy_is_bad(replica, check)
    elif proves(replica, check):
        to, facts = Replica.State.VERIFIED, {"verified_at": check.at}
        copy_is_good(replica, check)
    else:
        return
    Replica.objects.move(replica.pk, source=replica.state, to=to, **facts)
    version, was_offered = replica.asset.item.version, replica.state == Replica.State.VERIFIED
    if version.state in PUBLIC and was_offered != (to == Replica.State.VERIFIED):
        request_edition(f"{version}: {replica.asset.path} at {replica.mirror.slug}: {to}", now=check.at)


def proves(replica: Replica, check: Check) -> bool:
    """Tell whether a passed check makes a copy verified: at L2 or L4, with nothing that failed since it began.

    Of a copy that the public was told is not there, only a read through the public address does.
    """
    failed = replica.checks.exclude(result=Check.Result.PASSED)
    is_shown = check.method.endswith(PUBLICLY) or not is_unserved(replica)
    return check.level in PROVING and is_shown and not failed.filter(at__gte=check.at).exists()


def is_unserved(replica: Replica) -> bool:
    """Tell whether a copy is out of the lists because its public address said that nothing is there."""
    publicly = {"found_by__result": Check.Result.MISSING, "found_by__method__endswith": PUBLICLY}
    return Incident.objects.filter(replica=replica, ended_at=None, **publicly).exists()


def look(replica: Replica, backend: MirrorBackend, level: int, progress: Progress, how: How | None = None) -> Finding:
    stat = backend.stat(replica.locator)
    return settled(replica, stat, look_into(replica, stat, level, progress, how or by_backend(replica, backend)))


def settled(replica: Replica, stat: RemoteStat | None, found: Finding) -> Finding:
    """Give a finding back; raises MirrorSettlingError for a bad one that may be what was before."""
    if found.result != Check.Result.PASSED and stat is not None and stat.is_settling:
        raise not_seen_yet(replica)
    return found


def look_into(replica: Replica, stat: RemoteStat | None, level: int, progress: Progress, how: How) -> Finding:
    if stat is None or level <= Check.Level.CHECKSUM or stat.size_bytes != replica.asset.size_bytes:
        return judge(replica, stat, level)
    try:
        if level == Check.Level.SAMPLED:
            return (sample_pieces if replica.mirror.is_own else sample)(replica, how)
        return read_whole(replica, how, progress)
    except AbsentError:
        return Finding(Check.Result.MISSING, f"nothing there{how.words}", None)


def judge(replica: Replica, stat: RemoteStat | None, level: int) -> Finding:
    """Judge a copy by what its mirror says of it, up to level 2."""
    if stat is None:
        return Finding(Check.Result.MISSING, "listing", None)
    if stat.size_bytes != replica.asset.size_bytes:
        return Finding(Check.Result.DAMAGED, "size", stat.size_bytes)
    if level <= Check.Level.SIZE:
        return Finding(Check.Result.PASSED, "size", stat.size_bytes)
    return compare_checksum(replica.asset, stat, replica.mirror)


def not_seen_yet(replica: Replica) -> MirrorSettlingError:
    return MirrorSettlingError(
        f"{replica.asset.path}: {replica.mirror.name} has accepted more than it shows yet. It is looked at again.",
        after_s=replica.mirror.settle_s,
    )


def compare_checksum(asset: Asset, stat: RemoteStat, mirror: Mirror) -> Finding:
    """Compare the strongest checksum that the mirror reports; raises MirrorRefusedError if it reports none."""
    for algorithm in ("sha256", "sha1", "md5"):
        if algorithm in stat.checksums:
            seen, ours = stat.checksums[algorithm], getattr(asset, algorithm)
            result = Check.Result.PASSED if seen == ours else Check.Result.DAMAGED
            return Finding(result, f"{algorithm} of the mirror", stat.size_bytes, seen)
    raise MirrorRefusedError(f"{mirror.slug}: it reports no checksum, so L2 cannot be done. Use level 4.")


def sample(replica: Replica, how: How) -> Finding:
    """Compare random ranges with our own copy; ranges are drawn anew for each check.

    Raises MirrorRefusedError where our own storage does not hold the file whole.
    """
    storage, size_bytes = own_storage(), replica.asset.size_bytes
    if storage.size(replica.asset.storage_key) != size_bytes:
        raise MirrorRefusedError(
            f"{replica.asset.path}: our own storage does not hold it whole, so L3 cannot be done. Use level 4."
        )
    length = min(SAMPLE_BYTES, size_bytes)
    for _ in range(SAMPLES):
        start = random.randrange(max(1, size_bytes - SAMPLE_BYTES + 1))  # noqa: S311  a sample, not a secret
        theirs = b"".join(how.read(start, length))
        ours = b"".join(storage.read(replica.asset.storage_key, start, length))
        if theirs != ours:
            return Finding(Check.Result.DAMAGED, f"range at byte {start}{how.words}", size_bytes)
    return Finding(Check.Result.PASSED, f"{SAMPLES} ranges{how.words}", size_bytes)


def sample_pieces(replica: Replica, how: How) -> Finding:
    """Compare random pieces with their published hashes (BEP 3).

    Raises MirrorRefusedError for a file that has none, since nothing compared proves nothing.
    """
    table, size_bytes = PieceTable.objects.filter(asset=replica.asset).first(), replica.asset.size_bytes
    hashes = bytes(table.v1) if table else b""
    if size_bytes and not hashes:
        raise MirrorRefusedError(f"{replica.asset.path}: it has no pieces, so L3 cannot be done. Use level 4.")
    wanted = random.sample(range(len(hashes) // SHA1_BYTES), min(SAMPLES, len(hashes) // SHA1_BYTES))
    for piece in wanted:
        length = table.piece_length if table else 0
        digest = hashlib.sha1(usedforsecurity=False)
        for block in how.read(piece * length, min(length, size_bytes - piece * length)):
            digest.update(block)
        if digest.digest() != hashes[piece * SHA1_BYTES : (piece + 1) * SHA1_BYTES]:
            return Finding(Check.Result.DAMAGED, f"piece {piece}{how.words}", size_bytes)
    return Finding(Check.Result.PASSED, f"{len(wanted)} pieces{how.words}", size_bytes)


def read_whole(replica: Replica, how: How, progress: Progress) -> Finding:
    digest, done = hashlib.sha256(), 0
    for block in how.read(0, replica.asset.size_bytes):
        digest.update(block)
        done += len(block)
        progress(done)
    seen = digest.hexdigest()
    result = Check.Result.PASSED if seen == replica.asset.sha256 else Check.Result.DAMAGED
    return Finding(result, f"sha256, full re-read{how.words}", done, seen)


def verify_deposit_replica(step: StepContext, replica_id: int) -> None:
    """Prove one copy before it is offered to anybody; a bad one needs a person.

    It is re-read in full where that is ours to do; the mirror's own checksum is compared where it keeps what it takes
    hidden, or shows it late (level 4 through the public address follows then).
    """
    replica = Replica.objects.select_related("asset", "mirror").get(pk=replica_id)
    step.progress(total_bytes=replica.asset.size_bytes)
    backend = connect(replica.mirror)
    if backend.traits.settles_late:
        await_listing(step, replica, backend)
    check = check_replica(
        replica,
        backend=backend,
        level=first_level(replica.mirror),
        now=timezone.now(),
        progress=lambda done: step.progress(done_bytes=done),
    )
    if check.result != Check.Result.PASSED:
        raise UnverifiedError(
            f"{replica.asset.path}: its copy at {replica.mirror.name} is {check.get_result_display().lower()} "
            f"({check.method}). Look at that mirror, then stop this deposit or retry."
        )


def await_listing(step: StepContext, replica: Replica, backend: MirrorBackend) -> None:
    """Raise MirrorSettlingError until a copy is listed, or its mirror had its settle time with nothing left to do."""
    if backend.stat(replica.locator) is not None:
        return
    now, noted = timezone.now(), step.load()
    if "unseen_since" not in noted:
        step.save({**noted, "unseen_since": now.isoformat()})
    since = datetime.fromisoformat(step.load()["unseen_since"])
    if now < since + timedelta(seconds=replica.mirror.settle_s):
        raise not_seen_yet(replica)


def first_level(mirror: Mirror) -> int:
    return Check.Level.CHECKSUM if traits_of(mirror).is_lasting else Check.Level.FULL


def expand_require(release_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.verify.require_verified", release_id, "L4")]


def require_verified(step: StepContext, release_id: int) -> None:
    """Hold publication back unless every file has a proved copy at every required mirror.

    Raises UnverifiedError naming the first file and mirror that lack one.
    """
    version = Release.objects.select_related("version__dataset").get(pk=release_id).version
    required = [mirror for mirror, is_required in mirrors_of(version).items() if is_required and comes_first(mirror)]
    assets = list(Asset.objects.filter(item__version=version))
    step.progress(total_units=len(assets) * len(required))
    for mirror in required:
        proved = proved_assets(mirror, assets)
        for asset in assets:
            if asset.pk not in proved:
                raise UnverifiedError(
                    f"{asset.path}: no copy at {mirror.name} has been read back since it was sealed. "
                    "Retry the deposit at that mirror, then retry here."
                )
    step.progress(done_units=len(assets) * len(required))


def comes_first(mirror: Mirror) -> bool:
    """Tell whether what a mirror has can be taken back, so that it is verified before what cannot begins."""
    traits = traits_of(mirror)
    return traits.has_drafts or not traits.is_lasting


def proved_assets(mirror: Mirror, assets: list[Asset]) -> set[int]:
    """Give the assets of which a mirror holds a verified copy, proved after sealing."""
    checks = Check.objects.filter(
        replica__mirror=mirror,
        replica__asset__in=assets,
        replica__state=Replica.State.VERIFIED,
        result=Check.Result.PASSED,
        level__in=PROVING,
    ).select_related("replica__asset")
    return {check.replica.asset_id for check in checks if check.at >= check.replica.asset.sealed_at}
