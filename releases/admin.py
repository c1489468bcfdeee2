"""Releases in the admin. A release is written by use cases alone; its pages stand in admin_pages.py."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import path
from django.urls.resolvers import URLPattern
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.admin import ReadOnlyAdmin
from catalog.admin_preview import Preview, is_sure, show
from catalog.errors import StewardshipError
from catalog.templatetags.parts import state
from releases import admin_decisions as decisions
from releases import admin_ingests as ingests
from releases import admin_pages as pages
from releases.dismiss import dismiss_notice
from releases.jobs import steering
from releases.models import Build, Decision, Ingest, Job, Manifest, Release, SourceFile, Step, UpstreamNotice


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
