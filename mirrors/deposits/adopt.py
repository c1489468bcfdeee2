"""Take what lies at a mirror already into our rows, without sending a byte of it again.

1. Nothing is written at the mirror, and what is a draft there is left to its deposit's own job.
2. A file is one of ours by its digest: the checksum that the mirror reports, or the bytes read whole where it reports
   none. Its name there may be another one.
3. What was taken is offered to nobody until a re-read has proved it; that is queued.
4. What was taken before stays as it is, so that taking twice is the same as once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from catalog.addresses import networks
from catalog.models import Asset, Version
from mirrors.backends.base import Draft, MirrorBackend, RemoteStat
from mirrors.checks.knock import knock
from mirrors.checks.recheck import start_recheck
from mirrors.deposits.record import record
from mirrors.errors import MirrorRefusedError
from mirrors.models import PUBLIC, AdoptionFinding, Check, Deposit, Mirror, Replica
from mirrors.replicate import deposit_key
from mirrors.verify import Progress, by_backend, ignore, judge, read_whole

Result = AdoptionFinding.Result
SEEN = {200, 206, 416}
NOT_THERE = (Replica.State.PENDING, Replica.State.REMOVED, Replica.State.MISSING)


@dataclass(frozen=True)
class Found:
    """One line of what was found; `where` is the mirror's name for it."""

    result: AdoptionFinding.Result
    version: str
    path: str = ""
    where: str = ""


@dataclass(frozen=True)
class Place:
    """A version at a mirror: its row, written or not yet, and what the mirror has."""

    deposit: Deposit
    backend: MirrorBackend
    draft: Draft
    listing: Mapping[str, RemoteStat]

    def candidate(self, asset: Asset, path: str) -> Replica:
        """Give the copy that an asset would have if it were the file of that path there."""
        locator = self.backend.locator(self.draft, path)
        return Replica(asset=asset, mirror=self.deposit.mirror, locator=locator, url=self.backend.url(locator))


@dataclass(frozen=True)
class Seen:
    """What was found of a version, and the copies of it that can be taken from their place."""

    findings: Sequence[Found]
    place: Place | None = None
    copies: Sequence[Replica] = ()


def adopt(
    version: Version,
    mirror: Mirror,
    backend: MirrorBackend,
    *,
    record_id: str = "",
    now: datetime,
    is_dry: bool = False,
) -> Sequence[Found]:
    """Take what a mirror has of a version, from the record that is named or that its own key finds.

    Raises MirrorUnavailableError, with nothing written; MirrorRefusedError if the version lies in another record.
    """
    seen = look(version, mirror, backend, record_id=record_id, now=now)
    if not is_dry:
        take(seen, now=now)
    return seen.findings


def look(
    version: Version,
    mirror: Mirror,
    backend: MirrorBackend,
    *,
    record_id: str = "",
    now: datetime,
    progress: Progress = ignore,
) -> Seen:
    """Find out what a mirror has of a version, and write nothing; raises as `adopt` does.

    `progress` is told the bytes of a file that is read whole.
    """
    deposit = deposit_of(version, mirror, record_id, now=now)
    try:
        draft = draft_at(deposit, backend, record_id)
    except MirrorRefusedError as error:
        return Seen([Found(Result.FOREIGN, str(version), where=str(error))])
    listing = backend.listing(draft) if draft else {}
    if draft is None or not listing:
        return Seen([Found(Result.ABSENT, str(version))])
    place = Place(deposit, backend, draft, listing)
    copies, findings = compared(place, progress)
    if copies and not is_public(place, copies):
        return Seen([Found(Result.DRAFT, str(version), where=draft.record_id), *findings])
    there = [Found(result_of(copy), str(version), copy.asset.path, copy.locator) for copy in copies]
    return Seen([*there, *findings], place, copies)


def deposit_of(version: Version, mirror: Mirror, record_id: str, *, now: datetime) -> Deposit:
    """Give the row of a version at a mirror, or one that is not written yet."""
    deposit = Deposit.objects.filter(version=version, mirror=mirror).first()
    if deposit is None:
        return Deposit(version=version, mirror=mirror, created_at=now)
    if record_id and deposit.record_id not in {"", record_id}:
        raise MirrorRefusedError(
            f"{version}: at {mirror.name} it lies in record {deposit.record_id} already. Look at both, and leave the "
            "record out to adopt that one."
        )
    return deposit


