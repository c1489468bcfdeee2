import hashlib
import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import libtorrent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.digests import Digester, LengthMismatchError, PieceHashes, digest_file, layer_root, piece_length_for

KIB = 1024
MIB = 1024 * KIB
BLOCK = 16 * KIB
SIZES = [
    pytest.param(piece * pieces + extra, piece, id=f"{piece // KIB}KiB*{pieces}{extra:+d}")
    for piece in (BLOCK, 64 * KIB, MIB)
    for pieces in (1, 2, 3, 7, 16)
    for extra in (-1, 0, 1)
]
SMALL = [
    pytest.param(size, piece, id=f"{size}in{piece // KIB}KiB")
    for piece in (BLOCK, 64 * KIB, MIB)
    for size in (1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 5 * BLOCK + 7)
]
PEAK_SCRIPT = """
import re, sys
from pathlib import Path
from catalog.digests import digest_file
print(digest_file(Path(sys.argv[1])).md5)
# Not getrusage: its peak includes the process that started this one.
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def content(size_bytes: int) -> bytes:
    return random.Random(size_bytes).randbytes(size_bytes)


def libtorrent_hybrid(path: Path, piece_length: int) -> Any:
    """Return what libtorrent puts in its hybrid torrent of a file."""
    creator = libtorrent.create_torrent(libtorrent.list_files(str(path)), piece_length)
    libtorrent.set_piece_hashes(creator, str(path.parent))
    return creator.generate()


@pytest.mark.parametrize(("size_bytes", "piece_length"), SIZES + SMALL)
def test_pieces_are_those_of_libtorrent(tmp_path: Path, size_bytes: int, piece_length: int) -> None:
    path = tmp_path / "roads.gpkg"
    path.write_bytes(content(size_bytes))
    digester = Digester(size_bytes, piece_length)
    digester.update(path.read_bytes())
    torrent = libtorrent_hybrid(path, piece_length)
    root = torrent[b"info"][b"file tree"][b"roads.gpkg"][b""][b"pieces root"]
    assert digester.finish().pieces == PieceHashes(
        piece_length=piece_length,
        v1=torrent[b"info"][b"pieces"],
        v2_root=root,
        v2_layer=torrent[b"piece layers"].get(root, b""),
    )


@pytest.mark.parametrize("size_bytes", [4 * MIB - 1, 4 * MIB, 9 * MIB + 5, 33 * MIB])
def test_a_file_read_in_threads_has_the_digests_of_libtorrent_and_hashlib(tmp_path: Path, size_bytes: int) -> None:
    path = tmp_path / "roads.gpkg"
    raw = content(size_bytes)
    path.write_bytes(raw)
    found = digest_file(path)
    torrent = libtorrent_hybrid(path, piece_length_for(size_bytes))
    assert found.pieces is not None
    assert found.pieces.v1 == torrent[b"info"][b"pieces"]
    assert {found.pieces.v2_root: found.pieces.v2_layer} == torrent[b"piece layers"]
    assert found.size_bytes == size_bytes
    assert (found.sha256, found.md5, found.sha1) == tuple(
        hashlib.new(name, raw).hexdigest() for name in ("sha256", "md5", "sha1")
    )


@given(cuts=st.lists(st.integers(0, 200_000), max_size=12))
def test_blocks_of_any_size_give_the_same_digests(cuts: list[int]) -> None:
    raw = content(200_000)
    whole = Digester(len(raw))
    whole.update(raw)
    cut = Digester(len(raw))
    edges = [0, *sorted(cuts), len(raw)]
    for start, end in pairwise(edges):
        cut.update(memoryview(raw)[start:end])
    assert cut.finish() == whole.finish()


def test_one_byte_at_a_time_gives_the_same_digests() -> None:
    raw = content(BLOCK + 3)
    slow, quick = Digester(len(raw)), Digester(len(raw))
    quick.update(bytearray(raw))
    for byte in raw:
        slow.update(bytes([byte]))
    assert slow.finish() == quick.finish()


def test_an_empty_file_has_digests_but_no_pieces(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    found = digest_file(path)
    assert found.sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert found.md5 == "d41d8cd98f00b204e9800998ecf8427e"
    assert found.sha1 == "da39a3ee5e6b4b0d3255bfef95601890afd80709"
    assert found.pieces is None


def test_a_stream_cut_short_is_refused() -> None:
    digester = Digester(10)
    digester.update(b"123456789")
    with pytest.raises(LengthMismatchError, match="announced 10 bytes and gave 9") as caught:
        digester.finish()
    assert caught.value.facts == {"announced_bytes": 10, "received_bytes": 9}


def test_a_stream_longer_than_announced_is_refused_at_once() -> None:
    digester = Digester(10)
    with pytest.raises(LengthMismatchError, match="gave 11"):
        digester.update(b"12345678901")


@pytest.mark.parametrize("change_bytes", [5 * MIB, 50 * MIB])
def test_a_file_that_changes_its_length_while_it_is_read_is_refused(tmp_path: Path, change_bytes: int) -> None:
    path = tmp_path / "growing"
    path.write_bytes(bytes(40 * MIB))
    with pytest.raises(LengthMismatchError, match=f"announced {40 * MIB}"):
        digest_file(path, progress=lambda _done: os.truncate(path, change_bytes))


def test_a_missing_file_is_an_ordinary_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        digest_file(tmp_path / "nowhere")


@pytest.mark.parametrize("size_bytes", [0, 5, 21 * MIB + 1])
def test_progress_rises_to_the_size(tmp_path: Path, size_bytes: int) -> None:
    path = tmp_path / "roads.gpkg"
    path.write_bytes(bytes(size_bytes))
    seen: list[int] = []
    digest_file(path, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == size_bytes


@pytest.mark.parametrize("piece_length", [8 * KIB, 3 * BLOCK, -BLOCK])
def test_a_piece_length_that_torrents_cannot_have_is_refused(piece_length: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Digester(1, piece_length)


@pytest.mark.parametrize(
    ("size_bytes", "piece_length"),
    [
        (0, BLOCK),
        (1, BLOCK),
        (2 * MIB - 1, BLOCK),
        (2 * MIB, 2 * BLOCK),
        (100 * MIB, MIB),
        (1024 * MIB - 1, 8 * MIB),
        (1024 * MIB, 16 * MIB),
        (10**15, 16 * MIB),
    ],
)
def test_pieces_are_at_least_64_where_the_file_is_large_enough(size_bytes: int, piece_length: int) -> None:
    assert piece_length_for(size_bytes) == piece_length


def test_the_root_follows_from_the_layer() -> None:
    digester = Digester(5 * BLOCK, BLOCK)
    digester.update(content(5 * BLOCK))
    pieces = digester.finish().pieces
    assert pieces is not None
    assert layer_root(pieces.v2_layer, BLOCK) == pieces.v2_root


def test_hashing_600_mb_stays_below_200_mb_of_memory(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(600 * MIB)
    done = subprocess.run(
        [sys.executable, "-c", PEAK_SCRIPT, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    md5, peak_kib = done.stdout.split()
    assert md5 == "e4d6540f99f187bab7d5e0f47e5969a9"
    assert int(peak_kib) < 200 * KIB
