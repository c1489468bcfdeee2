"""Who changed which field of a descriptive row, when and why: the rows that django-simple-history keeps.

It writes a row whenever `save()` is called; an update of a queryset passes it by.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models


@dataclass(frozen=True)
class FieldChange:
    """One field before and after; both are shown as they are kept."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class HistoryEntry:
    """One save: the first one has no changes. No `by` means that no person's hand was in it."""

    at: datetime
    by: Any
    reason: str
    changes: tuple[FieldChange, ...]


def sign(row: models.Model, *, by: Any, reason: str) -> None:
    """Say who the next save of a row is by, and why; without it the person of the web request is noted."""
    row._history_user = by  # type: ignore[attr-defined]  # noqa: SLF001  the names that django-simple-history reads
    row._change_reason = reason  # type: ignore[attr-defined]  # noqa: SLF001


def history_of(row: Any) -> Iterator[HistoryEntry]:
    """Give the saves of a row, the newest first."""
    kept = list(row.history.select_related("history_user").order_by("-history_date", "-history_id"))
    for one, before in zip(kept, [*kept[1:], None], strict=True):
        changes = changes_between(one, before) if before is not None else ()
        yield HistoryEntry(one.history_date, one.history_user, one.history_change_reason or "", changes)


def changes_between(one: Any, before: Any) -> tuple[FieldChange, ...]:
    delta = one.diff_against(before, foreign_keys_are_objs=True)
    titles = {field.name: str(field.verbose_name) for field in one.tracked_fields}
    return tuple(FieldChange(titles[change.field], change.old, change.new) for change in delta.changes)
