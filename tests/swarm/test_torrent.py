import random
from pathlib import Path
from typing import Any

import libtorrent
import pytest

from catalog.digests import Digester, FileDigests
from swarm.bencode import BencodeError, decode, encode
from swarm.torrent import TorrentError, info_dict, infohashes, magnet, wrap

BLOCK = 16 * 1024
NAME = "ca-on_roads_2026.gpkg"
TORRENTS = sorted((Path(__file__).parents[1] / "data" / "torrents").glob("*.torrent"))
WEB_SEEDS = [
    "https://data.example.ca/roads/ca-on_roads_2026.gpkg",
    "https://records.example.org/api/records/7/files/ca-on_roads_2026.gpkg/content?a=1&b=%C3%A9",
]
TRACKERS = ["https://one.example.ca/announce", "udp://two.example.ca:6969/announce"]
SIZES = [
    pytest.param(size, piece, id=f"{size}in{piece}")
    for piece in (BLOCK, 2 * BLOCK, 16 * BLOCK)
    for size in sorted(
        {1, BLOCK - 1, BLOCK, BLOCK + 1}
        | {pieces * piece + extra for pieces in (1, 2, 5, 16, 21) for extra in (-1, 0, 1)}
    )
]


def content(size_bytes: int) -> bytes:
    return random.Random(size_bytes).randbytes(size_bytes)


def digests_of(raw: bytes, piece_length: int = BLOCK) -> FileDigests:
    digester = Digester(len(raw), piece_length)
    digester.update(raw)
    return digester.finish()


def layers_of(digests: FileDigests) -> bytes:
    assert digests.pieces is not None
    return digests.pieces.v2_layer


def bdecode(raw: bytes) -> Any:
    return libtorrent.bdecode(raw)


def load(raw: bytes) -> Any:
    """Return what libtorrent understands of a torrent."""
    return libtorrent.load_torrent_buffer(raw)


def libtorrent_hybrid(directory: Path, raw: bytes, piece_length: int) -> Any:
    """Return libtorrent's own hybrid torrent of a file with these bytes."""
    path = directory / NAME
    path.write_bytes(raw)
    creator = libtorrent.create_torrent(libtorrent.list_files(str(path)), piece_length)
    libtorrent.set_piece_hashes(creator, str(directory))
    return creator.generate()


@pytest.mark.parametrize(("size_bytes", "piece_length"), SIZES)
def test_the_torrent_is_that_of_libtorrent_bit_for_bit(tmp_path: Path, size_bytes: int, piece_length: int) -> None:
    raw = content(size_bytes)
    theirs = libtorrent_hybrid(tmp_path, raw, piece_length)
    digests = digests_of(raw, piece_length)
    info = info_dict(NAME, digests)
    torrent = wrap(info, layers_of(digests), web_seeds=WEB_SEEDS)
    loaded = load(torrent).ti.info_hashes()
    hashes = infohashes(info)
    assert info == libtorrent.bencode(theirs[b"info"])
    assert bdecode(torrent)[b"piece layers"] == theirs[b"piece layers"]
    assert (hashes.v1, hashes.v2) == (str(loaded.v1), str(loaded.v2))


def test_libtorrent_loads_web_seeds_trackers_and_comment() -> None:
    digests = digests_of(content(5 * BLOCK))
    info = info_dict(NAME, digests)
    torrent = wrap(info, layers_of(digests), web_seeds=WEB_SEEDS, trackers=TRACKERS, comment="Routes, été")
    loaded = load(torrent)
    assert loaded.url_seeds == WEB_SEEDS
    assert (loaded.trackers, loaded.tracker_tiers) == (TRACKERS, [0, 1])
    assert (loaded.comment, loaded.created_by) == ("Routes, été", "Data for Canada")
    assert loaded.ti.name() == NAME
    assert loaded.ti.total_size() == 5 * BLOCK


@pytest.mark.parametrize("count", [0, 1, 2])
def test_any_number_of_web_seeds_keeps_the_info_hashes(count: int) -> None:
    digests = digests_of(content(5 * BLOCK))
    info = info_dict(NAME, digests)
    seeds = WEB_SEEDS[:count]
    torrent = wrap(info, layers_of(digests), web_seeds=seeds)
    loaded = load(torrent)
    assert loaded.url_seeds == seeds
    assert str(loaded.ti.info_hashes().v2) == infohashes(info).v2


