"""Describe published files to BitTorrent: one single-file hybrid torrent an Asset."""

from collections.abc import Sequence

from django.utils import timezone

from catalog.digests import FileDigests, PieceHashes
from catalog.models import Asset
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Release
from swarm.models import Torrent
from swarm.torrent import info_dict, infohashes


def expand_torrents(release_id: int) -> Sequence[StepSpec]:
    """One step a file; a file of 0 bytes has no torrent (BEP 52 knows no root for it)."""
    version = Release.objects.get(pk=release_id).version
    assets = Asset.objects.filter(item__version=version, size_bytes__gt=0)
    return [StepSpec("swarm.describe.make_torrent", asset.pk, asset.path) for asset in assets]


def make_torrent(step: StepContext, asset_id: int) -> None:
    """Write the torrent of one Asset from the digests of its sealing. Safe to run twice."""
    asset = Asset.objects.select_related("pieces").get(pk=asset_id)
    name = asset.path.rsplit("/", 1)[-1]
    info = info_dict(name, digests_of(asset))
    hashes = infohashes(info)
    with step.finish():
        Torrent.objects.get_or_create(
            asset=asset,
            defaults={
                "name": name,
                "infohash_v1": hashes.v1,
                "infohash_v2": hashes.v2,
                "info": info,
                "made_at": timezone.now(),
            },
        )


def digests_of(asset: Asset) -> FileDigests:
    """Read the digests of an Asset back from its rows, as the hasher gave them."""
    return FileDigests(
        size_bytes=asset.size_bytes,
        sha256=asset.sha256,
        md5=asset.md5,
        sha1=asset.sha1,
        pieces=PieceHashes(
            piece_length=asset.pieces.piece_length,
            v1=bytes(asset.pieces.v1),
            v2_root=bytes(asset.pieces.v2_root),
            v2_layer=bytes(asset.pieces.v2_layer),
        ),
    )
