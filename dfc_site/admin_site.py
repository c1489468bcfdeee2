"""The curators' admin: the stock site whose first page says what needs a person."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone

from catalog.folding import fold
from dfc_site import dashboard


class StewardshipSite(admin.AdminSite):
    index_template = "admin/dashboard.html"

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        now = timezone.now()
        found = dashboard.tasks(request.user, now=now)
        context = {
            "tasks": found,
            "urgent": sum(task.kind == "bad" for task in found),
            "running": dashboard.running() if request.user.has_perm("releases.view_release") else [],
            "figures": dashboard.figures(now=now),
        }
        return super().index(request, {**context, **(extra_context or {})})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Sort apps and models by their names as readers of either language do: É beside E."""
        apps = super().get_app_list(request, app_label)
        for app in apps:
            app["models"].sort(key=lambda model: fold(str(model["name"])))
        return sorted(apps, key=lambda app: fold(str(app["name"])))
