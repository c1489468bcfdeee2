"""A file comes down by its torrent: from a mirror as web seed with aria2, and from the origin seeder alone."""

import hashlib
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libtorrent
import pytest
from django.test import Client
from django.utils import timezone

from catalog.models import Asset, Version
from catalog.storage.connect import own_storage
from mirrors.backends.local import LocalMirror
from mirrors.models import Check, Replica
from mirrors.verify import check_replica
from swarm.describe import make_torrent
from swarm.models import Torrent
from swarm.seed import Seeder, seedable
from tests import factories
from tests.mirrors.serving import served

pytestmark = pytest.mark.django_db

CONTENT = bytes(range(253)) * 9_000  # 2.3 MB: 70 pieces of 32 KiB, the last one short
DOOR = "/d/ca_roads/v1.0.0/roads.geojson"
PATIENCE_S = 60


def wait_until(condition: Callable[[], Any]) -> Any:
    """Give what the condition gives once it is true; None when patience is at its end."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    return None


@pytest.fixture
def asset(settings: Any, tmp_path: Path) -> Asset:
    """Give a published file in our own storage, with its torrent."""
    settings.DFC_STORAGE_DIR = tmp_path / "storage"
    settings.DFC_STORAGE_DIR.mkdir()
    made = factories.asset(content=CONTENT, is_stored=True)
    make_torrent(factories.step("swarm.describe.make_torrent", made.pk), made.pk)
    return made


def kept(asset: Asset, folder: Path, slug: str, url: str) -> Replica:
    """Keep a good copy in a directory of a mirror, read back in full."""
    mirror = factories.mirror(slug, endpoint=str(folder / slug), public_url=f"{url}/{slug}")
    copy = factories.replica(asset, mirror, Replica.State.STORED)
    path = folder / slug / copy.locator
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    backend = LocalMirror(folder / slug, mirror.public_url)
    check_replica(copy, backend=backend, level=Check.Level.FULL, now=timezone.now())
    return copy


def aria2(torrent: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Download by a torrent file, with no DHT, no peers and no other web than loopback."""
    words = ["aria2c", "--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false"]
    words += ["--enable-peer-exchange=false", "--seed-time=0", "--file-allocation=none", "--summary-interval=0"]
    words += [f"--bt-stop-timeout={PATIENCE_S}", "--listen-port=20000-60000", "--interface=127.0.0.1"]
    return subprocess.run([*words, f"--dir={folder}", str(torrent)], capture_output=True, text=True, check=False)


@pytest.mark.aria2
@pytest.mark.skipif(not shutil.which("aria2c"), reason="aria2c is not installed")
def test_aria2_gets_the_file_from_a_mirror_by_the_torrent_alone(asset: Asset, client: Client, tmp_path: Path) -> None:
    with served({"north": tmp_path / "north", "south": tmp_path / "south"}) as server:
        for slug in ("north", "south"):
            kept(asset, tmp_path, slug, server.url)
        torrent = tmp_path / "roads.torrent"
        torrent.write_bytes(client.get(f"{DOOR}.torrent").content)
        done = aria2(torrent, tmp_path / "got")
    assert done.returncode == 0, done.stdout + done.stderr
    got = (tmp_path / "got" / "roads.geojson").read_bytes()
    assert hashlib.sha256(got).hexdigest() == asset.sha256


def seeder_of(expected: int) -> Seeder:
    """Seed our own storage on a free port of loopback."""
    seeder = Seeder("127.0.0.1:0")
    assert seeder.follow(seedable(own_storage())) == (expected, 0)
    assert wait_until(lambda: seeder.port)
    return seeder


class Leecher:
    """A client that knows one peer and nothing else; the torrent it is given names no web seed."""

    def __init__(self, torrent: bytes, folder: Path, port: int) -> None:
        folder.mkdir()
        self.session = libtorrent.session(
            {
                "listen_interfaces": "127.0.0.1:0",
                "enable_dht": False,
                "enable_lsd": False,
                "enable_upnp": False,
                "enable_natpmp": False,
            }
        )
        wanted = libtorrent.load_torrent_buffer(torrent)
        wanted.save_path = str(folder)
        assert wanted.url_seeds == []
        self.handle = self.session.add_torrent(wanted)
        self.port = port

    def status(self) -> Any:
        """Look how far it is; a peer that was not there yet is called again."""
        status = self.handle.status()
        if status.num_peers == 0:
            self.handle.connect_peer(("127.0.0.1", self.port))
        return status

    def pieces(self) -> list[bool]:
        return list(self.status().pieces)


def leecher_of(client: Client, folder: Path, seeder: Seeder) -> Leecher:
    return Leecher(client.get(f"{DOOR}.torrent").content, folder, seeder.port)


def test_the_origin_seeder_gives_the_file_without_any_web_seed(asset: Asset, client: Client, tmp_path: Path) -> None:
    seeder = seeder_of(1)
    leecher = leecher_of(client, tmp_path / "got", seeder)
    assert wait_until(lambda: leecher.status().is_seeding)
    leecher.session.remove_torrent(leecher.handle)
    got = tmp_path / "got" / "roads.geojson"
    assert wait_until(lambda: hashlib.sha256(got.read_bytes()).hexdigest() == asset.sha256)


def test_the_origin_seeder_never_sends_a_damaged_piece(asset: Asset, client: Client, tmp_path: Path) -> None:
    path = factories.own_path(asset.storage_key)
    content = bytearray(CONTENT)
    content[5 * asset.pieces.piece_length] ^= 0xFF
    path.write_bytes(content)
    seeder = seeder_of(1)
    leecher = leecher_of(client, tmp_path / "got", seeder)
    assert wait_until(lambda: sum(leecher.pieces()) == len(leecher.pieces()) - 1 > 0)
    assert not leecher.pieces()[5]
    assert leecher.status().total_failed_bytes == 0


def test_the_origin_seeder_follows_what_is_public_and_whole(asset: Asset) -> None:
    seeder, storage = seeder_of(1), own_storage()
    assert seeder.follow(seedable(storage)) == (0, 0)
    Version.objects.update(state=Version.State.WITHDRAWN)
    assert seeder.follow(seedable(storage)) == (0, 1)
    for state in (Version.State.DEPRECATED, Version.State.PUBLISHED):
        Version.objects.update(state=state)
        assert [one.infohash_v1 for one in seedable(storage)] == [Torrent.objects.get().infohash_v1]
    assert seeder.follow(seedable(storage)) == (1, 0)
    factories.own_path(asset.storage_key).write_bytes(CONTENT[:-1])
    assert seedable(storage) == []
    storage.delete(asset.storage_key)
    assert seedable(storage) == []


def test_a_draft_is_not_seeded(asset: Asset) -> None:
    Version.objects.update(state=Version.State.DRAFT)
    assert seedable(own_storage()) == []


def test_describing_a_file_twice_leaves_one_torrent(asset: Asset) -> None:
    before = Torrent.objects.values().get()
    make_torrent(factories.step("swarm.describe.make_torrent", asset.pk + 1000), asset.pk)
    assert Torrent.objects.values().get() == before
