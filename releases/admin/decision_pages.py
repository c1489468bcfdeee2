"""The curator's pages of second thoughts: propose one, look at it, second or refuse it. Thin: parse, call, show."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalog.errors import StewardshipError
from catalog.models import Alias, Asset, Dataset, Version
from releases.admin.pages import CHANNEL, lines_of
from releases.drafts.texts import COLUMNS, LANGUAGES, texts_of
from releases.errors import DecisionUnknownError
from releases.find import find_decision
from releases.models import Decision, MetadataRevision, Release
from releases.propose import propose_deprecation, propose_rename, propose_revision, propose_withdrawal
from releases.reasons import SHORTEST
from releases.revisions import TITLES, text_changes
from releases.second import refuse_decision, second_decision

INVALID = 422
NEWEST_KEY = 2**63
FORM_TITLES: dict[str, str | Promise] = {
    Decision.Kind.DEPRECATE: gettext_lazy("Propose to deprecate %(subject)s"),
    Decision.Kind.WITHDRAW: gettext_lazy("Propose to withdraw %(subject)s"),
    Decision.Kind.RENAME: gettext_lazy("Propose to rename %(subject)s"),
    Decision.Kind.REVISE: gettext_lazy("Propose other texts for %(subject)s"),
}


def context_of(request: HttpRequest, **extra: Any) -> dict[str, Any]:
    return {
        **admin.site.each_context(request),
        "opts": Decision._meta,  # noqa: SLF001  Django's public name
        "is_alone": settings.DFC_APPROVERS == 0,
        "shortest": SHORTEST,
        **extra,
    }


def page_of(decision: Decision) -> str:
    return reverse("admin:releases_decision_change", args=[decision.pk])


def propose(request: HttpRequest) -> HttpResponse:
    """Show the form of one kind of proposal, or keep what it brings; a refusal keeps what was typed."""
    if not request.user.has_perm("releases.propose_decision"):
        raise PermissionDenied
    kind, subject = asked(request)
    errors: list[str] = []
    if request.method == "POST":
        try:
            decision = PROPOSALS[kind](subject, request.POST)(**words_of(request))
        except StewardshipError as error:
            errors = lines_of(error)
        else:
            messages.success(request, said_of(decision))
            return HttpResponseRedirect(page_of(decision))
    context = context_of(
        request,
        title=FORM_TITLES[kind] % {"subject": heading_of(subject)},
        kind=kind,
        subject=subject,
        errors=errors,
        typed=request.POST,
        back=reverse(f"admin:catalog_{subject._meta.model_name}_change", args=[subject.pk]),  # noqa: SLF001
        **effect_of(kind, subject),
        **choices_of(kind, subject, request.POST),
    )
    return render(request, "admin/releases/decision_propose.html", context, status=INVALID if errors else 200)


def heading_of(subject: Dataset | Version) -> str:
    return subject.title if isinstance(subject, Dataset) else f"{subject.dataset.title}, {subject.shown}"


def asked(request: HttpRequest) -> tuple[str, Any]:
    """Read which kind of proposal is asked for, and about which version or dataset; Http404 for anything else."""
    kind = request.GET.get("kind", "")
    if kind not in PROPOSALS:
        raise Http404
    is_version = kind in {Decision.Kind.DEPRECATE, Decision.Kind.WITHDRAW}
    key = request.GET.get("version" if is_version else "dataset", "")
    pk = int(key) if key.isdecimal() and len(key) < len(str(NEWEST_KEY)) else 0
    if is_version:
        return kind, get_object_or_404(Version.objects.select_related("dataset__package"), pk=pk)
    return kind, get_object_or_404(Dataset.objects.select_related("package"), pk=pk)


def words_of(request: HttpRequest) -> dict[str, Any]:
    """Give what every proposal has."""
    return {
        "by": request.user,
        "channel": CHANNEL,
        "reason_en": request.POST.get("reason_en", ""),
        "reason_fr": request.POST.get("reason_fr", ""),
        "now": timezone.now(),
    }


def replacement_of(version: Version, typed: Mapping[str, str]) -> Version | None:
    number = typed.get("instead", "")
    return get_object_or_404(Version, dataset=version.dataset_id, number=number) if number else None


def deprecation(version: Version, typed: Mapping[str, str]) -> Callable[..., Decision]:
    return partial(propose_deprecation, version, replacement=replacement_of(version, typed))


def withdrawal(version: Version, typed: Mapping[str, str]) -> Callable[..., Decision]:
    return partial(propose_withdrawal, version, replacement=replacement_of(version, typed))


def rename(dataset: Dataset, typed: Mapping[str, str]) -> Callable[..., Decision]:
    return partial(propose_rename, dataset, typed.get("new_identifier", ""))


def revision(dataset: Dataset, typed: Mapping[str, str]) -> Callable[..., Decision]:
    return partial(propose_revision, dataset, {column: typed[column] for column in COLUMNS if column in typed})


PROPOSALS: dict[str, Callable[[Any, Mapping[str, str]], Callable[..., Decision]]] = {
    Decision.Kind.DEPRECATE: deprecation,
    Decision.Kind.WITHDRAW: withdrawal,
    Decision.Kind.RENAME: rename,
    Decision.Kind.REVISE: revision,
}


def said_of(decision: Decision) -> str:
    if decision.state == Decision.State.TAKEN:
        return _("%(decision)s: done. No second person was asked for.") % {"decision": decision}
    return _("%(decision)s: proposed. A second person has to take it.") % {"decision": decision}


def effect_of(kind: str, subject: Any) -> dict[str, Any]:
    """Give the facts of what a decision changes."""
    if isinstance(subject, Dataset):
        return {"dataset": subject, "versions": Version.objects.public().filter(dataset=subject).count()}
    return {
        "dataset": subject.dataset,
        "version": subject,
        "latest_now": Version.objects.latest_of(subject.dataset),
        "latest_then": Version.objects.exclude(pk=subject.pk).latest_of(subject.dataset),
        "files": Asset.objects.filter(item__version=subject).count() if kind == Decision.Kind.WITHDRAW else 0,
    }


def choices_of(kind: str, subject: Any, typed: Mapping[str, str]) -> dict[str, Any]:
    """Give what a form lets people choose from, or what stands in its fields at first."""
    if isinstance(subject, Version):
        others = Version.objects.filter(dataset=subject.dataset_id, state=Version.State.PUBLISHED)
        return {"others": others.exclude(pk=subject.pk).order_by("-precedence")}
    if kind == Decision.Kind.RENAME:
        return {}
    present = texts_of(subject)
    fields = [
        (title, [(language, f"{field}_{language}") for language in LANGUAGES], field)
        for field, title in TITLES.items()
    ]
    return {
        "fields": [
            (title, field, [(language, name, typed.get(name, present[name])) for language, name in names])
            for title, names, field in fields
        ]
    }


def decision_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a decision, what it changes and why; answer it by POST, each refusal shown as its sentence."""
    if not request.user.has_perm("releases.view_decision"):
        raise PermissionDenied
    decision, errors = found(pk), []
    if request.method == "POST":
        try:
            answer(request, decision)
        except StewardshipError as error:
            errors, decision = lines_of(error), found(pk)
        else:
            return HttpResponseRedirect(page_of(decision))
    is_own = request.user.pk == decision.proposer_id
    context = context_of(
        request,
        title=str(decision),
        decision=decision,
        kind=decision.kind,
        errors=errors,
        typed=request.POST.get("reason", ""),
        is_own=is_own,
        acts=acts_of(request, decision, is_own=is_own),
        release=Release.objects.filter(version=decision.version_id).first() if decision.version_id else None,
        former=former_of(decision),
        **effect_of(decision.kind, decision.subject),
        **compared(decision),
    )
    return render(request, "admin/releases/decision.html", context, status=INVALID if errors else 200)


