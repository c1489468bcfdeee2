"""Edit a release before it is published; an edit in review voids the approval and returns to draft."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from catalog.models import Version
from catalog.storage.local import LocalStorage
from releases import draft
from releases.definition import Definition
from releases.errors import NotEditableError
from releases.models import Release
from releases.people import require_permission
from releases.states import EDITABLE, Move


def edit_release(
    release: Release,
    definition: Definition,
    *,
    by: Any,
    channel: str,
    offered: Mapping[str, Path],
    storage: LocalStorage,
    now: datetime,
) -> None:
    """Replace a release's definition. Builds of before stay as history; the next one starts a new round.

    Raises NotAllowedError; NotEditableError (building, publishing or published, or another identifier or
    number); and what drafting raises. A refusal changes nothing.
    """
    require_permission(by, "draft")
    refuse_other_version(release, definition)
    refuse_state(release)
    footprint = draft.check_recipe(definition)
    draft.check_sources(definition, offered, storage)
    draft.keep_sources(definition, offered, storage)
    with transaction.atomic():
        return_to_draft(release, by=by, channel=channel, now=now, **draft.release_columns(definition))
        replace_parts(release, definition, footprint, now=now)


def refuse_other_version(release: Release, definition: Definition) -> None:
    if draft.named(definition) != str(release.version):
        raise NotEditableError(
            f"{release}: the new release.toml is about {draft.named(definition)}. "
            "An identifier or a number is never changed; draft that version instead."
        )


def refuse_state(release: Release) -> None:
    if release.state not in EDITABLE:
        raise NotEditableError(
            f"{release}: it is {release.get_state_display().lower()} and can no longer be edited. "
            "Wait until the build has ended, or correct it in a new version."
        )


def return_to_draft(release: Release, *, by: Any, channel: str, now: datetime, **columns: object) -> None:
    """Void approvals and go back to draft; raises NotEditableError if someone moved the release meanwhile."""
    release.approvals.filter(voided_at__isnull=True).update(voided_at=now)
    facts = {"submitter": None, "reviewed_digest": "", "approved_at": None, **columns}
    if release.state == Release.State.DRAFT:
        moved = Release.objects.filter(pk=release.pk, state=Release.State.DRAFT).update(**facts) == 1
    else:
        move = Move(release.state, "draft", by, now, channel, "Edited; any approval of before is void.")
        moved = Release.objects.move(release.pk, move, **facts)
    if not moved:
        raise NotEditableError(f"{release}: somebody moved it just now. Load the page again and look.")
    release.refresh_from_db()


def replace_parts(release: Release, definition: Definition, footprint: bytes, *, now: datetime) -> None:
    release.recipe.delete()
    release.outputs.all().delete()
    release.sources.all().delete()
    version = release.version
    version.items.all().delete()
    Version.objects.filter(pk=version.pk).update(notes_en=definition.notes.en, notes_fr=definition.notes.fr)
    if not Version.objects.public().filter(dataset=version.dataset).exists():
        draft.describe(version.dataset, definition.dataset)
    draft.write_parts(release, definition, footprint, now=now)