def draft_at(deposit: Deposit, backend: MirrorBackend, record_id: str) -> Draft | None:
    key, described, known = deposit_key(deposit.version), record(deposit), record_id or deposit.record_id
    return Draft(key, known, record=described) if known else backend.find(key, described)


def compared(place: Place, progress: Progress) -> tuple[list[Replica], list[Found]]:
    """Give the copies of our files that are there, and what is missing, other or unknown."""
    version = place.deposit.version
    assets = list(Asset.objects.filter(item__version=version).order_by("path"))
    left = set(place.listing) - {asset.path for asset in assets}
    copies, findings = [], []
    for asset in assets:
        paths = [asset.path] if asset.path in place.listing else sorted(left)
        copy = same_of(place, asset, paths, progress)
        if copy:
            copies.append(copy)
            left -= {path for path in left if place.backend.locator(place.draft, path) == copy.locator}
        else:
            result = Result.OTHER if asset.path in place.listing else Result.MISSING
            findings.append(Found(result, str(version), asset.path))
    findings += [Found(Result.UNKNOWN, str(version), path) for path in sorted(left)]
    return copies, findings


def same_of(place: Place, asset: Asset, paths: Iterable[str], progress: Progress) -> Replica | None:
    """Give the first of the files there that has an asset's bytes."""
    for path in paths:
        copy, stat = place.candidate(asset, path), place.listing[path]
        if stat.size_bytes == asset.size_bytes and has_bytes(copy, stat, place.backend, progress):
            return copy
    return None


def has_bytes(copy: Replica, stat: RemoteStat, backend: MirrorBackend, progress: Progress) -> bool:
    try:
        found = judge(copy, stat, Check.Level.CHECKSUM)
    except MirrorRefusedError:  # it reports no checksum
        found = read_whole(copy, by_backend(copy, backend), progress)
    return found.result == Check.Result.PASSED


def is_public(place: Place, copies: Sequence[Replica]) -> bool:
    """Tell whether people can have what was found; only where drafts are hidden is it asked."""
    if not place.backend.traits.has_drafts:
        return True
    allowed = networks(settings.DFC_PRIVATE_NETWORKS)
    return knock("GET", copies[0].url, headers={"Range": "bytes=0-0"}, allowed=allowed).status in SEEN


def result_of(copy: Replica) -> AdoptionFinding.Result:
    before = Replica.objects.filter(asset=copy.asset, mirror=copy.mirror).exclude(state__in=NOT_THERE)
    return Result.KNOWN if before.exists() else Result.ADOPTED


def take(seen: Seen, *, now: datetime) -> None:
    """Write the copies that were found, and queue their proof; nothing to do where none is."""
    if seen.place is None or not seen.copies:
        return
    deposit, draft = seen.place.deposit, seen.place.draft
    with transaction.atomic():
        kept, _ = Deposit.objects.get_or_create(
            version=deposit.version, mirror=deposit.mirror, defaults={"urn": deposit.urn, "created_at": now}
        )
        Deposit.objects.filter(pk=kept.pk).exclude(state=Deposit.State.PUBLIC, record_id=draft.record_id).update(
            state=Deposit.State.PUBLIC,
            record_id=draft.record_id,
            doi=draft.doi or kept.doi,
            concept_doi=draft.concept_doi or kept.concept_doi,
        )
        for copy in seen.copies:
            if result_of(copy) == Result.ADOPTED:
                take_copy(copy, now=now)


def take_copy(copy: Replica, *, now: datetime) -> None:
    row, _ = Replica.objects.get_or_create(asset=copy.asset, mirror=copy.mirror)
    if Replica.objects.move(row.pk, source=row.state, to=Replica.State.STORED, locator=copy.locator, url=copy.url):
        start_recheck(row, now=now)


def versions_of(dataset: str = "", number: str = "") -> "QuerySet[Version]":
    """Give the public versions with sealed files that are asked for, all of them if none is named."""
    named = Q(dataset__identifier=dataset) if dataset else Q()
    numbered = Q(number=number.removeprefix("v")) if number else Q()
    sealed = Exists(Asset.objects.filter(item__version=OuterRef("pk")))
    public = Version.objects.filter(named, numbered, sealed, state__in=PUBLIC)
    related = ("dataset__package", "dataset__licence")
    return public.select_related(*related).order_by("dataset__identifier", "precedence")
