"""The Internet Archive: items that are public at once, for ever, and seen only when its queue has done them.

1. We choose an item's name, and write to no item that another deposit or another account made.
2. The first file makes the item, with the metadata of that moment; nothing is made before.
3. What is accepted waits in a queue: until its tasks are done, what is absent is not called missing.
4. Bytes are never overwritten. A damaged file goes into the item's history, and only when it was read and is not what
   was put; then it is put again.
5. Each call asks once. A put cannot go on in the middle, so a broken one begins again.
"""

import hashlib
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from mirrors.backends import traits
from mirrors.backends.base import Checkpoint, Draft, Progress, Receipt, Record, RemoteStat, Upload
from mirrors.backends.internet_archive_body import Body
from mirrors.backends.internet_archive_client import OWN_MARK, SITE, Account, Client
from mirrors.backends.internet_archive_files import Entry, files_of, is_own_name, size_of, stat_of
from mirrors.backends.internet_archive_metadata import (
    Metadata,
    at_creation,
    changes,
    identifier_of,
    metadata_of,
    urns,
)
from mirrors.errors import MirrorRefusedError, MirrorSettlingError, MirrorUnavailableError

__all__ = ["Account", "InternetArchiveMirror"]

WORTH_ASKING_BYTES = 1 << 18  # what is shorter is sent sooner than it is asked whether it would be taken
GB = 10**9


