"""Bring the files of an ingest in: every one that waits, straight into our storage."""

from collections.abc import Callable, Sequence

from django.conf import settings
from django.utils import timezone

from catalog.errors import StewardshipError
from catalog.storage.base import Storage
from catalog.storage.connect import own_storage
from releases.archive import edition_key
from releases.ingest.ask import Caller
from releases.ingest.crew import Crew
from releases.ingest.duty import Facts, Result
from releases.ingest.errand import Announced, Errand
from releases.ingest.fetch import Fetched, Terms, fetch
from releases.ingest.manners import manners_of
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Ingest, IngestFile, IngestFileQuerySet

OWED = (IngestFile.State.WAITING, IngestFile.State.FETCHING)


class FetchDuty:
    """Fetch every file that waits, and those that a killed worker left under way."""

    state = str(Ingest.State.FETCHING)

    def __init__(self, ingest: Ingest, storage: Storage) -> None:
        self.ingest, self.storage = ingest, storage

    def rows(self) -> IngestFileQuerySet:
        return IngestFile.objects.filter(ingest=self.ingest, state__in=OWED).exclude(url="")

    def errand(self, row: IngestFile) -> Errand:
        is_held = bool(row.sha256) and self.storage.size(row.storage_key) == row.size_bytes
        return Errand(
            row.pk,
            row.url,
            edition_key(self.ingest.package, self.ingest.identifier, row, row.edition + 1),
            row.edition + 1,
            announced=Announced(row.announced_bytes, row.announced_etag, row.announced_last_modified),
            held=Announced(row.size_bytes, row.etag, row.last_modified) if is_held else Announced(),
            held_sha256=row.sha256 if is_held else "",
        )

    def sent(self) -> Facts:
        return {"state": IngestFile.State.FETCHING, "started_at": timezone.now()}

    def work(
        self, errand: Errand, caller: Caller, begun: Callable[[Announced], None], moved: Callable[[int], None]
    ) -> Result:
        terms = Terms(settings.DFC_INGEST_MAX_BYTES, begun, moved, timezone.now)
        found = fetch(errand, caller=caller, storage=self.storage, terms=terms)
        return Result(facts_of(errand, found), found.digests.size_bytes if found.digests else 0)

    def put_back(self, error: StewardshipError | None) -> Facts:
        return {"state": IngestFile.State.WAITING} | ({"error": error.message} if error else {})

    def given_up(self, error: StewardshipError) -> Facts:
        return {
            "state": IngestFile.State.FAILED,
            "http_status": error.facts.get("status"),
            "error": error.message,
            "finished_at": timezone.now(),
        }


def facts_of(errand: Errand, found: Fetched) -> Facts:
    """Give what the row of a fetched file says."""
    facts: Facts = {"state": IngestFile.State.STORED, "error": "", "finished_at": timezone.now()}
    if found.status is not None:
        facts |= {"http_status": found.status, "moved_to": found.moved_to}
    if found.digests is None:
        return facts
    facts |= {"etag": found.announced.etag, "last_modified": found.announced.last_modified}
    if found.media_type:
        facts["media_type"] = found.media_type
    if found.is_new:
        digests = found.digests
        facts |= {"sha256": digests.sha256, "md5": digests.md5, "sha1": digests.sha1}
        facts |= {"size_bytes": digests.size_bytes, "storage_key": errand.key, "edition": errand.edition}
    return facts


def expand_fetch(ingest_id: int) -> Sequence[StepSpec]:
    return [StepSpec("releases.ingest.bring_in.fetch_files", ingest_id, Ingest.objects.get(pk=ingest_id).identifier)]


def fetch_files(step: StepContext, ingest_id: int) -> None:
    """Fetch what waits, until all is stored or failed, or until a person pauses it. Safe to run twice."""
    ingest = Ingest.objects.get(pk=ingest_id)
    Crew(step, ingest, FetchDuty(ingest, own_storage()), manners_of(ingest)).run()
    with step.finish():
        files = IngestFile.objects.filter(ingest=ingest)
        is_whole = not files.exclude(state=IngestFile.State.STORED).exists()
        to = Ingest.State.DONE if is_whole else Ingest.State.INCOMPLETE
        Ingest.objects.move(ingest_id, source=Ingest.State.FETCHING, to=to)
