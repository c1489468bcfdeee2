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

    Only a save that changed something has changes. No `by` means that no curator's hand was in it.
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
    """Give the entries of one row from its historical rows, the newest first, without saves that changed nothing."""
    newest_first = sorted(kept, key=lambda one: (one.history_date, one.history_id), reverse=True)
    for one, before in zip(newest_first, [*newest_first[1:], None], strict=True):
        about = str(one.history_object) if is_part else ""
        is_change = before is not None and one.history_type == "~"
        changes = changes_between(one, before) if is_change else ()
        if changes or not is_change:
            reason = one.history_change_reason or ""
            yield HistoryEntry(one.history_date, one.history_user, one.history_type, about, reason, changes)


def changes_between(one: Any, before: Any) -> tuple[FieldChange, ...]:
    """Give what differs; a relation to many is shown as the names of what it holds."""
    delta = one.diff_against(before, foreign_keys_are_objs=True)
    fields = [(change, one.instance_type._meta.get_field(change.field)) for change in delta.changes]  # noqa: SLF001  Django's documented way
    return tuple(
        FieldChange(str(field.verbose_name), shown(field, change.old), shown(field, change.new))
        for change, field in fields
    )


def shown(field: Any, value: Any) -> Any:
    if not field.many_to_many:
        return value
    return ", ".join(sorted(str(row[field.m2m_reverse_field_name()]) for row in value))
