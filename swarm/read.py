"""What pages ask of the swarm: a file's torrent, as it is offered at this moment."""

from collections.abc import Iterable, Sequence

from django.db.models import Q, QuerySet

from catalog.models import Asset
from swarm.models import Torrent
from swarm.torrent import InfoHashes, magnet


def torrents_of(assets: Iterable[Asset]) -> dict[int, Torrent]:
    """Give the torrents of files by the file's key, in one query; files of 0 bytes have none."""
    wanted = [asset.pk for asset in assets]
    return {torrent.asset_id: torrent for torrent in Torrent.objects.filter(asset__in=wanted).defer("info")}


def assets_with(infohash: str) -> "QuerySet[Asset]":
    """Give the files whose torrent has this info-hash, v1 or v2, in lower-case hexadecimal."""
    return Asset.objects.filter(Q(torrent__infohash_v1=infohash) | Q(torrent__infohash_v2=infohash))


def magnet_link(torrent: Torrent, size_bytes: int, web_seeds: Sequence[str]) -> str:
    """Give the magnet link with both info-hashes and the web seeds of the moment."""
    hashes = InfoHashes(v1=torrent.infohash_v1, v2=torrent.infohash_v2)
    return magnet(torrent.name, hashes, size_bytes, web_seeds=web_seeds)
