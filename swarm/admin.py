from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import path
from django.urls.resolvers import URLPattern
from django.utils.translation import gettext_lazy as _

from catalog.admin import FieldHistoryAdmin, ReadOnlyAdmin
from catalog.templatetags.amounts import size
from catalog.templatetags.parts import badge
from swarm import admin_pages as pages
from swarm.models import Node, NodeLetter, NodeTransition, Torrent


@admin.register(Torrent)
class TorrentAdmin(ReadOnlyAdmin):
    list_display = ["name", "infohash_v1", "infohash_v2", "made_at"]
    search_fields = ["name", "infohash_v1", "infohash_v2"]
    exclude = ["info"]
    list_select_related = ["asset"]


@admin.register(Node)
class NodeAdmin(FieldHistoryAdmin, ReadOnlyAdmin):
    list_display = ["public_id", "display_name", "state_badge", "operator_kind", "where", "registered_at"]
    list_filter = ["state", "operator_kind", "region", "is_listed"]
    search_fields = ["public_id", "display_name"]
    date_hierarchy = "registered_at"
    exclude = ["token_digest", "quota_bytes"]
    readonly_fields = ["storage"]
    actions = ["approve", "refuse", "suspend", "reinstate"]
    change_form_template = "admin/swarm/node.html"

    def has_approve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("swarm.approve_node")

    def has_suspend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("swarm.suspend_node")

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002  Django's signature
        """Show what is private only to those who decide."""
        decides = self.has_approve_permission(request) or self.has_suspend_permission(request)
        return list(self.exclude) + ([] if decides else ["email", "notes"])

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, node: Node) -> str:
        return render_to_string(
            "parts/badge.html", badge(pages.BADGES.get(node.state, "idle"), node.get_state_display())
        )

    @admin.display(description=_("region"), ordering="region")
    def where(self, node: Node) -> str:
        return node.place

    @admin.display(description=_("storage"), ordering="quota_bytes")
    def storage(self, node: Node) -> str:
        return size(node.quota_bytes)

    @admin.action(description=_("Approve…"), permissions=["approve"])
    def approve(self, _request: HttpRequest, queryset: QuerySet[Node]) -> HttpResponse:
        return pages.to_preview("approved", queryset)

    @admin.action(description=_("Refuse…"), permissions=["approve"])
    def refuse(self, _request: HttpRequest, queryset: QuerySet[Node]) -> HttpResponse:
        return pages.to_preview("refused", queryset)

    @admin.action(description=_("Suspend…"), permissions=["suspend"])
    def suspend(self, _request: HttpRequest, queryset: QuerySet[Node]) -> HttpResponse:
        return pages.to_preview("suspended", queryset)

    @admin.action(description=_("Let back in…"), permissions=["suspend"])
    def reinstate(self, _request: HttpRequest, queryset: QuerySet[Node]) -> HttpResponse:
        return pages.to_preview("reinstated", queryset)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = {**(extra_context or {}), **pages.context_of_node(request, object_id)}
        return super().change_view(request, object_id, form_url, context)

    def get_urls(self) -> list[URLPattern]:
        decide = path("decide/", self.admin_site.admin_view(pages.preview), name="swarm_node_decide")
        return [decide, *super().get_urls()]


@admin.register(NodeTransition)
class NodeTransitionAdmin(ReadOnlyAdmin):
    list_display = ["at", "node", "source", "to", "by", "channel", "reason"]
    list_filter = ["to", "channel"]
    list_select_related = ["node", "by"]
    search_fields = ["node__public_id"]
    date_hierarchy = "at"


@admin.register(NodeLetter)
class NodeLetterAdmin(ReadOnlyAdmin):
    list_display = ["made_at", "node", "kind", "by", "sent_at", "used_at", "settled_at", "tries"]
    list_filter = ["kind"]
    list_select_related = ["node", "by"]
    search_fields = ["node__public_id"]
    date_hierarchy = "made_at"
    exclude = ["key"]
