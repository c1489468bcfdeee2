"""The catalogue in the admin. What is published is read here, never changed."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from catalog.history import history_of
from catalog.models import Alias, Asset, CatalogueChange, DataPackage, Dataset, Edition, Licence, Version


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that no form writes: use cases and the engine do, and keep the history."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002  Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


class FieldHistoryAdmin(admin.ModelAdmin):
    """Rows whose every change of a field is kept, which the page “History” shows to whoever may see the row."""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": _("History"),
            "opts": self.opts,
            "row": row,
            "entries": history_of(row, self.history_parts(row)),
            **(extra_context or {}),
        }
        return render(request, "admin/catalog/history.html", context)

    def history_parts(self, row: Any) -> Iterable[Any]:  # noqa: ARG002  for those that have some
        """Give the historical rows of the row's parts, whose history is shown with its own."""
        return ()


@admin.register(DataPackage)
class DataPackageAdmin(admin.ModelAdmin):
    list_display = ["slug", "title_en", "title_fr", "priority"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002
        return ["slug"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Dataset)
class DatasetAdmin(FieldHistoryAdmin, ReadOnlyAdmin):
    list_display = ["identifier", "title_en", "title_fr", "package", "grade"]
    list_filter = ["package", "grade", "region"]
    list_select_related = ["package"]
    search_fields = ["identifier", "dguid", "title_en", "title_fr"]


@admin.register(Alias)
class AliasAdmin(ReadOnlyAdmin):
    list_display = ["identifier", "dataset", "at"]
    list_select_related = ["dataset"]
    search_fields = ["identifier", "dataset__identifier"]
    date_hierarchy = "at"


@admin.register(Version)
class VersionAdmin(ReadOnlyAdmin):
    list_display = ["dataset", "number", "state", "doi", "published_at"]
    list_filter = ["state", "dataset__package"]
    list_select_related = ["dataset"]
    search_fields = ["dataset__identifier", "number", "doi"]
    date_hierarchy = "published_at"


@admin.register(Licence)
class LicenceAdmin(ReadOnlyAdmin):
    list_display = ["spdx_id", "title_en", "title_fr", "url"]
    search_fields = ["spdx_id", "title_en", "title_fr"]


@admin.register(Asset)
class AssetAdmin(ReadOnlyAdmin):
    list_display = ["path", "role", "size_bytes", "sha256", "sealed_at"]
    list_filter = ["role"]
    search_fields = ["path", "sha256", "sha1", "md5", "item__item_id"]
    date_hierarchy = "sealed_at"


@admin.register(Edition)
class EditionAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "versions", "size_bytes", "made_at"]
    search_fields = ["manifest_sha256"]
    date_hierarchy = "made_at"


@admin.register(CatalogueChange)
class CatalogueChangeAdmin(ReadOnlyAdmin):
    list_display = ["what", "at", "edition"]
    list_filter = [("edition", admin.EmptyFieldListFilter)]
    list_select_related = ["edition"]
    search_fields = ["what"]
    date_hierarchy = "at"