def former_of(decision: Decision) -> Alias | None:
    """Give the name that a rename ended."""
    if decision.kind != Decision.Kind.RENAME or decision.decided_at is None:
        return None
    return Alias.objects.filter(dataset=decision.dataset_id, at=decision.decided_at).first()


def found(pk: int) -> Decision:
    try:
        return find_decision(pk)
    except DecisionUnknownError as error:
        raise Http404 from error


def acts_of(request: HttpRequest, decision: Decision, *, is_own: bool) -> set[str]:
    """Name the buttons that this person has now; the use cases check again."""
    if decision.state != Decision.State.PROPOSED:
        return set()
    if is_own and settings.DFC_APPROVERS:
        return {"drop"} if request.user.has_perm("releases.propose_decision") else set()
    return {"second", "refuse"} if request.user.has_perm("releases.second_decision") else set()


def answer(request: HttpRequest, decision: Decision) -> None:
    words: dict[str, Any] = {"by": request.user, "channel": CHANNEL, "now": timezone.now()}
    if request.POST.get("act") == "second":
        second_decision(decision, **words)
        messages.success(request, _("%(decision)s: done.") % {"decision": decision})
    elif request.POST.get("act") == "refuse":
        refuse_decision(decision, reason=request.POST.get("reason", ""), **words)
        messages.success(request, _("%(decision)s: it stays as it was.") % {"decision": decision})


def compared(decision: Decision) -> dict[str, Any]:
    """Give a revision's texts beside those that it replaces, or would replace now."""
    if decision.kind != Decision.Kind.REVISE:
        return {}
    new = MetadataRevision.objects.get(decision=decision)
    before: Any = decision.dataset
    if decision.state != Decision.State.PROPOSED:
        earlier = MetadataRevision.objects.filter(dataset=decision.dataset_id, number=new.replaces)
        before = earlier.first() or decision.dataset
    return {"revision": new, "changes": text_changes(texts_of(before), texts_of(new))}
