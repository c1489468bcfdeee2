"""The page of mirrors: one verdict, four numbers, each mirror with its last 30 days, and what happened."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.amounts import NBSP
from mirrors.figures import Figures, figures, unreachable_files
from mirrors.models import Mirror, MirrorDay
from mirrors.read import incident_lines, incidents

PAGE_SIZE = 20
SLOW_MS = 2000
BAR = 4


@dataclass(frozen=True)
class Bar:
    """One day in the picture: where it begins, and the tone and height of its class (`core` in dfc.css)."""

    x: int
    tone: str


@dataclass(frozen=True)
class Line:
    """One mirror as the page shows it: its state as kind and words, and its days as bars and words."""

    figures: Figures
    kind: str
    words: str | Promise
    bars: tuple[Bar, ...]
    days_words: str
    answered_share: str


@dataclass(frozen=True)
class Verdict:
    """What is true of all mirrors together; a mirror that was never asked does not count as answering."""

    mirrors: int
    asked: int
    answering: int
    unreachable: int
    open_incidents: int
    copies: int
    within_policy: int
    operators: tuple[str, ...]
    countries: tuple[str, ...]
    oldest: Figures | None

    @property
    def is_all_answering(self) -> bool:
        return self.answering == self.mirrors


def mirrors(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    found = figures(now=now)
    page = Paginator(incidents(), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "section": "mirrors",
        "verdict": verdict_of(found, now=now),
        "lines": [line_of(one) for one in found],
        "page": page,
        "incidents": incident_lines(page.object_list),
        "policy_days": settings.DFC_RECHECK_DAYS,
        "probe_minutes": max(1, round(settings.DFC_PROBE_EVERY_S / 60)),
    }
    return render(request, "pages/mirrors.html", context)


def verdict_of(found: list[Figures], *, now: datetime) -> Verdict:
    proved = [one for one in found if one.oldest_proof_at is not None]
    return Verdict(
        mirrors=len(found),
        asked=sum(one.probe is not None for one in found),
        answering=sum(one.probe is not None and one.mirror.state == Mirror.State.ANSWERS for one in found),
        unreachable=unreachable_files(now=now),
        open_incidents=incidents().filter(ended_at=None).count(),
        copies=sum(one.copies for one in found),
        within_policy=sum(one.within_policy for one in found),
        operators=tuple(sorted({one.mirror.operator for one in found})),
        countries=tuple(sorted({one.mirror.jurisdiction for one in found})),
        oldest=min(proved, key=lambda one: one.oldest_proof_at or now, default=None),
    )


def line_of(one: Figures) -> Line:
    kind, words = state_of(one)
    days = [day for day in one.days if day is not None]
    probes, passed = sum(day.probes for day in days), sum(day.passed for day in days)
    return Line(
        figures=one,
        kind=kind,
        words=words,
        bars=tuple(Bar(place * BAR, tone_of(day)) for place, day in enumerate(one.days) if day is not None),
        days_words=days_in_words(one.days),
        answered_share=percent(passed, probes) if probes else "",
    )


def state_of(one: Figures) -> tuple[str, str | Promise]:
    """Give the kind and the words of a mirror's state; what needs a person comes before what passes by itself."""
    if one.mirror.state == Mirror.State.PAUSED:
        return "idle", one.mirror.get_state_display()
    if one.mirror.state == Mirror.State.SILENT:
        return "bad", one.mirror.get_state_display()
    if one.bad:
        return "warn", ngettext("%(count)s bad copy", "%(count)s bad copies", one.bad) % {"count": one.bad}
    if one.waiting:
        return "run", _("Filling")
    if one.probe is None:
        return "idle", _("Not asked yet")
    return ("warn", _("Slow")) if (one.latency_ms or 0) >= SLOW_MS else ("ok", one.mirror.get_state_display())


def tone_of(day: MirrorDay) -> str:
    """Give the class of a day's bar: high and cool where all was answered, short and warm where not."""
    if day.passed == day.probes:
        return "c5"
    return "c1" if day.passed else "c0"


def days_in_words(days: tuple[MirrorDay | None, ...]) -> str:
    known = [day for day in days if day is not None]
    return _(
        "%(days)s days: every probe answered on %(good)s, some on %(some)s, none on %(none)s, unasked on %(no)s"
    ) % {
        "days": len(days),
        "good": sum(day.passed == day.probes for day in known),
        "some": sum(0 < day.passed < day.probes for day in known),
        "none": sum(day.passed == 0 for day in known),
        "no": len(days) - len(known),
    }


def percent(part: int, whole: int) -> str:
    """Write a share with one digit, rounded down, so that 100 % means all; `99.7%`, in French `99,7 %`."""
    text = number_format(part * 1000 // whole / 10, 0 if part == whole else 1)
    return f"{text}{NBSP}%" if get_language() == "fr" else f"{text}%"
