"""Derive the list of an ingest from its index or folder, which is kept with its date."""

import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from catalog.storage.base import Storage
from catalog.storage.connect import own_storage
from releases.errors import UpstreamRefusedError
from releases.ingest.ask import Caller
from releases.ingest.begin import keep_index, write_files
from releases.ingest.errand import OK, refuse_busy
from releases.ingest.index import read_index
from releases.ingest.listing import list_files as list_below
from releases.ingest.lists import Listed, checked, file_name
from releases.ingest.manners import manners_of
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Ingest

LISTING = "listing.txt"
DERIVED = (Ingest.Origin.INDEX, Ingest.Origin.PREFIX)


def expand_list(ingest_id: int) -> Sequence[StepSpec]:
    """One step where the files are not known yet; none for a list that was pasted, or when probing again."""
    ingest = Ingest.objects.get(pk=ingest_id)
    if ingest.origin not in DERIVED or ingest.files.exists():
        return []
    return [StepSpec("releases.ingest.derive.list_files", ingest_id, ingest.identifier)]


def list_files(step: StepContext, ingest_id: int) -> None:
    """Write the rows of the files that an index names or a folder lists. Safe to run twice."""
    ingest = Ingest.objects.get(pk=ingest_id)
    listed = from_index(ingest, own_storage()) if ingest.origin == Ingest.Origin.INDEX else from_folder(ingest)
    with step.finish():
        ingest.files.all().delete()
        ingest.save(update_fields=["kept_key", "kept_sha256", "listed_at"])
        write_files(ingest, listed.urls)


def from_index(ingest: Ingest, storage: Storage) -> Listed:
    if not ingest.kept_key:
        fetch_index(ingest, storage)
    with tempfile.TemporaryDirectory(prefix="index-") as folder:
        copy = Path(folder) / "index"
        with copy.open("wb") as file:
            file.writelines(storage.read(ingest.kept_key))
        found = read_index(copy, ingest.selection, scratch=Path(folder))
    return checked(enumerate(found, 1))


def fetch_index(ingest: Ingest, storage: Storage) -> None:
    """Keep the index as its server gives it now; raises UpstreamUnavailableError, UpstreamRefusedError."""
    with closing(Caller(manners_of(ingest))) as caller, caller.ask("GET", ingest.address) as answer:
        refuse_busy(answer, now=timezone.now())
        if answer.status != OK:
            raise UpstreamRefusedError(
                f"{answer.url}: it answered with status {answer.status}. Begin again with the right address."
            )
        keep_index(
            ingest, file_name(ingest.address), bounded(answer.url, answer.blocks()), storage, now=timezone.now()
        )


def bounded(url: str, blocks: Iterable[bytes]) -> Iterable[bytes]:
    """Give the blocks of an index; raises UpstreamRefusedError for one that does not end."""
    done, most = 0, settings.DFC_INGEST_MAX_INDEX_BYTES
    for block in blocks:
        done += len(block)
        if done > most:
            raise UpstreamRefusedError(f"{url}: the index has more than {most} bytes. Name a smaller one.")
        yield block


def from_folder(ingest: Ingest) -> Listed:
    with closing(Caller(manners_of(ingest))) as caller:
        listed = checked(enumerate(list_below(ingest.address, caller), 1))
    text = "".join(f"{url}\n" for url in listed.urls)
    keep_index(ingest, LISTING, [text.encode()], own_storage(), now=timezone.now())
    return listed
