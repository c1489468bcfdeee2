"""Releases and decisions in the admin. A release is written by use cases alone; its pages stand in pages.py."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import path
from django.urls.resolvers import URLPattern
from django.utils.translation import gettext_lazy as _

from catalog.admin import ReadOnlyAdmin
from catalog.templatetags.parts import state
from releases.admin import decision_pages as decisions
from releases.admin import pages
from releases.admin.diff_page import diff_page
from releases.models import (
    Decision,
    Release,
)


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
            ("diff", diff_page),
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
