"""Rebuilders, whose keys people recognise and revoke, and signed statements."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.urls.resolvers import URLPattern
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from catalog.admin import ReadOnlyAdmin
from catalog.admin_preview import Preview, is_sure, show
from catalog.errors import StewardshipError
from catalog.say import say
from catalog.templatetags.parts import state
from releases.models import (
    Attestation,
    AttestedDifference,
    Rebuilder,
    RebuilderTransition,
    SigningKey,
)
from releases.models.attestation import Channel
from releases.statements.recognise import RebuilderEntry, check_rebuilder, recognise_rebuilder, revoke_rebuilder

ENTERED = ("name", "operator_kind", "jurisdiction", "contact", "public_key")


class RebuilderForm(forms.ModelForm):
    """A new rebuilder; why its key is recognised is kept in its history."""

    reason = forms.CharField(label=_("Reason"), widget=forms.Textarea(attrs={"rows": 3}))
    by: Any = None  # who is signed in; the admin says it

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                check_rebuilder(self.entry(), by=self.by, reason=cleaned["reason"])
            except StewardshipError as error:
                raise forms.ValidationError(say(error)) from error
        return cleaned

    def entry(self) -> RebuilderEntry:
        return RebuilderEntry(**{name: self.cleaned_data[name] for name in ENTERED})


class RebuilderTransitionInline(admin.TabularInline):
    model = RebuilderTransition
    fields = readonly_fields = ("at", "source", "to", "by", "why", "channel")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Rebuilder)
class RebuilderAdmin(ReadOnlyAdmin):
    """Keys of those who rebuild. They are recognised and revoked with a reason, and never changed."""

    form = RebuilderForm
    list_display = ["name", "badge", "operator_kind", "jurisdiction", "keyid", "added_at"]
    list_filter = ["state", "operator_kind", "jurisdiction"]
    search_fields = ["name", "keyid", "contact"]
    actions = ["revoke"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_recognise_permission(request)

    def has_recognise_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("releases.recognise_rebuilder")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:  # noqa: ARG002
        return [*ENTERED, "reason"] if obj is None else [*ENTERED, "keyid", "state", "added_at"]

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:  # noqa: ARG002
        return [] if obj is None else [RebuilderTransitionInline]

    def get_form(self, request: HttpRequest, obj: Any = None, change: Any = False, **kwargs: Any) -> Any:  # noqa: FBT002
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.by = request.user
        return form

    def save_model(self, request: HttpRequest, obj: Rebuilder, form: Any, change: Any) -> None:  # noqa: ARG002
        """Write the row and its history through the use case."""
        reason, channel = form.cleaned_data["reason"], Channel.ADMIN
        made = recognise_rebuilder(form.entry(), by=request.user, reason=reason, now=timezone.now(), channel=channel)
        obj.pk = made.pk

    @admin.display(description=_("state"), ordering="state")
    def badge(self, rebuilder: Rebuilder) -> str:
        return render_to_string("parts/badge.html", state(rebuilder))

    @admin.action(description=_("Revoke keys…"), permissions=["recognise"])
    def revoke(self, request: HttpRequest, queryset: "QuerySet[Rebuilder]") -> HttpResponse | None:
        """Show which statements would count no more; the second POST does it, and reports each refusal."""
        if not is_sure(request):
            counted: Any = queryset.annotate(statements=Count("attestations"))
            preview = Preview(
                action="revoke",
                title=_("Revoke keys"),
                button=_("Revoke"),
                head=(_("Rebuilder"), _("State"), _("Statements")),
                rows=[(one.name, one.get_state_display(), one.statements) for one in counted],
                empty=_("No rebuilder was chosen."),
                asks_reason=True,
            )
            return show(request, self, queryset, preview)
        for rebuilder in queryset:
            try:
                reason, now = request.POST.get("reason", ""), timezone.now()
                revoke_rebuilder(rebuilder, by=request.user, reason=reason, now=now, channel=Channel.ADMIN)
            except StewardshipError as error:
                self.message_user(request, say(error), messages.ERROR)
        return None


class AttestedDifferenceInline(admin.TabularInline):
    model = AttestedDifference
    fields = readonly_fields = ("path", "published_sha256", "sha256")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Attestation)
class AttestationAdmin(ReadOnlyAdmin):
    """Signed statements, ours and those of rebuilders. Nobody changes one; the signed text is downloaded."""

    list_display = ["version", "rebuilder", "badge", "finished_at", "received_at", "channel"]
    list_filter = ["verdict", "rebuilder", "channel"]
    list_select_related = ["version__dataset", "rebuilder"]
    search_fields = ["version__dataset__identifier", "sha256", "keyid", "rebuilder__name", "differences__path"]
    date_hierarchy = "received_at"
    exclude = ["envelope"]
    inlines = [AttestedDifferenceInline]

    @admin.display(description=_("verdict"), ordering="verdict")
    def badge(self, attestation: Attestation) -> str:
        return render_to_string("parts/badge.html", state(attestation, "verdict"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.download)
        return [path("<int:pk>/envelope/", view, name="releases_attestation_envelope"), *super().get_urls()]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002
        return ["statement"]

    @admin.display(description=_("signed statement"))
    def statement(self, attestation: Attestation) -> str:
        address = reverse("admin:releases_attestation_envelope", args=[attestation.pk])
        return format_html('<a href="{}">{}</a>', address, _("Download"))

    def download(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Give the signed text byte for byte."""
        found = self.get_object(request, str(pk))
        if found is None:
            raise Http404
        if not self.has_view_permission(request, found):
            raise PermissionDenied
        response = HttpResponse(found.envelope, content_type="application/json")
        response["Content-Disposition"] = f'attachment; filename="{found.sha256}.json"'
        return response


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    list_display = ["keyid", "first_used_at"]
    search_fields = ["keyid"]
