"""Mirrors in the admin: the registry and policies are edited, evidence is read."""

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.db.models import Count, Q
from django.forms import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.admin import FieldHistoryAdmin, ReadOnlyAdmin
from catalog.admin_preview import Preview, Words, is_sure, show
from catalog.errors import StewardshipError
from catalog.templatetags.amounts import instant, plain_size, size
from mirrors import admin_policies  # noqa: F401  registers policies
from mirrors.admin_findings import adopt_there, desk_of, examine_there
from mirrors.checks.recheck import request_recheck
from mirrors.models import (
    Check,
    Deposit,
    Doi,
    Incident,
    Mirror,
    MirrorProbe,
    MirrorQuerySet,
    MirrorTransition,
    Policy,
    Replica,
    ReplicaQuerySet,
)
from mirrors.registry.add_mirror import findings_of
from mirrors.registry.end_service import announce_end, recall_end
from mirrors.registry.examinations import place_of, start_examination
from mirrors.registry.mirror_entry import MirrorEntry
from mirrors.registry.pause import pause_mirror, resume_mirror
from releases.catalogue import request_edition

USUAL = {"addressing", "upload_checksum", "part_mib", "settle_s"}  # what has a value where nothing is said
OFFERING = {"is_enabled", "public_url"}


class MirrorForm(forms.ModelForm):
    """A mirror as `manage.py mirror add` takes it: the same findings, each at its field."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in USUAL & set(self.fields):
            self.fields[name].required = False

    def clean(self) -> dict[str, Any]:
        super().clean()
        if self.instance.pk and "is_enabled" in self.changed_data and not self.cleaned_data["is_enabled"]:
            self.add_error(
                "is_enabled",
                _("Its operator is told first. Use the action “Announce the end of service…” in the list."),
            )
        unsaid = {name for name in USUAL & set(self.fields) if self.cleaned_data.get(name) in {None, ""}}
        self.cleaned_data |= {name: getattr(self.instance, name) for name in unsaid - set(self.errors)}
        said = {**model_to_dict(self.instance), **self.cleaned_data}
        if not self.errors:
            entry = MirrorEntry(**{one.name: said[one.name] for one in fields(MirrorEntry) if one.name in said})
            for field, finding in findings_of(entry, besides=self.instance):
                self.add_error(field if field in self.fields else None, finding)
        return self.cleaned_data


@admin.register(Mirror)
class MirrorAdmin(FieldHistoryAdmin):
    form = MirrorForm
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}
    list_display = ["name", "slug", "kind", "operator", "jurisdiction", "tier", "state", "is_enabled"]
    list_filter = ["state", "kind", "tier", "jurisdiction", "is_enabled"]
    search_fields = ["name", "slug", "operator"]
    exclude = ["added_at"]
    change_form_template = "admin/mirrors/mirror_form.html"
    actions = ["pause", "resume", "end", "recall", adopt_there, examine_there]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002
        return ["slug", "kind", "state"] if obj else ["state"]

    def history_parts(self, row: Mirror) -> Iterable[Any]:
        kept: Iterable[Any] = Policy.history.filter(mirror_id=row.pk).select_related("history_user")
        return kept

    def save_model(self, request: HttpRequest, obj: Mirror, form: Any, change: Any) -> None:
        """Keep the row; the catalogue is told when other copies are offered now, or under other addresses.

        A mirror that is new, or at another place, is examined.
        """
        obj.added_at = obj.added_at or timezone.now()
        obj.public_url = obj.public_url.rstrip("/")
        before = Mirror.objects.filter(pk=obj.pk).first()
        super().save_model(request, obj, form, change)
        if OFFERING & set(form.changed_data):
            request_edition(f"{obj.slug}: changed in the registry", now=timezone.now())
        if before is None or place_of(before) != place_of(obj):
            start_examination(obj, now=timezone.now())

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **words: Any) -> HttpResponse:
        mirror = words.get("obj")
        context |= {
            "desk": desk_of(mirror) if mirror else None,
            "may_adopt": self.has_adopt_permission(request),
            "may_examine": self.has_examine_permission(request),
        }
        return super().render_change_form(request, context, *args, **words)

    def has_adopt_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mirrors.adopt_mirror")

    def has_examine_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mirrors.examine_mirror")

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mirrors.pause_mirror")

    @admin.action(description=_("Pause at the operator's wish…"), permissions=["pause"])
    def pause(self, request: HttpRequest, queryset: MirrorQuerySet) -> HttpResponse | None:
        return self.after_preview(request, queryset, pause_mirror, ("pause", _("Pause mirrors"), _("Pause")))

    @admin.action(description=_("Bring back from a pause…"), permissions=["pause"])
    def resume(self, request: HttpRequest, queryset: MirrorQuerySet) -> HttpResponse | None:
        return self.after_preview(
            request, queryset, resume_mirror, ("resume", _("Bring mirrors back"), _("Bring back"))
        )

    @admin.action(description=_("Announce the end of service…"), permissions=["change"])
    def end(self, request: HttpRequest, queryset: MirrorQuerySet) -> HttpResponse | None:
        return self.after_preview(
            request, queryset, announce_end, ("end", _("Announce the end"), _("Tell operators"))
        )

    @admin.action(description=_("Recall the end of service…"), permissions=["change"])
    def recall(self, request: HttpRequest, queryset: MirrorQuerySet) -> HttpResponse | None:
        return self.after_preview(request, queryset, recall_end, ("recall", _("Let mirrors serve on"), _("Recall")))

    def after_preview(
        self,
        request: HttpRequest,
        queryset: MirrorQuerySet,
        act: Callable[..., None],
        words: tuple[str, Words, Words],
    ) -> HttpResponse | None:
        """Show whose copies would no longer be offered, or again; the second POST does it, with each refusal."""
        if is_sure(request):
            for mirror in queryset:
                self.tried(request, mirror, act)
            return None
        counted: Any = queryset.annotate(verified=Count("replicas", filter=Q(replicas__state=Replica.State.VERIFIED)))
        preview = Preview(
            *words,
            head=(_("Mirror"), _("State"), _("Verified copies")),
            rows=[(one.name, one.get_state_display(), one.verified) for one in counted],
            empty=_("No mirror was chosen."),
            asks_reason=True,
        )
        return show(request, self, queryset, preview)

    def tried(self, request: HttpRequest, mirror: Mirror, act: Callable[..., None]) -> None:
        reason = " ".join(request.POST.get("reason", "").split())
        try:
            act(mirror, by=request.user, reason=reason, now=timezone.now())
        except StewardshipError as error:
            self.message_user(request, str(error), messages.ERROR)


@admin.register(MirrorTransition)
class MirrorTransitionAdmin(ReadOnlyAdmin):
    list_display = ["at", "mirror", "source", "to", "why", "by"]
    list_filter = ["to", "mirror"]
    list_select_related = ["mirror", "by"]
    date_hierarchy = "at"


@admin.register(MirrorProbe)
class MirrorProbeAdmin(ReadOnlyAdmin):
    list_display = ["at", "mirror", "result", "latency_ms", "finding"]
    list_filter = ["result", "mirror"]
    list_select_related = ["mirror"]
    date_hierarchy = "at"


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    list_display = ["found_at", "mirror", "kind", "replica", "ended_at", "told_at"]
    list_filter = [("ended_at", admin.EmptyFieldListFilter), "kind", "mirror"]
    list_select_related = ["mirror", "replica__asset", "replica__mirror"]
    search_fields = ["replica__asset__path", "replica__asset__sha256"]
    date_hierarchy = "found_at"


@admin.register(Deposit)
class DepositAdmin(ReadOnlyAdmin):
    list_display = ["version", "mirror", "state", "created_at"]
    list_filter = ["state", "mirror"]
    list_select_related = ["version__dataset", "mirror"]
    search_fields = ["version__dataset__identifier"]


@admin.register(Doi)
class DoiAdmin(ReadOnlyAdmin):
    list_display = ["name", "state", "provider", "version", "dataset"]
    list_filter = ["state", "provider"]
    list_select_related = ["dataset", "version__dataset"]
    search_fields = ["name", "dataset__identifier"]
    date_hierarchy = "registered_at"


@admin.register(Replica)
class ReplicaAdmin(ReadOnlyAdmin):
    list_display = ["asset", "mirror", "state", "verified_at"]
    list_filter = ["state", "mirror"]
    list_select_related = ["asset", "mirror"]
    search_fields = ["asset__path", "asset__sha256"]
    date_hierarchy = "verified_at"
    actions = ["reverify"]

    def has_verify_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mirrors.verify_replica")

    @admin.action(description=_("Queue for re-verification…"), permissions=["verify"])
    def reverify(self, request: HttpRequest, queryset: ReplicaQuerySet) -> HttpResponse | None:
        """Show how much would be read; the second POST queues it and reports each refusal."""
        chosen = queryset.select_related("asset", "mirror")
        if not is_sure(request):
            return show(request, self, queryset, preview_of(chosen))
        queued = 0
        for replica in chosen:
            try:
                request_recheck(replica, by=request.user, now=timezone.now())
                queued += 1
            except StewardshipError as error:
                self.message_user(request, str(error), messages.ERROR)
        if queued:
            self.message_user(request, _("Queued: %(count)s") % {"count": queued}, messages.SUCCESS)
        return None


def preview_of(chosen: ReplicaQuerySet) -> Preview:
    whole_bytes = sum(replica.asset.size_bytes for replica in chosen)
    return Preview(
        action="reverify",
        title=_("Read copies again"),
        button=_("Queue for re-verification"),
        head=(_("Copy"), _("State"), _("Size"), _("Verified")),
        rows=[
            (
                str(one),
                one.get_state_display(),
                size(one.asset.size_bytes),
                instant(one.verified_at) if one.verified_at else "–",
            )
            for one in chosen
        ],
        empty=_("No copy was chosen."),
        figure=_("%(size)s would be read, each copy whole.") % {"size": plain_size(whole_bytes)},
    )


@admin.register(Check)
class CheckAdmin(ReadOnlyAdmin):
    list_display = ["at", "replica", "level", "method", "result"]
    list_filter = ["result", "level", "replica__mirror"]
    list_select_related = ["replica__asset", "replica__mirror"]
    search_fields = ["replica__asset__path", "checksum_seen"]
    date_hierarchy = "at"
