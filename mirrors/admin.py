"""Mirrors in the admin: the registry and policies are edited, evidence is read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from catalog.admin import ReadOnlyAdmin
from mirrors.models import Check, Deposit, Mirror, Policy, Replica


class PolicyInline(admin.TabularInline):
    model = Policy
    extra = 0


@admin.register(Mirror)
class MirrorAdmin(admin.ModelAdmin):
    list_display = ["name", "slug", "kind", "operator", "jurisdiction", "tier", "is_enabled"]
    list_filter = ["kind", "tier", "jurisdiction", "is_enabled"]
    search_fields = ["name", "slug", "operator"]
    inlines = [PolicyInline]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Deposit)
class DepositAdmin(ReadOnlyAdmin):
    list_display = ["version", "mirror", "state", "created_at"]
    list_filter = ["state", "mirror"]
    list_select_related = ["version__dataset", "mirror"]
    search_fields = ["version__dataset__identifier"]


@admin.register(Replica)
class ReplicaAdmin(ReadOnlyAdmin):
    list_display = ["asset", "mirror", "state", "verified_at"]
    list_filter = ["state", "mirror"]
    list_select_related = ["asset", "mirror"]
    search_fields = ["asset__path", "asset__sha256"]
    date_hierarchy = "verified_at"


@admin.register(Check)
class CheckAdmin(ReadOnlyAdmin):
    list_display = ["at", "replica", "level", "method", "result"]
    list_filter = ["result", "level", "replica__mirror"]
    list_select_related = ["replica__asset", "replica__mirror"]
    search_fields = ["replica__asset__path", "checksum_seen"]
    date_hierarchy = "at"
