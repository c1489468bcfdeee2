"""Releases in the admin. A release is written by use cases alone; its pages stand in admin_pages.py."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.urls.resolvers import URLPattern

from catalog.admin import ReadOnlyAdmin
from releases import admin_pages as pages
from releases.models import Build, Manifest, Release, SourceFile


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
            ("act", pages.act),
            ("export", pages.export),
            ("board", pages.board_page),
            ("steer", pages.steer),
        )
        view = self.admin_site.admin_view
        ours = [path(f"<int:pk>/{name}/", view(page), name=f"releases_release_{name}") for name, page in own]
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
