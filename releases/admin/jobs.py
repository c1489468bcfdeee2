"""The durable engine in the admin: jobs and their steps, to be steered."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from catalog.admin import ReadOnlyAdmin
from catalog.admin_preview import Preview, is_sure, show
from catalog.errors import StewardshipError
from releases.jobs import steering
from releases.models import (
    Job,
    Step,
)


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
