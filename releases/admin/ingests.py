"""Ingests and what was noticed upstream; the pages of an ingest stand in ingest_pages.py."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import path
from django.urls.resolvers import URLPattern
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.admin import ReadOnlyAdmin
from catalog.admin_preview import Preview, is_sure, show
from catalog.errors import StewardshipError
from releases.admin import ingest_pages as ingests
from releases.dismiss import dismiss_notice
from releases.models import (
    Ingest,
    UpstreamNotice,
)


@admin.register(Ingest)
class IngestAdmin(ReadOnlyAdmin):
    """Upstream files on their way in. Its pages stand in ingest_pages.py."""

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
