"""What was found at mirrors, in the admin: asked for after a page that says what would be done, then read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from catalog.admin import ReadOnlyAdmin
from catalog.admin_preview import Preview, is_sure, show
from catalog.errors import StewardshipError
from catalog.models import Asset
from catalog.templatetags.amounts import instant, number, plain_size
from mirrors.deposits.adopt import versions_of
from mirrors.deposits.adopt_all import request_adoption
from mirrors.models import (
    Adoption,
    AdoptionFinding,
    Examination,
    ExaminationFinding,
    Mirror,
    MirrorQuerySet,
)
from mirrors.registry.doctor import has_doctor
from mirrors.registry.examinations import request_examination
from releases.models import Job


@admin.action(description=_("Adopt what is there…"), permissions=["adopt"])
def adopt_there(rows_admin: Any, request: HttpRequest, queryset: Any) -> HttpResponse:
    """Show how much would be looked for, and where; the second POST starts it and reports each refusal."""
    if not is_sure(request):
        return show(request, rows_admin, queryset, adoption_preview(queryset))
    words = _("%(mirror)s: what is there is being adopted. Its findings appear in the list.")
    return started(rows_admin, request, queryset, (request_adoption, words))


@admin.action(description=_("Examine…"), permissions=["examine"])
def examine_there(rows_admin: Any, request: HttpRequest, queryset: Any) -> HttpResponse:
    """Show what would be tried, and when it was last; the second POST starts it and reports each refusal."""
    if not is_sure(request):
        return show(request, rows_admin, queryset, examination_preview(queryset))
    words = _("%(mirror)s: it is being examined. What is found appears on its page.")
    return started(rows_admin, request, queryset, (request_examination, words))


def started(
    rows_admin: Any, request: HttpRequest, chosen: MirrorQuerySet, act: tuple[Callable[..., Any], Promise]
) -> HttpResponse:
    """Carry an act out for each mirror; gives the page of the mirror, or the list where more were chosen."""
    carry_out, words = act
    mirrors = list(chosen)
    for mirror in mirrors:
        try:
            carry_out(mirror, by=request.user, now=timezone.now())
        except StewardshipError as error:
            rows_admin.message_user(request, str(error), messages.ERROR)
        else:
            rows_admin.message_user(request, words % {"mirror": mirror}, messages.SUCCESS)
    page = ("change", [mirrors[0].pk]) if len(mirrors) == 1 else ("changelist", [])
    return HttpResponseRedirect(reverse(f"admin:mirrors_mirror_{page[0]}", args=page[1]))


def adoption_preview(chosen: MirrorQuerySet) -> Preview:
    versions = versions_of()
    files = Asset.objects.filter(item__version__in=versions)
    sums = files.aggregate(files=Count("pk"), size_bytes=Sum("size_bytes", default=0))
    counted = (number(versions.count()), number(sums["files"]), plain_size(sums["size_bytes"]))
    return Preview(
        action="adopt_there",
        title=_("Adopt what is there"),
        button=_("Look and adopt"),
        head=(_("Mirror"), _("Place"), _("Public versions"), _("Files"), _("Size")),
        rows=[(one.name, place_words(one), *counted) for one in chosen],
        empty=_("No mirror was chosen."),
        figure=str(
            _(
                "Nothing was read yet. Each file there is compared by the mirror's own checksum, and read whole "
                "where it reports none; what is ours is proved by another read before anybody is sent to it. "
                "Nothing is written there."
            )
        ),
    )


def examination_preview(chosen: MirrorQuerySet) -> Preview:
    newest = {one.mirror_id: one for one in Examination.objects.newest().filter(mirror__in=chosen)}
    return Preview(
        action="examine_there",
        title=_("Examine mirrors"),
        button=_("Examine"),
        head=(_("Mirror"), _("Place"), _("Last examination")),
        rows=[(one.name, place_words(one), examination_words(newest.get(one.pk))) for one in chosen],
        empty=_("No mirror was chosen."),
        figure=str(
            _(
                "In a bucket small objects are written, read through the public address and removed again; at the "
                "Internet Archive nothing is written."
            )
        ),
    )


def place_words(mirror: Mirror) -> str:
    """Give where a mirror keeps our files: its address or directory, and the bucket and prefix it may have."""
    inside = f"{mirror.bucket}/{mirror.prefix}".strip("/") if mirror.bucket else mirror.collection
    return " · ".join(part for part in (mirror.endpoint, inside) if part)


def examination_words(found: Examination | None) -> str:
    if found is None:
        return "–"
    return format_html("{} · {}", found.get_result_display(), instant(found.examined_at))


@dataclass(frozen=True)
class Desk:
    """What the page of a mirror says of what was found there."""

    examination: Examination | None
    findings: Sequence[ExaminationFinding]
    is_examined: bool
    is_examining: bool
    adoption: Adoption | None
    adopted: Sequence[tuple[str, str, int]]
    is_adopting: bool


def desk_of(mirror: Mirror) -> Desk:
    """Read the newest examination and the newest adoption of a mirror, with the counts of its results."""
    examination = mirror.examinations.first()
    adoption = mirror.adoptions.select_related("job", "by").first()
    under_way = Job.objects.filter(subject=mirror.pk, state=Job.State.OPEN, pipeline__in=("examine", "adopt"))
    pipelines = set(under_way.values_list("pipeline", flat=True))
    return Desk(
        examination=examination,
        findings=list(examination.findings.all()) if examination else (),
        is_examined=has_doctor(mirror),
        is_examining="examine" in pipelines,
        adoption=adoption,
        adopted=list(counts(adoption)) if adoption else (),
        is_adopting="adopt" in pipelines,
    )


def counts(adoption: Adoption) -> Iterator[tuple[str, str, int]]:
    """Give each result that an adoption has, its words and how often."""
    found = dict(adoption.findings.order_by().values_list("result").annotate(Count("pk")))
    for result in AdoptionFinding.Result:
        if result in found:
            yield result.value, str(result.label), found[result]


@admin.register(Adoption)
class AdoptionAdmin(ReadOnlyAdmin):
    list_display = ["asked_at", "mirror", "versions", "by", "job"]
    list_filter = ["mirror"]
    list_select_related = ["mirror", "by", "job"]
    date_hierarchy = "asked_at"


@admin.register(AdoptionFinding)
class AdoptionFindingAdmin(ReadOnlyAdmin):
    list_display = ["found_at", "mirror", "version", "path", "result", "where"]
    list_filter = ["result", "adoption__mirror"]
    list_select_related = ["version__dataset", "adoption__mirror"]
    search_fields = ["path", "where", "version__dataset__identifier"]
    date_hierarchy = "found_at"

    @admin.display(description=_("mirror"), ordering="adoption__mirror")
    def mirror(self, finding: AdoptionFinding) -> Mirror:
        return finding.adoption.mirror


class ExaminationFindingInline(admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs only
    model = ExaminationFinding
    fields = ("what", "result", "finding")
    readonly_fields = fields
    extra = 0
    can_delete = False


@admin.register(Examination)
class ExaminationAdmin(ReadOnlyAdmin):
    list_display = ["examined_at", "mirror", "result"]
    list_filter = ["result", "mirror"]
    list_select_related = ["mirror"]
    date_hierarchy = "examined_at"
    inlines = [ExaminationFindingInline]
