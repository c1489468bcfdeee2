"""What a deposit is to hold, compared with what one record may hold and with what it does hold."""

from collections.abc import Mapping

from django.db.models import Sum

from catalog.models import Asset, Version
from mirrors.backends.base import RemoteStat
from mirrors.connect import traits_of
from mirrors.errors import MirrorRefusedError, NoRoomError, UnverifiedError
from mirrors.models import Deposit, Mirror, Replica


def refuse_unfit(deposit: Deposit) -> None:
    """Raise before anything is made: MirrorRefusedError for more than one record may have, NoRoomError for no room.

    The source bundle is counted before it is made.
    """
    traits, sealed = traits_of(deposit.mirror), Asset.objects.filter(item__version=deposit.version)
    files = sealed.exclude(role=Asset.Role.SOURCE_BUNDLE).count() + 1
    size_bytes = sealed.aggregate(total=Sum("size_bytes"))["total"] or 0
    name = deposit.mirror.name
    if traits.most_files is not None and files > traits.most_files:
        raise MirrorRefusedError(
            f"{deposit.version}: it has {files} files with its source bundle, and one record at {name} may have "
            f"{traits.most_files}. Pack some into an archive, or take the dataset out of the policies of that mirror."
        )
    if traits.most_bytes is not None and size_bytes > traits.most_bytes:
        raise MirrorRefusedError(
            f"{deposit.version}: it has {size_bytes} bytes, and one record at {name} may have {traits.most_bytes}. "
            "Ask for more there, or take the dataset out of the policies of that mirror."
        )
    refuse_full(deposit, size_bytes)


def refuse_full(deposit: Deposit, size_bytes: int) -> None:
    """Raise NoRoomError where a version would be more than the mirror's operator gives us."""
    mirror = deposit.mirror
    after = used_bytes(mirror, besides=deposit.version) + size_bytes
    if mirror.capacity_bytes is not None and after > mirror.capacity_bytes:
        raise NoRoomError(
            f"{deposit.version}: with its {size_bytes} bytes {after} would lie at {mirror.name}, whose operator "
            f"gives us {mirror.capacity_bytes}. Ask for more and change its capacity, or take something out of its "
            "policies."
        )


def used_bytes(mirror: Mirror, *, besides: Version | None = None) -> int:
    """Sum up what lies at a mirror, or is on its way there, of all versions but one."""
    kept = Replica.objects.filter(mirror=mirror).exclude(state=Replica.State.REMOVED)
    if besides:
        kept = kept.exclude(asset__item__version=besides)
    total: int = kept.aggregate(total=Sum("asset__size_bytes", default=0))["total"]
    return total


def refuse_unplanned(deposit: Deposit, listing: Mapping[str, RemoteStat]) -> None:
    """Raise UnverifiedError unless a record holds the version's files and no other, by size and checksum.

    After it is public nothing of this could be mended.
    """
    planned = {one.path: one for one in Asset.objects.filter(item__version=deposit.version)}
    for path in sorted(planned.keys() | listing.keys()):
        finding = finding_of(planned.get(path), listing.get(path))
        if finding:
            raise UnverifiedError(
                f"{path}: {finding} in the draft at {deposit.mirror.name}, which was not made public. Look at that "
                "draft, then retry."
            )


def finding_of(asset: Asset | None, stat: RemoteStat | None) -> str:
    if asset is None:
        return "this file is not of this version, but is"
    if stat is None:
        return "it is missing"
    known = {name: getattr(asset, name) for name in stat.checksums}
    if stat.size_bytes != asset.size_bytes or dict(stat.checksums) != known:
        return "other bytes are under this name"
    return ""
