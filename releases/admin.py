"""Releases in the admin. A release is written by use cases alone; its pages stand in admin_pages.py."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.urls.resolvers import URLPattern
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from catalog.admin import ReadOnlyAdmin
from catalog.admin_preview import Preview, is_sure, show
from catalog.errors import StewardshipError
from catalog.say import say
from catalog.templatetags.parts import state
from releases import admin_decisions as decisions
from releases import admin_diff
from releases import admin_ingests as ingests
from releases import admin_pages as pages
from releases.dismiss import dismiss_notice
from releases.jobs import steering
from releases.models import (
    Attestation,
    AttestedDifference,
    Build,
    Decision,
    EnvironmentImage,
    Ingest,
    Job,
    Manifest,
    Rebuilder,
    RebuilderTransition,
    Release,
    SigningKey,
    SourceFile,
    Step,
    UpstreamNotice,
)
from releases.models.attestation import Channel
from releases.recognise import RebuilderEntry, check_rebuilder, recognise_rebuilder, revoke_rebuilder

ENTERED = ("name", "operator_kind", "jurisdiction", "contact", "public_key")


@admin.register(Release)
class ReleaseAdmin(ReadOnlyAdmin):
    list_display = ["version", "state", "author", "submitter", "created_at", "approved_at"]
    list_filter = ["state", "version__dataset__package"]
    list_select_related = ["version__dataset", "author", "submitter"]
    search_fields = ["version__dataset__identifier", "version__number", "reviewed_digest"]
    date_hierarchy = "created_at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("releases.draft_release")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ARG002
        return pages.draft(request)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002  Django's signature
        extra_context: Any = None,  # noqa: ARG002
    ) -> HttpResponse:
        return pages.release_page(request, int(object_id) if object_id.isdecimal() else 0)

    def get_urls(self) -> list[URLPattern]:
        own = (
            ("edit", pages.edit),
            ("next", pages.renew),
            ("act", pages.act),
            ("export", pages.export),
            ("diff", admin_diff.diff_page),
            ("board", pages.board_page),
            ("steer", pages.steer),
        )
        view = self.admin_site.admin_view
        ours = [path(f"<int:pk>/{name}/", view(page), name=f"releases_release_{name}") for name, page in own]
        return [*ours, *super().get_urls()]


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    """Second thoughts. A proposal begins at the page of a release or a dataset."""

    list_display = ["__str__", "badge", "proposer", "proposed_at", "seconder", "decided_at"]
    list_filter = ["state", "kind", "dataset__package"]
    list_select_related = ["dataset", "version__dataset", "proposer", "seconder"]
    search_fields = ["dataset__identifier", "new_identifier", "version__number", "reason_en", "reason_fr"]
    date_hierarchy = "proposed_at"

    @admin.display(description=_("state"), ordering="state")
    def badge(self, decision: Decision) -> str:
        return render_to_string("parts/badge.html", state(decision))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002  Django's signature
        extra_context: Any = None,  # noqa: ARG002
    ) -> HttpResponse:
        return decisions.decision_page(request, int(object_id) if object_id.isdecimal() else 0)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(decisions.propose)
        return [path("propose/", view, name="releases_decision_propose"), *super().get_urls()]


@admin.register(Ingest)
class IngestAdmin(ReadOnlyAdmin):
    """Upstream files on their way in. Its pages stand in admin_ingests.py."""

    list_display = ["identifier", "origin", "badge", "by", "created_at", "listed_at"]
    list_filter = ["state", "origin", "package"]
    list_select_related = ["by"]
    search_fields = ["identifier", "address", "files__url", "files__sha256"]
    date_hierarchy = "created_at"

    @admin.display(description=_("state"), ordering="state")
    def badge(self, ingest: Ingest) -> str:
        return render_to_string("parts/badge.html", ingests.badge_of(ingest))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("releases.ingest_release")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ARG002
        return ingests.new(request)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002  Django's signature
        extra_context: Any = None,  # noqa: ARG002
    ) -> HttpResponse:
        return ingests.ingest_page(request, int(object_id) if object_id.isdecimal() else 0)

    def get_urls(self) -> list[URLPattern]:
        own = (("act", ingests.act), ("ledger", ingests.ledger), ("sources", ingests.sources))
        view = self.admin_site.admin_view
        ours = [path(f"<int:pk>/{name}/", view(page), name=f"releases_ingest_{name}") for name, page in own]
        return [*ours, *super().get_urls()]


@admin.register(Build)
class BuildAdmin(ReadOnlyAdmin):
    list_display = ["release", "purpose", "round", "number", "state", "verdict", "isolation", "started_at"]
    list_filter = ["purpose", "verdict", "state"]
    list_select_related = ["release__version__dataset"]
    search_fields = ["release__version__dataset__identifier", "manifest__sha256", "outputs__sha256"]
    date_hierarchy = "started_at"


@admin.register(Manifest)
class ManifestAdmin(ReadOnlyAdmin):
    list_display = ["sha256", "locked_at"]
    search_fields = ["sha256"]


class RebuilderForm(forms.ModelForm):
    """A new rebuilder; why its key is recognised is kept in its history."""

    reason = forms.CharField(label=_("Reason"), widget=forms.Textarea(attrs={"rows": 3}))
    by: Any = None  # who is signed in; the admin says it

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                check_rebuilder(self.entry(), by=self.by, reason=cleaned["reason"])
            except StewardshipError as error:
                raise forms.ValidationError(say(error)) from error
        return cleaned

    def entry(self) -> RebuilderEntry:
        return RebuilderEntry(**{name: self.cleaned_data[name] for name in ENTERED})


class RebuilderTransitionInline(admin.TabularInline):
    model = RebuilderTransition
    fields = readonly_fields = ("at", "source", "to", "by", "why", "channel")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Rebuilder)
class RebuilderAdmin(ReadOnlyAdmin):
    """Keys of those who rebuild. They are recognised and revoked with a reason, and never changed."""

    form = RebuilderForm
    list_display = ["name", "badge", "operator_kind", "jurisdiction", "keyid", "added_at"]
    list_filter = ["state", "operator_kind", "jurisdiction"]
    search_fields = ["name", "keyid", "contact"]
    actions = ["revoke"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_recognise_permission(request)

    def has_recognise_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("releases.recognise_rebuilder")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:  # noqa: ARG002
        return [*ENTERED, "reason"] if obj is None else [*ENTERED, "keyid", "state", "added_at"]

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:  # noqa: ARG002
        return [] if obj is None else [RebuilderTransitionInline]

    def get_form(self, request: HttpRequest, obj: Any = None, change: Any = False, **kwargs: Any) -> Any:  # noqa: FBT002
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.by = request.user
        return form

    def save_model(self, request: HttpRequest, obj: Rebuilder, form: Any, change: Any) -> None:  # noqa: ARG002
        """Write the row and its history through the use case."""
        reason, channel = form.cleaned_data["reason"], Channel.ADMIN
        made = recognise_rebuilder(form.entry(), by=request.user, reason=reason, now=timezone.now(), channel=channel)
        obj.pk = made.pk

    @admin.display(description=_("state"), ordering="state")
    def badge(self, rebuilder: Rebuilder) -> str:
        return render_to_string("parts/badge.html", state(rebuilder))

    @admin.action(description=_("Revoke keys…"), permissions=["recognise"])
    def revoke(self, request: HttpRequest, queryset: "QuerySet[Rebuilder]") -> HttpResponse | None:
        """Show which statements would count no more; the second POST does it, and reports each refusal."""
        if not is_sure(request):
            counted: Any = queryset.annotate(statements=Count("attestations"))
            preview = Preview(
                action="revoke",
                title=_("Revoke keys"),
                button=_("Revoke"),
                head=(_("Rebuilder"), _("State"), _("Statements")),
                rows=[(one.name, one.get_state_display(), one.statements) for one in counted],
                empty=_("No rebuilder was chosen."),
                asks_reason=True,
            )
            return show(request, self, queryset, preview)
        for rebuilder in queryset:
            try:
                reason, now = request.POST.get("reason", ""), timezone.now()
                revoke_rebuilder(rebuilder, by=request.user, reason=reason, now=now, channel=Channel.ADMIN)
            except StewardshipError as error:
                self.message_user(request, say(error), messages.ERROR)
        return None


class AttestedDifferenceInline(admin.TabularInline):
    model = AttestedDifference
    fields = readonly_fields = ("path", "published_sha256", "sha256")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Attestation)
class AttestationAdmin(ReadOnlyAdmin):
    """Signed statements, ours and those of rebuilders. Nobody changes one; the signed text is downloaded."""

    list_display = ["version", "rebuilder", "badge", "finished_at", "received_at", "channel"]
    list_filter = ["verdict", "rebuilder", "channel"]
    list_select_related = ["version__dataset", "rebuilder"]
    search_fields = ["version__dataset__identifier", "sha256", "keyid", "rebuilder__name", "differences__path"]
    date_hierarchy = "received_at"
    exclude = ["envelope"]
    inlines = [AttestedDifferenceInline]

    @admin.display(description=_("verdict"), ordering="verdict")
    def badge(self, attestation: Attestation) -> str:
        return render_to_string("parts/badge.html", state(attestation, "verdict"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.download)
        return [path("<int:pk>/envelope/", view, name="releases_attestation_envelope"), *super().get_urls()]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002
        return ["statement"]

    @admin.display(description=_("signed statement"))
    def statement(self, attestation: Attestation) -> str:
        address = reverse("admin:releases_attestation_envelope", args=[attestation.pk])
        return format_html('<a href="{}">{}</a>', address, _("Download"))

    def download(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Give the signed text byte for byte."""
        found = self.get_object(request, str(pk))
        if found is None:
            raise Http404
        if not self.has_view_permission(request, found):
            raise PermissionDenied
        response = HttpResponse(found.envelope, content_type="application/json")
        response["Content-Disposition"] = f'attachment; filename="{found.sha256}.json"'
        return response


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    list_display = ["keyid", "first_used_at"]
    search_fields = ["keyid"]


