"""Revisions of a dataset's texts: numbering what becomes public, and saying what two of them have different."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalog.models import Dataset
from releases.drafts.definition import read_definition
from releases.drafts.texts import FIELDS, LANGUAGES, entry_texts, texts_of, write_texts
from releases.errors import NotDecidableError
from releases.models import Decision, MetadataRevision, Release

TITLES: dict[str, str | Promise] = {
    "title": gettext_lazy("Title"),
    "description": gettext_lazy("Description"),
    "attribution": gettext_lazy("Attribution"),
    "keywords": gettext_lazy("Keywords"),
}


@dataclass(frozen=True)
class TextChange:
    """One text in one language, before and after; they may be equal where the other language differs."""

    language: str
    before: str
    after: str


def text_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str | Promise, list[TextChange]]]:
    """Give the title of each field that differs in a language, with its texts in English and in French."""
    found = []
    for field in FIELDS:
        names = [(language, f"{field}_{language}") for language in LANGUAGES]
        if any(before[name] != after[name] for _language, name in names):
            found.append(
                (TITLES[field], [TextChange(language, before[name], after[name]) for language, name in names])
            )
    return found


def number_texts(dataset: Dataset, release: Release, *, now: datetime) -> None:
    """Number the texts that a release makes public, unless the public reads the same already."""
    newest = MetadataRevision.objects.newest_of(dataset)
    if newest is None or texts_of(newest) != texts_of(dataset):
        MetadataRevision.objects.create(
            dataset=dataset, number=number_after(newest), release=release, public_at=now, **texts_of(dataset)
        )


def number_after(newest: MetadataRevision | None) -> int:
    return (newest.number or 0) + 1 if newest is not None else 1


def revise_texts(decision: Decision, *, by: Any, now: datetime) -> None:
    """Make a proposed revision public under the next number, in the caller's transaction.

    Raises NotDecidableError when the texts were revised since it was written.
    """
    dataset = Dataset.objects.select_for_update().get(pk=decision.dataset_id)
    revision = MetadataRevision.objects.get(decision=decision)
    newest = MetadataRevision.objects.newest_of(dataset)
    number = number_after(newest)
    if revision.replaces != number - 1:
        raise NotDecidableError(
            _("%(dataset)s: its texts were revised since this was written. Refuse it and propose it on the new ones.")
            % {"dataset": dataset}
        )
    write_texts(dataset, texts_of(revision), by=by, reason=f"Revision {number} of the texts, decision {decision.pk}")
    MetadataRevision.objects.filter(pk=revision.pk).update(number=number, public_at=now)


def brought_back(release: Release) -> list[str]:
    """Name the texts that publishing a release would take back to before a revision; empty if there are none."""
    newest = MetadataRevision.objects.newest_of(release.version.dataset)
    if newest is None or newest.decision_id is None or release.state == Release.State.PUBLISHED:
        return []
    own = entry_texts(read_definition(release.definition).dataset)
    return [str(title) for title, _changes in text_changes(texts_of(newest), own)]
