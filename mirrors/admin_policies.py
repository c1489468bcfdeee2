"""Policies in the admin: each change is shown with what it would do before it is kept."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.admin import FieldHistoryAdmin
from mirrors.models import Mirror, Policy
from mirrors.policies import Outcome, Scope, outcome_if, start_following


@admin.register(Policy)
class PolicyAdmin(FieldHistoryAdmin):
    """A change or removal is sent twice: the first time it is shown, the second time, with `sure`, it is kept."""

    list_display = ["__str__", "mirror", "package", "dataset", "is_required"]
    list_filter = ["mirror", "is_required", "package"]
    list_select_related = ["mirror", "package", "dataset"]
    search_fields = ["dataset__identifier", "package__slug", "mirror__name"]
    autocomplete_fields = ["dataset"]
    fields = ["mirror", "package", "dataset", "is_required"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002
        return ["mirror"] if obj else []

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Leave out removing many at once, which would show nothing first."""
        return {name: act for name, act in super().get_actions(request).items() if name != "delete_selected"}

    @transaction.atomic
    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        policy = self.get_object(request, unquote(object_id)) if object_id else None
        is_allowed = self.has_change_permission(request, policy) if object_id else self.has_add_permission(request)
        if request.method == "POST" and is_allowed and (policy or not object_id):
            form = self.get_form(request, policy, change=bool(policy))(request.POST, instance=policy)
            if form.is_valid():
                outcome = self.outcome(form.instance, [Scope.of(form.instance)])
                if outcome.refusals or "sure" not in request.POST:
                    return self.show(request, outcome, form)
        return super().changeform_view(request, object_id, form_url, extra_context)

    @transaction.atomic
    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        policy = self.get_object(request, unquote(object_id))
        if policy is not None:
            if not self.has_delete_permission(request, policy):
                raise PermissionDenied
            outcome = self.outcome(policy, [])
            if outcome.refusals or "sure" not in request.POST:
                return self.show(request, outcome, None)
        return super().delete_view(request, object_id, extra_context)

    def outcome(self, changed: Policy, scopes: Sequence[Scope]) -> Outcome:
        """Compute what would follow if the scopes stood in the place of one policy."""
        return outcome_if(changed.mirror, Policy.objects.filter(pk=changed.pk), scopes, now=timezone.now())

    def show(self, request: HttpRequest, outcome: Outcome, form: "forms.ModelForm[Policy] | None") -> HttpResponse:
        sent = {} if form is None else {name: request.POST[name] for name in form.fields if name in request.POST}
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("What this policy would do") if form else _("What would follow without this policy"),
            "outcome": outcome,
            "sent": {**sent, "sure": "1"} | ({} if form else {"post": "yes"}),
            "is_removal": form is None,
        }
        return render(request, "admin/mirrors/policy_preview.html", context)

    def save_model(self, request: HttpRequest, obj: Policy, form: Any, change: Any) -> None:
        super().save_model(request, obj, form, change)
        start_following(obj.mirror, now=timezone.now())

    def delete_model(self, request: HttpRequest, obj: Policy) -> None:
        mirror: Mirror = obj.mirror
        super().delete_model(request, obj)
        start_following(mirror, now=timezone.now())
