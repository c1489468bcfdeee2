"""The curator's pages of ingests: begin one, look at it, steer it. Thin: parse, call one use case, show."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalog.errors import StewardshipError
from catalog.say import say
from catalog.storage.connect import own_storage
from catalog.templatetags.parts import badge
from releases.drafts.forms import IngestForm
from releases.ingest.begin import IngestEntry, begin_ingest
from releases.ingest.figures import figures
from releases.ingest.ledger import csv_lines, write_parquet
from releases.ingest.run import newest_job
from releases.ingest.sources import sources_toml
from releases.ingest.steer import (
    change_concurrency,
    fetch_again,
    pause_ingest,
    probe_again,
    retry_files,
    start_ingest,
)
from releases.jobs import steering
from releases.models import Ingest, IngestFile, Job, Step
from releases.models.ingest import MOST_AT_ONCE

ROWS_A_PAGE = 100
INVALID = 422
KINDS = {
    Ingest.State.PROBING: "run",
    Ingest.State.FETCHING: "run",
    Ingest.State.PROBED: "warn",
    Ingest.State.PAUSED: "warn",
    Ingest.State.INCOMPLETE: "bad",
    Ingest.State.DONE: "ok",
}
FILE_KINDS = {
    IngestFile.State.WAITING: "idle",
    IngestFile.State.FETCHING: "run",
    IngestFile.State.STORED: "ok",
    IngestFile.State.FAILED: "bad",
}
FINDING_KINDS = {
    IngestFile.Finding.REACHABLE: "ok",
    IngestFile.Finding.DEAD: "bad",
    IngestFile.Finding.SILENT: "warn",
    IngestFile.Finding.REFUSED: "bad",
}
LEADS: dict[str, str | Promise] = {
    Ingest.Origin.URLS: gettext_lazy(
        "One address on a line, the most wanted first. Blank lines and lines that begin with # are left out."
    ),
    Ingest.Origin.INDEX: gettext_lazy(
        "An index names the files: give a column of it, or a query over the table “index”. "
        "The index is kept with its date."
    ),
    Ingest.Origin.PREFIX: gettext_lazy(
        "All files below the page of a folder, or below the prefix of a public bucket."
    ),
    Ingest.Origin.UPLOAD: gettext_lazy("Files that you have. They are kept at once, with their digests."),
    Ingest.Origin.REPOSITORY: gettext_lazy(
        "Processing code: its whole history is cloned, and a release.toml can name it from then on."
    ),
}


def badge_of(ingest: Ingest) -> Mapping[str, Any]:
    return badge(KINDS[Ingest.State(ingest.state)], ingest.get_state_display())


def context_of(request: HttpRequest, **extra: Any) -> dict[str, Any]:
    return {**admin.site.each_context(request), "opts": Ingest._meta, **extra}  # noqa: SLF001  Django's public name


def page_of(ingest: Ingest) -> str:
    return reverse("admin:releases_ingest_change", args=[ingest.pk])


def find(request: HttpRequest, pk: int) -> Ingest:
    if not request.user.has_perm("releases.view_ingest"):
        raise PermissionDenied
    return get_object_or_404(Ingest.objects.select_related("by"), pk=pk)


def new(request: HttpRequest) -> HttpResponse:
    """Begin an ingest of the origin that `?origin=` chooses; a refusal keeps what was typed."""
    if not request.user.has_perm("releases.ingest_release"):
        raise PermissionDenied
    wanted = request.GET.get("origin", "")
    origin = wanted if wanted in Ingest.Origin.values else Ingest.Origin.URLS
    form = IngestForm(request.POST or None, request.FILES or None)
    errors: list[str] = []
    if request.method == "POST" and form.is_valid():
        try:
            ingest = save(request, origin, form.cleaned_data)
        except StewardshipError as error:
            errors = lines_of(error)
        else:
            return HttpResponseRedirect(page_of(ingest))
    errors += [str(one) for found in form.errors.values() for one in found]
    context = context_of(
        request,
        title=_("Bring upstream files in"),
        form=form,
        errors=errors,
        origin=origin,
        origins=Ingest.Origin.choices,
        lead=LEADS[origin],
        most=MOST_AT_ONCE,
    )
    return render(request, "admin/releases/ingest_new.html", context, status=INVALID if errors else 200)


def lines_of(error: StewardshipError) -> list[str]:
    """Give an error as the lines of a summary: every finding of a list, or its own sentence."""
    findings = error.facts.get("findings")
    return [say(one) for one in findings] if isinstance(findings, tuple) else [say(error)]


def save(request: HttpRequest, origin: str, typed: Mapping[str, Any]) -> Ingest:
    """Begin an ingest from a form; uploads lie in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="upload-") as name:
        folder = Path(name)
        index: UploadedFile[Any] | None = typed["index"]
        entry = IngestEntry(
            identifier=typed["identifier"].strip(),
            origin=origin,
            text=typed["text"],
            address=typed["address"].strip(),
            selection=typed["selection"],
            index=laid_out(index, folder / "index") if index else None,
            index_name=Path(index.name or "index").name if index else "",
            files={
                Path(one.name).name: laid_out(one, folder / str(number))
                for number, one in enumerate(typed["uploads"])
            },
            concurrency=12 if typed["concurrency"] is None else typed["concurrency"],
        )
        return begin_ingest(entry, by=request.user, storage=own_storage(), now=timezone.now())


