"""The curator's own pages in the admin: draft, release, board. Thin: parse, call one use case, show."""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from catalog.errors import StewardshipError
from catalog.say import say
from catalog.storage.connect import own_storage
from releases.approve import approve_release
from releases.build import request_build
from releases.draft import draft_release
from releases.drafts.definition import read_definition
from releases.drafts.forms import DefinitionForm
from releases.edit import OUR_REASONS, edit_release
from releases.errors import DefinitionError
from releases.jobs import steering
from releases.jobs.board import board
from releases.models import Build, DeclaredOutput, Job, Release, Step, Transition
from releases.next_acts import next_of
from releases.people import require_permission
from releases.renew import renewed_definition
from releases.request_changes import request_changes, requested_changes
from releases.reviews.review_diff import AGAIN, request_diff
from releases.reviews.shown_diff import overview_of
from releases.revisions import brought_back
from releases.submit import submit_release

CHANNEL = Transition.Channel.ADMIN
LAST_RETURN = "commit"


def context_of(request: HttpRequest, **extra: Any) -> dict[str, Any]:
    return {**admin.site.each_context(request), "opts": Release._meta, **extra}  # noqa: SLF001  Django's public name


def require_view(request: HttpRequest) -> None:
    if not request.user.has_perm("releases.view_release"):
        raise PermissionDenied


def find(pk: int) -> Release:
    related = ("version__dataset__package", "version__dataset__licence", "recipe", "author", "submitter")
    return get_object_or_404(Release.objects.select_related(*related), pk=pk)


def page_of(release: Release) -> str:
    return reverse("admin:releases_release_change", args=[release.pk])


def board_of(release: Release) -> str:
    return reverse("admin:releases_release_board", args=[release.pk])


def lines_of(error: StewardshipError) -> list[str]:
    """Give an error as the lines of a summary: every finding where there are several."""
    findings = error.facts.get("findings") if isinstance(error, DefinitionError) else None
    return [say(one) for one in findings] if isinstance(findings, tuple) else [say(error)]


def draft(request: HttpRequest) -> HttpResponse:
    """Draft a version from a release.toml that is pasted or uploaded."""
    if not request.user.has_perm("releases.draft_release"):
        raise PermissionDenied

    return define(request, drafter(request), template_context={"title": _("Draft a version")}, initial="")


def drafter(request: HttpRequest) -> Callable[[Any, Mapping[str, Path]], Release]:
    def save(definition: Any, offered: Mapping[str, Path]) -> Release:
        return draft_release(definition, by=request.user, offered=offered, storage=own_storage(), now=timezone.now())

    return save


