"""Who changed which field of a descriptive row, when and why: the rows that django-simple-history keeps.

It writes a row whenever `save()` is called; an update of a queryset passes it by.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
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
    """One save or removal: `kind` is `+`, `~` or `-`, `about` names a part of the row, empty for the row itself.

    Only a save that changed something has changes. No `by` means that no person's hand was in it.
    """

    at: datetime
    by: Any
    kind: str
    about: str
    reason: str
    changes: tuple[FieldChange, ...]


def sign(row: models.Model, *, by: Any, reason: str) -> None:
    """Say who the next save of a row is by, and why; without it the person of the web request is noted."""
    row._history_user = by  # type: ignore[attr-defined]  # noqa: SLF001  the names that django-simple-history reads
    row._change_reason = reason  # type: ignore[attr-defined]  # noqa: SLF001


def history_of(row: Any, parts: Iterable[Any] = ()) -> list[HistoryEntry]:
    """Give what happened to a row and to its parts, the newest first; `parts` are historical rows of one model."""
    found = list(entries_of(row.history.select_related("history_user")))
    for _part, kept in groupby(sorted(parts, key=lambda one: one.id), key=lambda one: one.id):
        found += entries_of(kept, is_part=True)
    return sorted(found, key=lambda entry: entry.at, reverse=True)


def entries_of(kept: Iterable[Any], *, is_part: bool = False) -> Iterator[HistoryEntry]:
    """Give the entries of one row from its historical rows, the newest first."""
    newest_first = sorted(kept, key=lambda one: (one.history_date, one.history_id), reverse=True)
    for one, before in zip(newest_first, [*newest_first[1:], None], strict=True):
        about = str(one.history_object) if is_part else ""
        changes = changes_between(one, before) if before is not None and one.history_type == "~" else ()
        reason = one.history_change_reason or ""
        yield HistoryEntry(one.history_date, one.history_user, one.history_type, about, reason, changes)


def changes_between(one: Any, before: Any) -> tuple[FieldChange, ...]:
    delta = one.diff_against(before, foreign_keys_are_objs=True)
    titles = {field.name: str(field.verbose_name) for field in one.tracked_fields}
    return tuple(FieldChange(titles[change.field], change.old, change.new) for change in delta.changes)