@admin.register(EnvironmentImage)
class EnvironmentImageAdmin(ReadOnlyAdmin):
    list_display = ["path", "image_id", "platform", "engine", "size_bytes", "built_at"]
    search_fields = ["image_id", "code_tree", "packages", "bases"]
    date_hierarchy = "built_at"


@admin.register(SourceFile)
class SourceFileAdmin(ReadOnlyAdmin):
    list_display = ["name", "release", "size_bytes", "sha256", "stored_at"]
    list_select_related = ["release__version__dataset"]
    search_fields = ["name", "url", "sha256"]
    date_hierarchy = "stored_at"


@admin.register(UpstreamNotice)
class UpstreamNoticeAdmin(ReadOnlyAdmin):
    """What the watch found of sources and licences."""

    list_display = ["kind", "dataset", "finding", "found_at", "ended_at", "dismissed_by"]
    list_filter = ["kind", ("ended_at", admin.EmptyFieldListFilter)]
    list_select_related = ["watched__dataset", "dismissed_by"]
    search_fields = ["=pk", "watched__dataset__identifier", "watched__url"]
    date_hierarchy = "found_at"
    actions = ["dismiss"]

    @admin.display(description=_("dataset"), ordering="watched__dataset__identifier")
    def dataset(self, notice: UpstreamNotice) -> str:
        return notice.watched.dataset.identifier

    def has_ingest_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("releases.ingest_release")

    @admin.action(description=_("Dismiss…"), permissions=["ingest"])
    def dismiss(self, request: HttpRequest, queryset: "QuerySet[UpstreamNotice]") -> HttpResponse | None:
        """Show which notices would end; the second POST does it, and reports each refusal."""
        notices = list(queryset.filter(ended_at=None).select_related("watched__dataset"))
        if not is_sure(request):
            dismissal = Preview(
                action="dismiss",
                title=_("Dismiss notices"),
                button=_("Dismiss"),
                head=(_("Dataset"), _("What was found"), _("Found at")),
                rows=[(self.dataset(one), one.finding, one.found_at) for one in notices],
                empty=_("None of the chosen notices is open."),
            )
            return show(request, self, queryset, dismissal)
        for one in notices:
            try:
                dismiss_notice(one, by=request.user, now=timezone.now())
            except StewardshipError as error:
                self.message_user(request, f"{one}: {error}", messages.ERROR)
            else:
                self.message_user(request, _("%(notice)s is dismissed.") % {"notice": one}, messages.SUCCESS)
        return None