def test_one_web_seed_is_a_string_and_none_is_no_entry() -> None:
    info = info_dict(NAME, digests_of(b"x"))
    one, none = (bdecode(wrap(info, b"", web_seeds=WEB_SEEDS[:count])) for count in (1, 0))
    assert one[b"url-list"] == WEB_SEEDS[0].encode()
    assert b"url-list" not in none


def test_the_same_file_gives_the_same_torrent_without_date_or_privacy() -> None:
    first, second = (digests_of(content(5 * BLOCK)) for _ in range(2))
    torrents = [
        wrap(info_dict(NAME, digests), layers_of(digests), web_seeds=WEB_SEEDS) for digests in (first, second)
    ]
    assert torrents[0] == torrents[1]
    keys = bdecode(torrents[0]).keys()
    assert keys == {b"created by", b"info", b"piece layers", b"url-list"}
    assert b"private" not in torrents[0]


def test_an_empty_file_has_no_torrent_and_the_error_says_why() -> None:
    with pytest.raises(TorrentError, match="0 bytes, and BitTorrent has no pieces for an empty file") as caught:
        info_dict(NAME, digests_of(b""))
    assert caught.value.facts == {"name": NAME}


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a b", "a/b", "../a", "été.tif", "a?b", "a\n", "a+b", "a\\b", "x" * 256]
)
def test_a_name_that_clients_would_alter_is_refused(name: str) -> None:
    with pytest.raises(TorrentError, match="cannot be the name in a torrent"):
        info_dict(name, digests_of(b"x"))
    with pytest.raises(TorrentError, match="cannot be the name in a torrent"):
        magnet(name, infohashes(info_dict(NAME, digests_of(b"x"))), 1)


@pytest.mark.parametrize(
    "url", ["", "data.example.ca/x", "ftp://example.ca/x", "https://example.ca/a b", "https://é/"]
)
def test_a_web_seed_that_is_no_plain_url_is_refused(url: str) -> None:
    info = info_dict(NAME, digests_of(b"x"))
    with pytest.raises(TorrentError, match="not an address for a torrent"):
        wrap(info, b"", web_seeds=[url])
    with pytest.raises(TorrentError, match="not an address for a torrent"):
        magnet(NAME, infohashes(info), 1, trackers=[url])


def test_piece_layers_of_another_file_are_refused() -> None:
    info = info_dict(NAME, digests_of(content(5 * BLOCK)))
    for layers in (b"", layers_of(digests_of(content(6 * BLOCK))), layers_of(digests_of(bytes(5 * BLOCK)))):
        with pytest.raises(TorrentError, match="piece layer does not belong"):
            wrap(info, layers, web_seeds=[])


def test_only_a_single_file_hybrid_is_wrapped() -> None:
    v1_only = {"length": 1, "name": b"x", "piece length": BLOCK, "pieces": bytes(20)}
    with pytest.raises(TorrentError, match="no info dict of a single-file hybrid"):
        wrap(encode(v1_only), b"", web_seeds=[])
    with pytest.raises(BencodeError):
        wrap(b"not bencoded", b"", web_seeds=[])


def test_libtorrent_reads_the_magnet_link() -> None:
    info = info_dict(NAME, digests_of(content(5 * BLOCK)))
    hashes = infohashes(info)
    link = magnet(NAME, hashes, 5 * BLOCK, web_seeds=WEB_SEEDS, trackers=TRACKERS)
    read = libtorrent.parse_magnet_uri(link)
    assert (str(read.info_hashes.v1), str(read.info_hashes.v2)) == (hashes.v1, hashes.v2)
    assert (read.name, read.url_seeds, read.trackers) == (NAME, WEB_SEEDS, TRACKERS)
    assert f"&xl={5 * BLOCK}&" in link
    assert f"xt=urn:btmh:1220{hashes.v2}" in link


@pytest.mark.parametrize("path", TORRENTS, ids=lambda path: path.name[:12])
def test_published_torrents_are_read_and_written_unchanged(path: Path) -> None:
    raw = path.read_bytes()
    decoded = decode(raw)
    assert isinstance(decoded, dict)
    loaded = load(raw)
    assert encode(decoded) == raw
    assert infohashes(encode(decoded[b"info"])).v1 == str(loaded.ti.info_hashes().v1)
    assert decoded[b"url-list"] == [seed.encode() for seed in loaded.url_seeds]


def test_the_published_torrents_are_there() -> None:
    assert len(TORRENTS) == 2
