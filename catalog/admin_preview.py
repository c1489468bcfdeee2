"""The page between an action of an admin list and its effect: what it would do to each row, and one button."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise

MOST = 200
Words = str | Promise


@dataclass(frozen=True)
class Preview:
    """What an action would do. `rows` have a cell for each of `head`; the first names the row.

    `figure` sums it up (for example the bytes that would be read); `asks_reason` adds a field for a remark.
    """

    action: str
    title: Words
    button: Words
    head: Sequence[Words]
    rows: Sequence[Sequence[Any]]
    empty: Words
    figure: str = ""
    asks_reason: bool = False


def is_sure(request: HttpRequest) -> bool:
    """Whether this is the answer to a preview, and no longer the choice in the list."""
    return "sure" in request.POST


def show(
    request: HttpRequest, rows_admin: "ModelAdmin[Any]", chosen: "QuerySet[Any]", preview: Preview
) -> HttpResponse:
    """Show what would be done, of many rows the first; the form brings the same choice back, with `sure`."""
    across = request.POST.get("select_across", "0")
    context = {
        **rows_admin.admin_site.each_context(request),
        "opts": rows_admin.opts,
        "title": preview.title,
        "preview": preview,
        "columns": [(title, False) for title in preview.head],
        "rows": [list(zip(preview.head, row, strict=True)) for row in preview.rows[:MOST]],
        "more": max(0, len(preview.rows) - MOST),
        "choice": ACTION_CHECKBOX_NAME,
        "chosen": list(chosen.values_list("pk", flat=True)[: 1 if across == "1" else None]),
        "across": across,
    }
    return render(request, "admin/preview.html", context)
