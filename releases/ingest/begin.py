"""Begin an ingest: which dataset, which files, from where."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from catalog import naming
from catalog.storage.base import Storage
from releases import archive
from releases.draft import blocks
from releases.errors import NotIngestibleError
from releases.ingest.fetch import digested
from releases.ingest.lists import Listed, different_names, file_name, read_list, safe_name, url_finding
from releases.ingest.run import begin_run, refuse_count
from releases.models import Ingest, IngestFile
from releases.people import require_permission

LIST_NAME = "list.txt"
NETWORKED = (Ingest.Origin.INDEX, Ingest.Origin.PREFIX, Ingest.Origin.REPOSITORY)
SEVERAL_AT_ONCE = 500


@dataclass(frozen=True)
class IngestEntry:
    """What a person asks for: each origin needs its own, a text, an address or an index with a selection, files.

    `selection` is the column of an index that holds addresses, or a query that gives them.
    """

    identifier: str
    origin: str
    text: str = ""
    address: str = ""
    selection: str = ""
    index: Path | None = None
    index_name: str = ""
    files: Mapping[str, Path] = field(default_factory=dict)
    concurrency: int = 12


def begin_ingest(entry: IngestEntry, *, by: Any, storage: Storage, now: datetime) -> Ingest:
    """Write an ingest and its files as far as they are known, and start the probe.

    Nothing is fetched before a person starts it; uploaded files are stored at once. Raises NotAllowedError,
    IdentifierError, ListingError (lines of a list to correct), NotIngestibleError (what the origin needs is absent).
    """
    listed = check_entry(entry, by=by)
    identifier = naming.parse(entry.identifier)
    ingest = Ingest(
        identifier=naming.compose(identifier),
        package=identifier.package,
        origin=entry.origin,
        address=entry.address.strip(),
        selection=entry.selection.strip(),
        concurrency=entry.concurrency,
        by=by,
        created_at=now,
    )
    keep_list(ingest, entry, storage, now=now)
    rows = list(uploaded(ingest, entry.files, storage, now=now))
    with transaction.atomic():
        ingest.state = Ingest.State.DONE if rows else Ingest.State.PROBED
        ingest.save()
        if rows:
            IngestFile.objects.bulk_create(rows, SEVERAL_AT_ONCE)
            return ingest
        if listed:
            write_files(ingest, listed.urls)
        pipeline = "ingest-repository" if entry.origin == Ingest.Origin.REPOSITORY else "ingest-probe"
        begin_run(ingest, pipeline, source=Ingest.State.PROBED, to=Ingest.State.PROBING)
    return ingest


def check_entry(entry: IngestEntry, *, by: Any) -> Listed | None:
    """Refuse what `begin_ingest` would refuse and write nothing; gives the list where there is one."""
    require_permission(by, "ingest")
    naming.parse(entry.identifier)
    refuse_count(entry.concurrency)
    if entry.origin not in Ingest.Origin.values:
        raise NotIngestibleError(
            _("%(origin)s is no origin of files. Use one of %(origins)s.")
            % {"origin": repr(entry.origin), "origins": ", ".join(Ingest.Origin.values)}
        )
    if entry.origin == Ingest.Origin.URLS:
        return read_list(entry.text)
    refuse_absent(entry)
    return None


def refuse_absent(entry: IngestEntry) -> None:
    """Raise NotIngestibleError where an origin lacks what it is."""
    if entry.origin == Ingest.Origin.UPLOAD and not entry.files:
        raise NotIngestibleError(_("An upload without a file. Choose at least one."))
    if entry.origin == Ingest.Origin.INDEX and not entry.selection.strip():
        raise NotIngestibleError(_("An index without a column or query. Say where in it the addresses are."))
    has_file = entry.origin == Ingest.Origin.INDEX and entry.index is not None
    if entry.origin in NETWORKED and not has_file:
        finding = url_finding(entry.address.strip())
        if finding:
            raise NotIngestibleError(
                _(
                    "The address of the index, folder or repository is missing or wrong. "
                    "Write it like https://data.example.org/x/."
                )
            )


def keep_list(ingest: Ingest, entry: IngestEntry, storage: Storage, *, now: datetime) -> None:
    """Keep what was pasted or uploaded as it is, by its digest, with its date."""
    if entry.origin == Ingest.Origin.URLS:
        keep_index(ingest, LIST_NAME, [entry.text.encode()], storage, now=now)
    elif entry.index is not None:
        keep_index(ingest, entry.index_name or entry.index.name, blocks(entry.index, 0), storage, now=now)


def keep_index(ingest: Ingest, name: str, content: Iterable[bytes], storage: Storage, *, now: datetime) -> None:
    """Store a list or index beside the data, and note its place, digest and date on the ingest."""
    place = archive.folder(ingest.package, ingest.identifier)
    key = f"{place}/index-{now:%Y%m%dT%H%M%S%fZ}/{safe_name(name)}"
    digest = hashlib.sha256()
    with storage.receive(key, tag="index") as receiver:
        receiver.restart()
        for block in content:
            digest.update(block)
            receiver.append(block)
        receiver.commit()
    ingest.kept_key, ingest.kept_sha256, ingest.listed_at = key, digest.hexdigest(), now


def uploaded(ingest: Ingest, files: Mapping[str, Path], storage: Storage, *, now: datetime) -> Iterator[IngestFile]:
    """Store uploaded files by their digest and give their rows, which are not written yet."""
    names = different_names((safe_name(name), name) for name in files)
    for position, (path, name) in enumerate(zip(files.values(), names, strict=True)):
        digests = digested(blocks(path, 0))
        key = archive.digest_key(ingest.package, ingest.identifier, digests.sha256, name)
        if storage.size(key) != digests.size_bytes:
            storage.write(key, digests.size_bytes, partial(blocks, path), tag=digests.sha256[:16])
        yield IngestFile(
            ingest=ingest,
            position=position,
            name=name,
            state=IngestFile.State.STORED,
            finding=IngestFile.Finding.REACHABLE,
            size_bytes=digests.size_bytes,
            sha256=digests.sha256,
            md5=digests.md5,
            sha1=digests.sha1,
            storage_key=key,
            edition=1,
            started_at=now,
            finished_at=now,
        )


def write_files(ingest: Ingest, urls: Iterable[str]) -> None:
    """Write a row for each address, in their order."""
    rows = (
        IngestFile(ingest=ingest, position=position, url=url, name=file_name(url))
        for position, url in enumerate(urls)
    )
    IngestFile.objects.bulk_create(rows, SEVERAL_AT_ONCE)
