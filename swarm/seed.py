"""The origin seeder: one process that seeds our own storage, so that a torrent has a peer from the first minute.

libtorrent runs its own threads, so this lives in a process of its own and never in a worker. `seed_mode` trusts
the sealed bytes at first and hashes each piece when it is first asked for: a damaged piece is never sent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import libtorrent

from catalog.models import Version
from catalog.storage.base import Storage
from catalog.storage.files import locate
from swarm.models import Torrent
from swarm.torrent import wrap

SEEDED_STATES = (Version.State.PUBLISHED, Version.State.DEPRECATED)


@dataclass(frozen=True)
class Seedable:
    """One file on our disk and the torrent around it; the file's name is the torrent's."""

    infohash_v1: str
    torrent: bytes
    folder: Path


def seedable(storage: Storage) -> list[Seedable]:
    """Give every torrent of a public version whose file lies whole in our storage; none where that is a bucket.

    libtorrent reads files: where there are none, the mirrors' web seeds make the torrents complete.
    """
    directory = storage.directory
    if directory is None:
        return []
    rows = Torrent.objects.filter(asset__item__version__state__in=SEEDED_STATES).select_related("asset__pieces")
    return [
        Seedable(
            infohash_v1=row.infohash_v1,
            torrent=wrap(bytes(row.info), bytes(row.asset.pieces.v2_layer)),
            folder=locate(directory, row.asset.storage_key).parent,
        )
        for row in rows.iterator()
        if storage.size(row.asset.storage_key) == row.asset.size_bytes
    ]


class Seeder:
    """A libtorrent session that seeds exactly what `follow` was last told.

    `listen` is `address:port[,address:port]`; the DHT is off, since torrents name their web seeds and trackers.
    """

    def __init__(self, listen: str) -> None:
        self.session = libtorrent.session(
            {
                "listen_interfaces": listen,
                "user_agent": "Data for Canada",
                "enable_dht": False,
                "enable_lsd": False,
                "enable_upnp": False,
                "enable_natpmp": False,
                "active_seeds": -1,
                "active_limit": -1,
            }
        )
        self.seeded: dict[str, libtorrent.torrent_handle] = {}

    @property
    def port(self) -> int:
        return int(self.session.listen_port())

    def follow(self, wanted: Iterable[Seedable]) -> tuple[int, int]:
        """Add what is new, drop what is gone; gives how many of each."""
        by_hash = {one.infohash_v1: one for one in wanted}
        gone = self.seeded.keys() - by_hash.keys()
        new = by_hash.keys() - self.seeded.keys()
        for infohash in gone:
            self.session.remove_torrent(self.seeded.pop(infohash))
        for infohash in new:
            self.seeded[infohash] = self.add(by_hash[infohash])
        return len(new), len(gone)

    def add(self, one: Seedable) -> libtorrent.torrent_handle:
        parameters = libtorrent.load_torrent_buffer(one.torrent)
        parameters.save_path = str(one.folder)
        parameters.flags |= libtorrent.torrent_flags.seed_mode | libtorrent.torrent_flags.upload_mode
        parameters.flags &= ~(libtorrent.torrent_flags.auto_managed | libtorrent.torrent_flags.paused)
        return self.session.add_torrent(parameters)