class StepInline(admin.TabularInline):
    model = Step
    fk_name = "job"
    fields = ("label", "state", "attempts", "done_bytes", "total_bytes", "error", "ended_at")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """The work of the durable engine. Builds and publications have a board as well."""

    list_display = ["key", "pipeline", "state", "failed", "created_at", "ended_at"]
    list_filter = ["state", "pipeline"]
    search_fields = ["key", "steps__label", "steps__error"]
    date_hierarchy = "created_at"
    inlines = [StepInline]
    actions = ["retry_failed"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Job]":
        failed = Count("steps", filter=Q(steps__state=Step.State.FAILED))
        jobs: QuerySet[Job] = super().get_queryset(request).annotate(failed_steps=failed)
        return jobs

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("releases.steer_release")

    @admin.display(description=_("failed steps"), ordering="failed_steps")
    def failed(self, job: Any) -> int:
        count: int = job.failed_steps
        return count

    @admin.action(description=_("Retry failed steps…"), permissions=["steer"])
    def retry_failed(self, request: HttpRequest, queryset: "QuerySet[Job]") -> HttpResponse | None:
        """Show which steps would be tried again; the second POST does it, and reports each refusal."""
        steps = Step.objects.filter(job__in=queryset.values("pk"), state=Step.State.FAILED).select_related("job")
        if not is_sure(request):
            rows = [(f"{step.job.key} · {step.label}", step.error, step.attempts) for step in steps]
            retry = Preview(
                action="retry_failed",
                title=_("Retry failed steps"),
                button=_("Retry"),
                head=(_("Step"), _("What was found"), _("Attempts")),
                rows=rows,
                empty=_("None of the chosen jobs has a failed step."),
            )
            return show(request, self, queryset, retry)
        for step in steps:
            try:
                steering.retry(step, by=request.user)
            except StewardshipError as error:
                self.message_user(request, f"{step}: {error}", messages.ERROR)
            else:
                self.message_user(request, _("%(step)s is tried again.") % {"step": step}, messages.SUCCESS)
        return None
