"""Probe the files of an ingest: ask for each without its bytes, and note what was found. Nothing is stored."""

from collections.abc import Callable, Sequence

from django.utils import timezone

from catalog.errors import StewardshipError
from releases.errors import UpstreamRefusedError
from releases.ingest.ask import Answer, Caller
from releases.ingest.crew import Crew
from releases.ingest.duty import Facts, Result, announced_facts
from releases.ingest.errand import OK, PARTIAL, Announced, Errand, announced, media_type, refuse_busy
from releases.ingest.manners import manners_of
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Ingest, IngestFile, IngestFileQuerySet

NO_HEAD = {400, 403, 405, 501}  # what servers that know no HEAD say to one


class ProbeDuty:
    """Ask every file that has no finding yet."""

    state = str(Ingest.State.PROBING)

    def __init__(self, ingest: Ingest) -> None:
        self.ingest = ingest

    def rows(self) -> IngestFileQuerySet:
        return IngestFile.objects.filter(ingest=self.ingest, finding="").exclude(url="")

    def errand(self, row: IngestFile) -> Errand:
        return Errand(row.pk, row.url)

    def sent(self) -> Facts:
        return {}

    def work(
        self,
        errand: Errand,
        caller: Caller,
        begun: Callable[[Announced], None],  # noqa: ARG002  the duty's signature
        moved: Callable[[int], None],  # noqa: ARG002
    ) -> Result:
        return Result(probe(errand.url, caller))

    def put_back(self, error: StewardshipError | None) -> Facts:
        return {"error": error.message} if error else {}

    def given_up(self, error: StewardshipError) -> Facts:
        refused = isinstance(error, UpstreamRefusedError)
        is_dead = refused and "status" in error.facts
        findings = IngestFile.Finding
        found = findings.DEAD if is_dead else findings.REFUSED if refused else findings.SILENT
        return {"finding": found, "http_status": error.facts.get("status"), "error": error.message}


def probe(url: str, caller: Caller) -> Facts:
    """Give what a server says of a file.

    Raises UpstreamUnavailableError where it may say more later, UpstreamRefusedError for a dead link (with the fact
    `status`) and for what our rules forbid.
    """
    with caller.ask("HEAD", url) as answer:
        if answer.status not in NO_HEAD:
            return facts_of(answer)
    with caller.ask("GET", url, {"Range": "bytes=0-0"}) as answer:
        return facts_of(answer)


def facts_of(answer: Answer) -> Facts:
    refuse_busy(answer, now=timezone.now())
    if answer.status not in {OK, PARTIAL}:
        raise UpstreamRefusedError(
            f"{answer.url}: it answered with status {answer.status}. Correct the address, or leave the file out.",
            status=answer.status,
        )
    return {
        "finding": IngestFile.Finding.REACHABLE,
        "http_status": answer.status,
        "media_type": media_type(answer),
        "moved_to": answer.url if answer.is_moved else "",
        "error": "",
        **announced_facts(announced(answer)),
    }


def expand_probe(ingest_id: int) -> Sequence[StepSpec]:
    return [StepSpec("releases.ingest.probe.probe_files", ingest_id, Ingest.objects.get(pk=ingest_id).identifier)]


def probe_files(step: StepContext, ingest_id: int) -> None:
    """Probe every file of an ingest. Safe to run twice."""
    ingest = Ingest.objects.get(pk=ingest_id)
    Crew(step, ingest, ProbeDuty(ingest), manners_of(ingest)).run()
    with step.finish():
        IngestFile.objects.filter(ingest=ingest, state=IngestFile.State.WAITING).update(attempts=0)
        Ingest.objects.move(ingest_id, source=Ingest.State.PROBING, to=Ingest.State.PROBED)
