"""What people do with an ingest: start, pause, go on, retry, fetch again, and change how much goes on at once."""

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from releases.errors import IngestUnknownError, NotIngestibleError
from releases.ingest.run import begin_run, moved_meanwhile, refuse_count
from releases.models import Ingest, IngestFile
from releases.people import require_permission

FETCH = "ingest-fetch"
BEGINNABLE = (Ingest.State.PROBED, Ingest.State.PAUSED)
ENDED = (Ingest.State.DONE, Ingest.State.INCOMPLETE)


def find_ingest(number: int) -> Ingest:
    """Raises IngestUnknownError."""
    found = Ingest.objects.filter(pk=number).select_related("by").first()
    if found is None:
        raise IngestUnknownError(
            _("Ingest %(number)s: there is none of that number. Look at the list.") % {"number": number}
        )
    return found


def start_ingest(ingest: Ingest, *, by: Any) -> None:
    """Fetch what waits: after the probe, or after a pause.

    Raises NotAllowedError; NotIngestibleError in any other state, without a file, or while a pause is coming to its
    end.
    """
    require_permission(by, "ingest")
    if ingest.state not in BEGINNABLE:
        raise moved_meanwhile(ingest)
    if not ingest.files.exists():
        raise NotIngestibleError(_("%(ingest)s: it has no file. Begin another one.") % {"ingest": ingest})
    begin_run(ingest, FETCH, source=ingest.state, to=Ingest.State.FETCHING)


def pause_ingest(ingest: Ingest, *, by: Any) -> None:
    """Let no further file begin, and leave those under way; what came of them is kept.

    Raises NotAllowedError; NotIngestibleError unless it is being fetched.
    """
    require_permission(by, "ingest")
    if not Ingest.objects.move(ingest.pk, source=Ingest.State.FETCHING, to=Ingest.State.PAUSED):
        raise moved_meanwhile(ingest)
    ingest.refresh_from_db()


def retry_files(ingest: Ingest, *, by: Any, position: int | None = None) -> int:
    """Let failed files be tried anew, one or all; gives how many. An ingest that has ended runs again.

    Raises NotAllowedError; NotIngestibleError if there is none.
    """
    require_permission(by, "ingest")
    failed = IngestFile.objects.filter(ingest=ingest, state=IngestFile.State.FAILED)
    if position is not None:
        failed = failed.filter(position=position)
    with transaction.atomic():
        count = failed.update(state=IngestFile.State.WAITING, attempts=0, error="")
        if not count:
            raise NotIngestibleError(
                _("%(ingest)s: there is no failed file to try again. Load the page again and look.")
                % {"ingest": ingest}
            )
        if ingest.state in ENDED:
            begin_run(ingest, FETCH, source=ingest.state, to=Ingest.State.FETCHING)
    return count


def fetch_again(ingest: Ingest, *, by: Any, is_forced: bool) -> None:
    """Ask for every file once more; what has not changed is not stored again.

    Forced, the servers are not asked whether anything changed but for the bytes, which are compared by their digests.
    Raises NotAllowedError; NotIngestibleError unless it has ended, or where all its files were uploaded.
    """
    require_permission(by, "ingest")
    if ingest.state not in ENDED:
        raise moved_meanwhile(ingest)
    facts: dict[str, Any] = {"state": IngestFile.State.WAITING, "attempts": 0, "error": ""}
    if is_forced:
        facts |= {"etag": "", "last_modified": ""}
    with transaction.atomic():
        if not ingest.files.exclude(url="").update(**facts):
            raise NotIngestibleError(
                _("%(ingest)s: its files were uploaded, so there is no server to ask. Upload them anew.")
                % {"ingest": ingest}
            )
        begin_run(ingest, FETCH, source=ingest.state, to=Ingest.State.FETCHING)


def probe_again(ingest: Ingest, *, by: Any) -> None:
    """Probe every file anew. Raises NotAllowedError; NotIngestibleError unless the probe has just ended."""
    require_permission(by, "ingest")
    with transaction.atomic():
        ingest.files.exclude(url="").update(finding="", error="", attempts=0)
        begin_run(ingest, "ingest-probe", source=Ingest.State.PROBED, to=Ingest.State.PROBING)


def change_concurrency(ingest: Ingest, count: int, *, by: Any) -> None:
    """Let so many files be fetched at once, from now on. Raises NotAllowedError; NotIngestibleError."""
    require_permission(by, "ingest")
    refuse_count(count)
    Ingest.objects.filter(pk=ingest.pk).update(concurrency=count)
    ingest.refresh_from_db()
