"""The catalogue in the admin. What is published is read here, never changed."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from catalog.models import Asset, DataPackage, Dataset, Licence, Version


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that no form writes: use cases and the engine do, and keep the history."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002  Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(DataPackage)
class DataPackageAdmin(admin.ModelAdmin):
    list_display = ["slug", "title_en", "title_fr", "priority"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002
        return ["slug"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Dataset)
class DatasetAdmin(ReadOnlyAdmin):
    list_display = ["identifier", "title_en", "title_fr", "package", "grade"]
    list_filter = ["package", "grade", "region"]
    list_select_related = ["package"]
    search_fields = ["identifier", "dguid", "title_en", "title_fr"]


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
    search_fields = ["path", "sha256", "item__item_id"]
    date_hierarchy = "sealed_at"
