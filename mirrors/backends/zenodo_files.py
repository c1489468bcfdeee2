"""Files of a deposit at Zenodo: what the service says of them, and what is sent to it, looked at on the way."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from mirrors.backends.base import Progress, RemoteStat, Traits, Upload
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError


class Measured:
    """Gives the bytes of an upload, and holds the last of them back until all are seen to be those announced.

    So a source that is shorter, longer or other than announced never becomes a file there. `error` is what went wrong
    on our side.
    """

    def __init__(self, upload: Upload, progress: Progress) -> None:
        self.upload, self.progress = upload, progress
        self.error: Exception | None = None
        self.blocks = self.measured()
        self.first = next(self.blocks, b"")  # before the line is opened: what has no bytes would be sent by then

    def __iter__(self) -> Iterator[bytes]:
        try:
            if self.first:
                yield self.first
            yield from self.blocks
        except Exception as error:
            self.error = error
            raise

    def measured(self) -> Iterator[bytes]:
        held, came, digest = b"", 0, hashlib.md5(usedforsecurity=False)
        for block in self.upload.open(0):
            came += len(block)
            if came > self.upload.size_bytes:
                raise self.wrong("gives more than announced")
            digest.update(block)
            if held:
                self.progress(came - len(block))
                yield held
            held = block
        if came != self.upload.size_bytes:
            raise self.wrong(f"ended at byte {came}")
        if digest.hexdigest() != self.upload.md5:
            raise self.wrong("gave other bytes than announced")
        if held:
            yield held

    def wrong(self, finding: str) -> MirrorUnavailableError:
        return MirrorUnavailableError(f"{self.upload.path}: the source {finding}. Look at it; it is tried again.")


def stats_of(deposit: Mapping[str, Any]) -> dict[str, RemoteStat]:
    """Give what the service says of each file of a deposit, by its name."""
    return {
        str(one["filename"]): RemoteStat(int(one["filesize"]), {"md5": str(one["checksum"]).removeprefix("md5:")})
        for one in deposit.get("files") or []
        if one.get("checksum")
    }


def refuse_other_bytes(upload: Upload, stat: RemoteStat) -> None:
    if (stat.size_bytes, stat.checksums["md5"]) != (upload.size_bytes, upload.md5):
        raise MirrorRefusedError(
            f"{upload.path}: Zenodo holds other bytes under that name. Published bytes are never overwritten: retire "
            "that copy first."
        )


def refuse_unfit(upload: Upload, stored: Mapping[str, RemoteStat], limits: Traits) -> None:
    """Refuse what the record cannot take, before a byte is sent."""
    if limits.most_files is not None and len(stored) >= limits.most_files:
        raise MirrorRefusedError(
            f"{upload.path}: a record at Zenodo takes {limits.most_files} files, and this one has as many. Pack some "
            "into an archive in a new version, or take this dataset out of the mirror's policies."
        )
    total = sum(one.size_bytes for one in stored.values()) + upload.size_bytes
    if limits.most_bytes is not None and total > limits.most_bytes:
        raise MirrorRefusedError(
            f"{upload.path}: with its {upload.size_bytes} bytes the record would have {total}, and Zenodo takes "
            f"{limits.most_bytes}. Ask Zenodo for more, or take this dataset out of the mirror's policies."
        )