def renew(request: HttpRequest, pk: int) -> HttpResponse:
    """Draft a new version from a published one; `?number=` chooses its number."""
    release = find(pk)
    if not request.user.has_perm("releases.draft_release"):
        raise PermissionDenied
    try:
        initial = "" if request.method == "POST" else renewed_definition(release, request.GET.get("number", ""))
    except StewardshipError as error:
        messages.error(request, say(error))
        return HttpResponseRedirect(page_of(release))
    version = f"{release.version.dataset.title}, {release.version.shown}"
    extra = {"title": _("New version from %(version)s") % {"version": version}, "origin": release}
    return define(request, drafter(request), template_context=extra, initial=initial)


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Replace the release.toml of a release; in review that voids the review, and the page says so."""
    release = find(pk)
    if not request.user.has_perm("releases.draft_release"):
        raise PermissionDenied

    def save(definition: Any, offered: Mapping[str, Path]) -> Release:
        edit_release(
            release,
            definition,
            by=request.user,
            channel=CHANNEL,
            offered=offered,
            storage=own_storage(),
            now=timezone.now(),
        )
        return release

    extra = {"title": _("Edit %(release)s") % {"release": release}, "release": release}
    return define(request, save, template_context=extra, initial=release.definition)


def define(
    request: HttpRequest,
    save: Callable[[Any, Mapping[str, Path]], Release],
    *,
    template_context: dict[str, Any],
    initial: str,
) -> HttpResponse:
    """Show the form, or save what it brings; a refusal shows every finding and keeps what was typed."""
    posted = request.method == "POST"
    form = DefinitionForm(request.POST, request.FILES) if posted else DefinitionForm(initial={"definition": initial})
    errors: list[str] = []
    if posted and form.is_valid():
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="upload-")))
            try:
                release = save(read_definition(form.cleaned_data["definition"]), uploads(form, folder))
            except StewardshipError as error:
                errors = lines_of(error)
            else:
                messages.success(request, _("%(release)s is kept as a draft.") % {"release": release})
                return HttpResponseRedirect(page_of(release))
    errors += [str(one) for found in form.errors.values() for one in found]
    typed = form.cleaned_data.get("definition", "") if posted and hasattr(form, "cleaned_data") else initial
    edited = template_context.get("release") or template_context.get("origin")
    back = page_of(edited) if edited else reverse("admin:releases_release_changelist")
    context = context_of(request, form=form, errors=errors, typed=typed, back=back, **template_context)
    return render(request, "admin/releases/define.html", context, status=422 if errors else 200)


def uploads(form: DefinitionForm, folder: Path) -> dict[str, Path]:
    """Lay uploaded source files out by name; only the last part of a name counts."""
    offered: dict[str, Path] = {}
    for upload in form.cleaned_data["sources"]:
        name = Path(upload.name).name
        target = folder / str(len(offered))
        with target.open("wb") as file:
            for chunk in upload.chunks():
                file.write(chunk)
        offered[name] = target
    return offered


def release_page(request: HttpRequest, pk: int) -> HttpResponse:
    require_view(request)
    release = find(pk)
    builds = release.builds.select_related("manifest").prefetch_related("outputs", "differences__causes")
    newest = builds.order_by("-round").values_list("round", flat=True).first()
    shown = list(builds.filter(round=newest).order_by("-purpose", "number")) if newest else []
    context = context_of(
        request,
        title=str(release),
        release=release,
        rail=rail_of(release),
        builds=shown,
        outputs=outputs_of(release, shown),
        sources=release.sources.all(),
        history=history_of(release),
        findings=[
            one for one in shown if one.finding or one.verdict in {Build.Verdict.FAILED, Build.Verdict.DIFFERENT}
        ],
        jobs=jobs_of(release),
        changes=overview_of(release),
        requested=requested_changes(release),
        brought_back=brought_back(release),
        decisions=release.version.decisions.select_related("proposer").order_by("-proposed_at"),
        **next_of(release, request.user),
    )
    return render(request, "admin/releases/release.html", context)


def rail_of(release: Release) -> list[dict[str, Any]]:
    """Give the states in order with when each was last entered; those after the present one have no date."""
    order = list(Release.State)
    place = order.index(Release.State(release.state))
    entered = {one.to: one.at for one in release.transitions.order_by("at")}
    words = ["done"] * place + ["done" if release.state == Release.State.PUBLISHED else "running"]
    return [
        {
            "title": state.label,
            "word": words[number] if number <= place else "",
            "at": (entered.get(state) or release.created_at) if number <= place else None,
        }
        for number, state in enumerate(order)
    ]


def outputs_of(release: Release, builds: list[Build]) -> list[tuple[DeclaredOutput, str | None]]:
    """Give each declared output with its digest in the first of these builds; None where it has not been made."""
    made = {one.path: one.sha256 for build in builds[:1] for one in build.outputs.all()}
    return [(one, made.get(one.path)) for one in release.outputs.all()]


def history_of(release: Release) -> list[dict[str, Any]]:
    """Give each state that the release came to, the newest first: its title, when, by whom and through which door.

    `is_ours` says that the reason is a sentence of ours, stored in English, and not a person's own words.
    """
    moves = [
        {
            "title": Release.State(one.to).label,
            "at": one.at,
            "who": ", ".join(str(part) for part in (one.by, one.get_channel_display()) if part),
            "reason": one.reason,
            "is_ours": one.channel == Transition.Channel.ENGINE or one.reason in {*OUR_REASONS, AGAIN},
        }
        for one in release.transitions.select_related("by").order_by("-at", "-pk")
    ]
    drafted = {"title": Release.State.DRAFT.label, "at": release.created_at, "who": release.author}
    return [*moves, drafted]


def act(request: HttpRequest, pk: int) -> HttpResponse:
    """Build, compare, submit, approve or request changes, by POST alone; each refusal is shown as its sentence."""
    release, wanted, now = find(pk), request.POST.get("act"), timezone.now()
    if request.method != "POST" or wanted not in {"build", "compare", "submit", "approve", "request-changes"}:
        return HttpResponseRedirect(page_of(release))
    words: dict[str, Any] = {"by": request.user, "channel": CHANNEL, "now": now}
    reason = request.POST.get("reason", "").strip()
    try:
        if wanted == "build":
            request_build(release, **words)
        elif wanted == "compare":
            request_diff(release, **words)
        elif wanted == "submit":
            submit_release(release, reason=reason, **words)
        elif wanted == "request-changes":
            request_changes(release, reason=reason, **words)
        else:
            approve_release(release, seen_digest=request.POST.get("seen_digest", ""), reason=reason, **words)
    except StewardshipError as error:
        messages.error(request, say(error))
        return HttpResponseRedirect(page_of(release))
    is_working = release.state in {Release.State.BUILDING, Release.State.PUBLISHING}
    return HttpResponseRedirect(board_of(release) if is_working else page_of(release))


def export(request: HttpRequest, pk: int) -> HttpResponse:
    require_view(request)
    response = HttpResponse(find(pk).definition, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="release.toml"'
    return response


def jobs_of(release: Release) -> list[Job]:
    """Give the jobs that build, compare and publish a release, the newest first."""
    return list(
        Job.objects.filter(subject=release.pk, pipeline__in=["build", "diff", "publish"]).order_by(
            "-created_at", "-pk"
        )
    )


def board_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the newest job of a release, or of `?job=build|diff|publish`; `?fragment=1` gives its inside."""
    require_view(request)
    release = find(pk)
    jobs = [job for job in jobs_of(release) if request.GET.get("job") in {None, job.pipeline}]
    if not jobs:
        messages.info(request, _("%(release)s has no job yet.") % {"release": release})
        return HttpResponseRedirect(page_of(release))
    context = context_of(
        request,
        title=str(release),
        release=release,
        board=board(jobs[0]),
        jobs=jobs_of(release),
        last_return=LAST_RETURN,
        can_steer=request.user.has_perm("releases.steer_release"),
    )
    is_fragment = "fragment" in request.GET
    response = render(
        request, "admin/releases/board_inside.html" if is_fragment else "admin/releases/board.html", context
    )
    response["X-Board-Done"] = "0" if jobs[0].state == Job.State.OPEN else "1"
    return response


