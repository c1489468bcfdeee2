"""Template tags for what stands on many pages: icons, badges, state words, heads of tables.

A state word has the same kind (ok, warn, bad, run, idle) wherever it is shown, and a kind has one icon.
"""

from typing import Any

from django import template
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from catalog import citation

register = template.Library()

Words = str | Promise
ICONS = {"ok": "circle-check", "warn": "clock", "bad": "octagon-x", "run": "loader", "idle": "circle-dashed"}
KINDS = {
    "ok": (
        "content",
        "done",
        "first",
        "good",
        "identical",
        "public",
        "published",
        "recognised",
        "succeeded",
        "taken",
        "verified",
    ),
    "warn": ("cancelled", "deprecated", "in_review", "proposed", "skipped", "stopped", "weak"),
    "bad": ("bad", "damaged", "different", "failed", "missing", "revoked", "withdrawn"),
    "run": ("awaiting", "building", "open", "publishing", "running"),
}
# The states of a stage are computed, so no field of a row has words for them.
COMPUTED: dict[str, Words] = {
    "waiting": _("Waits"),
    "running": _("Running"),
    "done": _("Done"),
    "failed": _("Failed, needs a person"),
    "stopped": _("Stopped"),
}


@register.inclusion_tag("parts/icon.html")
def icon(name: str) -> dict[str, str]:
    """One icon of icons.svg; words beside it have to say the same."""
    return {"name": name}


@register.inclusion_tag("parts/badge.html")
def badge(kind: str, words: Words, name: str = "") -> dict[str, Words]:
    """Words as a badge with the icon of their kind, or the icon `name`."""
    return {"kind": kind, "words": words, "name": name or ICONS[kind]}


@register.inclusion_tag("parts/badge.html")
def state(row: Any, field: str = "state") -> dict[str, Words]:
    """The state of a row, or its other `field` of choices, as a badge."""
    return badge(kind_of(getattr(row, field)), words_of(row, field))


@register.inclusion_tag("parts/state_word.html")
def state_word(row: Any) -> dict[str, Words]:
    """The state of a row as icon and word without a ground, for tables where every cell has one."""
    return badge(kind_of(row.state), words_of(row, "state"))


@register.filter
def is_test_doi(doi: str | None) -> bool:
    return citation.is_test_doi(doi or "")


def kind_of(word: str) -> str:
    return next((kind for kind, words in KINDS.items() if word in words), "idle")


def words_of(row: Any, field: str) -> Words:
    display = getattr(row, f"get_{field}_display", None)
    return display() if display else COMPUTED[getattr(row, field)]


@register.inclusion_tag("parts/table_head.html")
def table_head(*titles: Words, numbers: Words = "") -> dict[str, Any]:
    """The row of column titles; `numbers` repeats the title of the column whose cells are numbers."""
    return {"columns": [(title, title == numbers) for title in titles]}
