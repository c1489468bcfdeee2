"""One deterministic single-file hybrid torrent (BEP 3 and BEP 52) per file.

- The info dict holds nothing but name, length and hashes, so the same file under the same name has the
  same info-hashes whoever makes the torrent, and whenever.
- Web seeds (BEP 19), trackers and comment stand outside of it: they may change, the info-hashes never do.
  Being single-file, the torrent takes each mirror's exact URL of the file, whatever its shape.
- Names keep to `A-Z a-z 0-9 . _ -`: other characters are altered by some clients, which then fail for ever.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from catalog.digests import V2_HASH_LENGTH, FileDigests, layer_root
from catalog.errors import PersonMustActError
from swarm.bencode import Bencoded, decode, encode

CREATED_BY = b"Data for Canada"
MAX_NAME_LENGTH = 255
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_WEB_SEED = re.compile(r"https?://[!-~]+")
_TRACKER = re.compile(r"(https?|udp)://[!-~]+")


class TorrentError(PersonMustActError):
    """No torrent can be made of what was given. Facts: the `name` or `url` at fault."""


@dataclass(frozen=True)
class InfoHashes:
    """What names a hybrid torrent, hexadecimal in lower case."""

    v1: str  # SHA-1 of the info dict, 40 digits
    v2: str  # SHA-256 of the info dict, 64 digits


def info_dict(name: str, digests: FileDigests) -> bytes:
    """Return the bencoded info dict of a single-file hybrid torrent, as libtorrent writes it.

    TorrentError: the file has 0 bytes, or the name has other characters than `A-Za-z0-9._-`.
    """
    _check_name(name)
    if digests.pieces is None:
        raise TorrentError(
            f"{name} has 0 bytes, and BitTorrent has no pieces for an empty file. "
            "Offer it without a torrent; its digests are enough to check it.",
            name=name,
        )
    leaf = {"length": digests.size_bytes, "pieces root": digests.pieces.v2_root}
    return encode(
        {
            "file tree": {name: {"": leaf}},
            "length": digests.size_bytes,
            "meta version": 2,
            "name": name.encode(),
            "piece length": digests.pieces.piece_length,
            "pieces": digests.pieces.v1,
        }
    )


def infohashes(info: bytes) -> InfoHashes:
    """Return both info-hashes of a bencoded info dict."""
    return InfoHashes(
        v1=hashlib.sha1(info, usedforsecurity=False).hexdigest(),
        v2=hashlib.sha256(info).hexdigest(),
    )


def wrap(
    info: bytes,
    piece_layers: bytes,
    *,
    web_seeds: Sequence[str] = (),
    trackers: Sequence[str] = (),
    comment: str | None = None,
) -> bytes:
    """Return the `.torrent` file around an info dict made by `info_dict`, the same bytes each time.

    `piece_layers` is `PieceHashes.v2_layer`. Web seeds are tried by clients as they like; each tracker
    is a tier of its own (BEP 12), so that all clients meet at the first one that answers.
    TorrentError: an address is not a plain URL, or the piece layer does not belong to the info dict.
    BencodeError: `info` is not bencoded.
    """
    decoded = decode(info)
    torrent: dict[str, object] = {
        "created by": CREATED_BY,
        "info": decoded,
        "piece layers": _piece_layers(decoded, piece_layers),
    }
    if seeds := [_address(url, _WEB_SEED) for url in web_seeds]:
        torrent["url-list"] = seeds if len(seeds) > 1 else seeds[0]
    if tiers := [[_address(url, _TRACKER)] for url in trackers]:
        torrent["announce"] = tiers[0][0]
    if len(tiers) > 1:
        torrent["announce-list"] = tiers
    if comment is not None:
        torrent["comment"] = comment.encode()
    return encode(torrent)


def magnet(
    name: str,
    hashes: InfoHashes,
    size_bytes: int,
    *,
    web_seeds: Sequence[str] = (),
    trackers: Sequence[str] = (),
) -> str:
    """Return the magnet link with both info-hashes (BEP 9, BEP 52 `btmh` multihash).

    A web seed cannot send metadata, so a magnet link needs one peer; the `.torrent` needs none.
    TorrentError: as for `info_dict` and `wrap`.
    """
    _check_name(name)
    parts = [f"xt=urn:btih:{hashes.v1}", f"xt=urn:btmh:1220{hashes.v2}", f"dn={name}", f"xl={size_bytes}"]
    parts += [f"tr={quote(_address(url, _TRACKER), safe='')}" for url in trackers]
    parts += [f"ws={quote(_address(url, _WEB_SEED), safe='')}" for url in web_seeds]
    return "magnet:?" + "&".join(parts)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME_LENGTH or not name.strip("."):
        raise TorrentError(
            f"{name!r} cannot be the name in a torrent: clients alter all but A-Z a-z 0-9 . _ - "
            f"and at most {MAX_NAME_LENGTH} characters. Rename the file in a new version.",
            name=name,
        )


def _address(url: str, pattern: re.Pattern[str]) -> bytes:
    if not pattern.fullmatch(url):
        raise TorrentError(
            f"{url!r} is not an address for a torrent. Give a percent-encoded URL without spaces.", url=url
        )
    return url.encode()


def _piece_layers(info: Bencoded, layer: bytes) -> dict[bytes, bytes]:
    """Return the layer under its root, or nothing if the file is at most one piece (BEP 52)."""
    size_bytes, piece_length, root = _shape(info)
    pieces = -(-size_bytes // piece_length) if size_bytes > piece_length else 0
    if len(layer) != pieces * V2_HASH_LENGTH or (layer and layer_root(layer, piece_length) != root):
        raise TorrentError("The piece layer does not belong to the info dict. Digest the file again.")
    return {root: layer} if layer else {}


def _shape(info: Bencoded) -> tuple[int, int, bytes]:
    """Return length, piece length and v2 root of a single-file hybrid info dict."""
    match info:
        case {b"file tree": dict(tree), b"piece length": int(piece_length), b"pieces": bytes()}:
            match list(tree.values()):
                case [{b"": {b"length": int(size_bytes), b"pieces root": bytes(root)}}]:
                    return size_bytes, piece_length, root
    raise TorrentError("This is no info dict of a single-file hybrid torrent. Make it with info_dict.")