class InternetArchiveMirror:
    """One item a deposit; a locator is the item's identifier and the file's path in it."""

    traits = traits.INTERNET_ARCHIVE

    def __init__(self, account: Account) -> None:
        self.account = account
        self.client = Client(account)

    def find(self, key: str, record: Record) -> Draft | None:
        identifier = identifier_of(record)
        item = self.client.metadata(identifier)
        if not item:
            return None
        self.refuse_foreign(identifier, item, record)
        return Draft(key, identifier, record=record)

    def prepare(self, key: str, record: Record) -> Draft:
        """Choose the item and make nothing: an item is public at once, so its first file makes it."""
        found = self.find(key, record)
        if found:
            return found
        identifier = identifier_of(record)
        if not self.client.is_free(identifier):
            self.refuse_unsettled(identifier)
            raise MirrorRefusedError(
                f"{identifier}: the Internet Archive has an item of that name that it shows to nobody. Ask "
                "info@archive.org what became of it."
            )
        return Draft(key, identifier, record=record)

    def describe(self, draft: Draft, record: Record) -> None:
        """Write the fields that differ; the Archive shows them when its task is done."""
        item = self.client.metadata(draft.record_id)
        if not item:
            self.refuse_unsettled(draft.record_id)
            raise absent(draft.record_id)
        self.refuse_foreign(draft.record_id, item, record)
        changed = changes(item.get("metadata", {}), self.metadata_of(record))
        if changed:
            self.client.describe(draft.record_id, item, changed)

    def metadata_of(self, record: Record) -> Metadata:
        return metadata_of(record, self.account.collection)

    def locator(self, draft: Draft, path: str) -> str:
        return f"{draft.record_id}/{path}"

    def put(self, draft: Draft, upload: Upload, *, checkpoint: Checkpoint, progress: Progress) -> str:
        """Send a file unless it is there or on its way; the checkpoint knows what came of sending it before."""
        locator, identifier = self.locator(draft, upload.path), draft.record_id
        item = self.client.metadata(identifier)
        if draft.record is None:
            raise ValueError(f"{identifier}: a file is put into a deposit whose record is known")
        if item:
            self.refuse_foreign(identifier, item, draft.record)
        refuse_too_much(draft, upload, files_of(identifier, item))
        if not self.is_taken(item, locator, upload, checkpoint):
            self.send(draft, upload, item, checkpoint, progress)
        progress(upload.size_bytes)
        return locator

    def is_taken(self, item: Entry, locator: str, upload: Upload, checkpoint: Checkpoint) -> bool:
        """Tell whether the Archive has accepted these bytes.

        Raises MirrorSettlingError while only its queue knows; MirrorRefusedError for other bytes under that name.
        """
        entry = files_of(locator.partition("/")[0], item).get(upload.path)
        before = checkpoint.load()
        mark = mark_of(locator, upload)
        if entry is None and mark not in {before.get("sending"), before.get("sent")}:
            return False
        is_settling = self.is_settling(locator.partition("/")[0])
        if entry is None and is_settling and before.get("sent") == mark:
            return True
        if is_settling:
            raise self.settling(locator)
        if entry is None:
            return False
        if (entry.get("md5"), size_of(entry)) != (upload.md5, upload.size_bytes):
            raise MirrorRefusedError(
                f"{locator}: other bytes are there under that name (md5 {entry.get('md5')}). Published bytes are "
                "never overwritten: retire that copy first."
            )
        return True

    def send(self, draft: Draft, upload: Upload, item: Entry, checkpoint: Checkpoint, progress: Progress) -> None:
        """Send a file, with the item's metadata if it makes the item; notes before and after what is known of it."""
        metadata = {} if item or not draft.record else at_creation(self.metadata_of(draft.record))
        if upload.size_bytes >= WORTH_ASKING_BYTES:
            self.client.refuse_if_full(draft.record_id)
        headers = {
            "Content-MD5": upload.md5,
            "x-archive-size-hint": str(max(draft.size_bytes, upload.size_bytes)),
            "x-archive-keep-old-version": "1",
        }
        mark, body = mark_of(self.locator(draft, upload.path), upload), Body(upload, progress)
        checkpoint.save({"sending": mark})
        try:
            if not upload.size_bytes:
                body.read()  # nothing is announced, so that the Archive would not wait to see whether more comes
            self.client.put(draft.record_id, body, headers, metadata)
        except Exception:
            if not body.is_spent:
                checkpoint.save({})  # the Archive cannot have all of it
            if body.error:
                raise body.error from None
            raise
        checkpoint.save({"sent": mark})

    def publish(self, draft: Draft, record: Record) -> Receipt:
        """Bring the item's metadata to `record`; raises MirrorSettlingError while the queue has its files."""
        self.refuse_unsettled(draft.record_id)
        self.describe(draft, record)
        return Receipt(draft.record_id, f"{SITE}/details/{draft.record_id}")

    def discard(self, draft: Draft) -> None:
        """Do nothing: an item is public from its first file on."""

    def listing(self, draft: Draft) -> Mapping[str, RemoteStat]:
        item = self.client.metadata(draft.record_id)
        return {path: stat_of(entry, item) for path, entry in files_of(draft.record_id, item).items()}

    def stat(self, locator: str) -> RemoteStat | None:
        identifier, _, path = locator.partition("/")
        item = self.client.metadata(identifier)
        entry = files_of(identifier, item).get(path)
        if entry is None and self.is_settling(identifier):
            raise self.settling(locator)
        return None if entry is None else stat_of(entry, item)

    def examine(self) -> Iterator[tuple[str, str]]:
        """Look at account, queue and collection without making anything; gives what was looked at and what is wrong.

        Whether the account may write to the collection shows only when the first item is made.
        """
        for what, look in (
            ("keys", lambda: self.client.account_name),
            ("queue", lambda: self.client.refuse_if_full("")),
            ("collection", self.refuse_no_collection),
        ):
            try:
                look()
            except (MirrorRefusedError, MirrorUnavailableError) as error:
                yield what, str(error)
            else:
                yield what, ""

    def refuse_no_collection(self) -> None:
        name = self.account.collection
        if name and self.client.metadata(name).get("metadata", {}).get("mediatype") != "collection":
            raise MirrorRefusedError(
                f"{name}: the Internet Archive has no such collection. Correct the mirror's collection, or "
                "leave it empty."
            )

    def is_settling(self, identifier: str) -> bool:
        """Tell whether tasks of an item are to come; MirrorRefusedError if one failed and blocks the rest."""
        tasks = self.client.tasks(identifier)
        if tasks.get("error"):
            raise MirrorRefusedError(
                f"{identifier}: a task of the Internet Archive failed. Look at {SITE}/history/{identifier}, and ask "
                "info@archive.org to mend it; then retry."
            )
        return any(tasks.values())

    def settling(self, what: str) -> MirrorSettlingError:
        return MirrorSettlingError(
            f"{what}: the Internet Archive has accepted more than it shows yet. It is asked again.",
            after_s=self.account.settle_s,
        )

    def refuse_unsettled(self, identifier: str) -> None:
        if self.is_settling(identifier):
            raise self.settling(identifier)

    def refuse_foreign(self, identifier: str, item: Entry, record: Record) -> None:
        """Raise MirrorRefusedError for an item of another deposit or account.

        One that our account made and no deposit has claimed is ours: it can be adopted.
        """
        metadata = item.get("metadata", {})
        uploader = str(metadata.get("uploader", "")).lower()
        if urns(metadata) - {record.urn} or not uploader or uploader != self.client.account_name.lower():
            raise MirrorRefusedError(
                f"{identifier}: the Internet Archive has an item of that name that is not this deposit's. "
                f"Nothing was written to it. Look at {SITE}/details/{identifier} and whose keys these are."
            )

    def read(self, locator: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        identifier, _, path = locator.partition("/")
        return iter(()) if length == 0 else self.client.read(identifier, path, start, length)

    def url(self, locator: str) -> str:
        return f"{self.account.public_url.rstrip('/')}/{quote(locator)}"

    def retire(self, locator: str) -> None:
        """Move a damaged file into the item's history, and nothing that is what was put."""
        identifier, _, path = locator.partition("/")
        entry = files_of(identifier, self.client.metadata(identifier)).get(path)
        if entry is None:
            return
        self.refuse_unsettled(identifier)
        if self.is_good(locator, entry):
            raise MirrorRefusedError(
                f"{locator}: the Internet Archive holds it as it was put, and keeps for ever what it has. Leave it "
                "there; if it is not what it should be, write to info@archive.org."
            )
        self.client.delete(identifier, path)

    def is_good(self, locator: str, entry: Entry) -> bool:
        """Read a file whole and compare it with the digest that we put beside it, or else with the Archive's own."""
        md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        for block in self.read(locator):
            md5.update(block)
            sha256.update(block)
        promised = entry.get(OWN_MARK)
        return sha256.hexdigest() == promised if promised else md5.hexdigest() == entry.get("md5")


def mark_of(locator: str, upload: Upload) -> str:
    return f"{locator}#{upload.md5}"


def absent(identifier: str) -> MirrorRefusedError:
    return MirrorRefusedError(f"{identifier}: the Internet Archive has no such item. Put its files first.")


def refuse_too_much(draft: Draft, upload: Upload, there: Mapping[str, Entry]) -> None:
    """Raise MirrorRefusedError for what the Archive advises against, before anything is sent."""
    if is_own_name(draft.record_id, upload.path):
        raise MirrorRefusedError(f"{upload.path}: the Internet Archive uses that name itself. Rename the file.")
    others = [size_of(entry) for path, entry in there.items() if path != upload.path]
    size_bytes = max(draft.size_bytes, upload.size_bytes + sum(others))
    files = max(draft.files, 1 + len(others))
    most_bytes, most_files = traits.INTERNET_ARCHIVE.most_bytes or 0, traits.INTERNET_ARCHIVE.most_files or 0
    if size_bytes > most_bytes or files > most_files:
        raise MirrorRefusedError(
            f"{draft.record_id}: {files} files of {size_bytes / GB:.1f} GB; an item of the Internet Archive should "
            f"have at most {most_files} of {most_bytes // GB} GB. Leave this version out there by policy."
        )
