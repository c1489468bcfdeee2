"""A mirror that lives in this process, for tests: it fails when it is told to, and no Mirror row can name it."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from mirrors.backends.base import Checkpoint, Draft, Progress, Receipt, Record, RemoteStat, Traits, Upload
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError

BLOCK_BYTES = 1 << 16


@dataclass
class Faults:
    """What goes wrong, until it is set back: no answer at all, a put that breaks, reads that end early."""

    is_unavailable: bool = False
    put_breaks_at_byte: int | None = None
    reads_end_at_byte: int | None = None


class MemoryMirror:
    """Bytes by locator. Reports the checksums that it is told to, of the bytes that it has at that moment."""

    def __init__(
        self,
        public_url: str = "https://memory.example.org",
        *,
        checksums: Sequence[str] = ("sha256", "md5"),
    ) -> None:
        self.public_url = public_url
        self.traits = Traits(checksums=tuple(checksums))
        self.faults = Faults()
        self.deposits: dict[str, Record] = {}
        self.files: dict[str, bytes] = {}
        self.unfinished: dict[str, bytearray] = {}

    def find(self, key: str, record: Record) -> Draft | None:  # noqa: ARG002  the key alone names it here
        self.answer()
        return Draft(key=key, record_id=key) if key in self.deposits else None

    def prepare(self, key: str, record: Record) -> Draft:
        self.answer()
        self.deposits.setdefault(key, record)
        return Draft(key=key, record_id=key)

    def describe(self, draft: Draft, record: Record) -> None:
        self.answer()
        self.deposits[draft.key] = record

    def locator(self, draft: Draft, path: str) -> str:
        return f"{draft.key}/{path}"

    def put(self, draft: Draft, upload: Upload, *, checkpoint: Checkpoint, progress: Progress) -> str:
        """Store a file; the checkpoint names what came of it before, as the upload id of a real service does."""
        self.answer()
        locator = self.locator(draft, upload.path)
        if locator not in self.files:
            self.receive(locator, upload, checkpoint, progress)
        elif hashlib.sha256(self.files[locator]).hexdigest() != upload.sha256:
            raise MirrorRefusedError(f"{upload.path}: other bytes are there under that name. Retire that copy first.")
        progress(upload.size_bytes)
        return locator

    def receive(self, locator: str, upload: Upload, checkpoint: Checkpoint, progress: Progress) -> None:
        upload_id = f"{locator}#{upload.sha256}"
        if checkpoint.load().get("upload_id") != upload_id:
            self.unfinished[upload_id] = bytearray()
            checkpoint.save({"upload_id": upload_id})
        came = self.unfinished.setdefault(upload_id, bytearray())
        for block in upload.open(len(came)):
            self.take(came, block, upload)
            progress(len(came))
        if len(came) != upload.size_bytes:
            raise MirrorUnavailableError(f"{upload.path}: the source ended at byte {len(came)}. Try again.")
        self.files[locator] = bytes(self.unfinished.pop(upload_id))

    def take(self, came: bytearray, block: bytes, upload: Upload) -> None:
        breaks_at = self.faults.put_breaks_at_byte
        if breaks_at is not None and len(came) + len(block) > breaks_at:
            came += block[: max(0, breaks_at - len(came))]
            raise MirrorUnavailableError(f"{upload.path}: the mirror broke off at byte {len(came)}. Try again.")
        if len(came) + len(block) > upload.size_bytes:
            came.clear()
            raise MirrorUnavailableError(f"{upload.path}: the source gives more than announced. Look at it.")
        came += block

    def publish(self, draft: Draft, record: Record) -> Receipt:
        self.describe(draft, record)
        return Receipt(record_id=draft.record_id)

    def discard(self, draft: Draft) -> None:
        """Do nothing: what is here has no drafts."""

    def listing(self, draft: Draft) -> Mapping[str, RemoteStat]:
        self.answer()
        below = f"{draft.key}/"
        return {
            name.removeprefix(below): self.said(content)
            for name, content in self.files.items()
            if name.startswith(below)
        }

    def stat(self, locator: str) -> RemoteStat | None:
        self.answer()
        if locator not in self.files:
            return None
        return self.said(self.files[locator])

    def said(self, content: bytes) -> RemoteStat:
        return RemoteStat(
            len(content), {name: hashlib.new(name, content).hexdigest() for name in self.traits.checksums}
        )

    def read(self, locator: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        self.answer()
        if locator not in self.files:
            raise MirrorRefusedError(f"{locator}: it is not here. Put it here again.")
        content = self.files[locator][: self.faults.reads_end_at_byte]
        wanted = content[start:] if length is None else content[start : start + length]
        for position in range(0, len(wanted), BLOCK_BYTES):
            yield wanted[position : position + BLOCK_BYTES]

    def url(self, locator: str) -> str:
        return f"{self.public_url}/{quote(locator)}"

    def retire(self, locator: str) -> None:
        self.answer()
        self.files.pop(locator, None)

    def flip(self, locator: str, position: int) -> None:
        """Damage one byte of what is stored; a negative position counts from the end."""
        content = bytearray(self.files[locator])
        content[position] ^= 0xFF
        self.files[locator] = bytes(content)

    def answer(self) -> None:
        if self.faults.is_unavailable:
            raise MirrorUnavailableError("The mirror in memory does not answer. Try again.")