def laid_out(upload: "UploadedFile[Any]", target: Path) -> Path:
    with target.open("wb") as file:
        file.writelines(upload.chunks())
    return target


def ingest_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show an ingest with its figures and files; `?fragment=1` gives its inside."""
    ingest = find(request, pk)
    job = newest_job(ingest)
    found = figures(ingest)
    context = context_of(
        request,
        title=str(ingest),
        ingest=ingest,
        badge=badge_of(ingest),
        figures=found,
        failed_step=found.line if found.line and found.line.step.state == Step.State.FAILED else None,
        findings=[(FINDING_KINDS[IngestFile.Finding(one.word)], one) for one in found.findings if one.files],
        acts=acts_of(request, ingest, found.failed),
        most=MOST_AT_ONCE,
        filters=filters_of(request),
        **rows_of(request, ingest),
    )
    is_fragment = "fragment" in request.GET
    response = render(
        request, "admin/releases/ingest_inside.html" if is_fragment else "admin/releases/ingest.html", context
    )
    response["X-Board-Done"] = "0" if job is not None and job.state == Job.State.OPEN else "1"
    return response


def filters_of(request: HttpRequest) -> list[tuple[str, str | Promise, bool]]:
    """Give the filters of the table of files: the query of each, its words, and whether it is chosen."""
    chosen = (request.GET.get("state", ""), request.GET.get("finding", ""))
    states = [(f"state={word}", title, chosen == (word, "")) for word, title in IngestFile.State.choices]
    findings = [(f"finding={word}", title, chosen == ("", word)) for word, title in IngestFile.Finding.choices]
    return [("", _("All"), chosen == ("", "")), *states, *findings]


def rows_of(request: HttpRequest, ingest: Ingest) -> dict[str, Any]:
    """Give one page of the files that the filters and the search leave."""
    files = IngestFile.objects.filter(ingest=ingest).order_by("position")
    for field in ("state", "finding"):
        if wanted := request.GET.get(field, ""):
            files = files.filter(**{field: wanted})
    if search := request.GET.get("q", "").strip():
        files = files.filter(Q(url__icontains=search) | Q(sha256=search.lower()))
    page = Paginator(files, ROWS_A_PAGE).get_page(request.GET.get("page"))
    rows = [(row, FILE_KINDS[IngestFile.State(row.state)]) for row in page]
    query = request.GET.copy()
    query.pop("fragment", None)
    return {"page": page, "rows": rows, "search": search, "query": query.urlencode()}


def acts_of(request: HttpRequest, ingest: Ingest, failed: int) -> set[str]:
    """Name the buttons that this person has now; the use cases check again."""
    if not request.user.has_perm("releases.ingest_release"):
        return set()
    acts = {
        Ingest.State.PROBED: {"start", "probe"},
        Ingest.State.FETCHING: {"pause"},
        Ingest.State.PAUSED: {"resume"},
        Ingest.State.INCOMPLETE: {"again"},
        Ingest.State.DONE: {"again"},
    }.get(Ingest.State(ingest.state), set())
    if ingest.origin in {Ingest.Origin.UPLOAD, Ingest.Origin.REPOSITORY}:
        return set()
    return acts | {"concurrency"} | ({"retry"} if failed else set())


def act(request: HttpRequest, pk: int) -> HttpResponse:
    """Steer an ingest, by POST alone; each refusal is shown as its sentence."""
    ingest, wanted = find(request, pk), request.POST.get("act", "")
    if request.method == "POST" and wanted in STEERING:
        try:
            STEERING[wanted](request, ingest)
        except StewardshipError as error:
            messages.error(request, say(error))
    return HttpResponseRedirect(page_of(ingest))


def number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def retry(request: HttpRequest, ingest: Ingest) -> None:
    retry_files(ingest, by=request.user, position=number(request.POST.get("file")))


def retry_step(request: HttpRequest, ingest: Ingest) -> None:
    if not request.user.has_perm("releases.ingest_release"):
        raise PermissionDenied
    job = newest_job(ingest)
    for step in job.steps.filter(state=Step.State.FAILED) if job else ():
        steering.retry(step, by=request.user)


STEERING: dict[str, Callable[[HttpRequest, Ingest], None]] = {
    "start": lambda request, ingest: start_ingest(ingest, by=request.user),
    "resume": lambda request, ingest: start_ingest(ingest, by=request.user),
    "pause": lambda request, ingest: pause_ingest(ingest, by=request.user),
    "probe": lambda request, ingest: probe_again(ingest, by=request.user),
    "again": lambda request, ingest: fetch_again(ingest, by=request.user, is_forced="force" in request.POST),
    "concurrency": lambda request, ingest: change_concurrency(
        ingest, number(request.POST.get("count")) or 0, by=request.user
    ),
    "retry": retry,
    "retry-step": retry_step,
}


def ledger(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Give the ledger as it is now: CSV row by row, or `?form=parquet`."""
    ingest = find(request, pk)
    name = f"ledger-{ingest.pk}"
    if request.GET.get("form") == "parquet":
        file = tempfile.TemporaryFile()  # noqa: SIM115  the response closes it
        write_parquet(ingest, file)
        file.seek(0)
        kind = "application/vnd.apache.parquet"
        return FileResponse(file, as_attachment=True, filename=f"{name}.parquet", content_type=kind)
    response = StreamingHttpResponse(csv_lines(ingest), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def sources(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the `[[sources]]` of what is kept, as text."""
    return HttpResponse(sources_toml(find(request, pk)), content_type="text/plain; charset=utf-8")