def steer(request: HttpRequest, pk: int) -> HttpResponse:
    """Retry, skip, stop or resume, by POST alone; a stop is asked for once more on a page of its own."""
    require_view(request)
    release, wanted = find(pk), request.POST.get("act")
    if request.method != "POST":
        return HttpResponseRedirect(board_of(release))
    if wanted == "stop" and "sure" not in request.POST:
        job = get_object_or_404(Job, pk=request.POST.get("job"))
        return render(
            request, "admin/releases/stop.html", context_of(request, release=release, job=job, title=_("Stop"))
        )
    try:
        require_permission(request.user, "steer")
        push(request, wanted)
    except StewardshipError as error:
        messages.error(request, say(error))
    return HttpResponseRedirect(board_of(release))


def push(request: HttpRequest, wanted: str | None) -> None:
    if wanted == "retry":
        steering.retry(get_object_or_404(Step, pk=request.POST.get("step")), by=request.user)
    elif wanted == "skip":
        step = get_object_or_404(Step, pk=request.POST.get("step"))
        steering.skip(step, by=request.user, reason=request.POST.get("reason", ""))
    elif wanted == "stop":
        steering.cancel(get_object_or_404(Job, pk=request.POST.get("job")), by=request.user)
    elif wanted == "resume":
        steering.resume(get_object_or_404(Job, pk=request.POST.get("job")), by=request.user)
