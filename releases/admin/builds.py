"""Builds and all that they are made of, to be looked at."""

from django.contrib import admin

from catalog.admin import ReadOnlyAdmin
from releases.models import (
    Build,
    EnvironmentImage,
    Manifest,
    SourceFile,
)


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
