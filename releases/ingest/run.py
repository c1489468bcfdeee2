"""One run of an ingest: the job that probes or fetches, and the change of state that goes with it."""

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from releases.errors import NotIngestibleError
from releases.jobs import engine
from releases.models import Ingest, Job
from releases.models.ingest import MOST_AT_ONCE


def job_key(ingest: Ingest) -> str:
    return f"ingest:{ingest.pk}:{ingest.run}"


def newest_job(ingest: Ingest) -> Job | None:
    return Job.objects.filter(key=job_key(ingest)).first()


def begin_run(ingest: Ingest, pipeline: str, *, source: str, to: str) -> Job:
    """Change the state and start the job in one transaction.

    Raises NotIngestibleError if somebody moved it meanwhile, or while the run before is still coming to its end.
    """
    with transaction.atomic():
        before = newest_job(ingest)
        if before is not None and before.state == Job.State.OPEN:
            raise NotIngestibleError(
                _("%(ingest)s: what ran before is still coming to its end. Try again in a moment.")
                % {"ingest": ingest}
            )
        if not Ingest.objects.move(ingest.pk, source=source, to=to, run=F("run") + 1):
            raise moved_meanwhile(ingest)
        ingest.refresh_from_db()
        return engine.start(job_key(ingest), pipeline, ingest.pk)


def moved_meanwhile(ingest: Ingest) -> NotIngestibleError:
    ingest.refresh_from_db()
    return NotIngestibleError(
        _("%(ingest)s: it is “%(state)s” now, in which that cannot be done. Load the page again and look.")
        % {"ingest": ingest, "state": ingest.get_state_display()}
    )


def refuse_count(count: int) -> None:
    """Raise NotIngestibleError for a number of files that cannot be fetched at once."""
    if not 1 <= count <= MOST_AT_ONCE:
        raise NotIngestibleError(
            _("%(count)s files at the same time: from 1 to %(most)s are possible. Correct it.")
            % {"count": count, "most": MOST_AT_ONCE}
        )


def cancelled(ingest_id: int) -> None:
    """Leave an ingest whose job was stopped where it can go on."""
    Ingest.objects.move(ingest_id, source=Ingest.State.FETCHING, to=Ingest.State.PAUSED)
    Ingest.objects.move(ingest_id, source=Ingest.State.PROBING, to=Ingest.State.PROBED)
