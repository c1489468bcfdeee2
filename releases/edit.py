"""Edit a release before it is published; an edit in review voids the approval and returns to draft."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from catalog import naming
from catalog.models import Version
from catalog.storage.base import Storage
from releases import draft
from releases.drafts.definition import Definition
from releases.errors import NotEditableError
from releases.models import Release
from releases.people import require_permission
from releases.states import EDITABLE, Move

EDITED, EDITED_IN_REVIEW = "Edited.", "Edited; any approval of before is void."
OUR_REASONS = {EDITED, EDITED_IN_REVIEW}


def edit_release(
    release: Release,
    definition: Definition,
    *,
    by: Any,
    channel: str,
    offered: Mapping[str, Path],
    storage: Storage,
    now: datetime,
) -> None:
    """Replace a release's definition. Builds of before stay as history; the next one starts a new round.

    Raises NotAllowedError; NotEditableError (building, publishing or published, or another identifier or
    number); and what drafting raises. A refusal changes nothing.
    """
    footprint = check_edit(release, definition, by=by, offered=offered, storage=storage)
    draft.keep_sources(definition, offered, storage)
    with transaction.atomic():
        return_to_draft(release, by=by, channel=channel, now=now, **draft.release_columns(definition))
        replace_parts(release, definition, footprint, by=by, now=now)


def check_edit(
    release: Release, definition: Definition, *, by: Any, offered: Mapping[str, Path], storage: Storage
) -> bytes:
    """Refuse what `edit_release` would refuse and write nothing; gives the footprint as WKB."""
    require_permission(by, "draft")
    draft.refuse_alias(naming.compose(definition.dataset.identifier))
    refuse_other_version(release, definition)
    refuse_state(release)
    draft.refuse_provider(definition)
    footprint = draft.check_recipe(definition)
    draft.check_sources(definition, offered, storage)
    return footprint


def refuse_other_version(release: Release, definition: Definition) -> None:
    if draft.named(definition) != str(release.version):
        raise NotEditableError(
            _(
                "%(release)s: the new release.toml is about %(version)s. "
                "An identifier or a number is never changed; draft that version instead."
            )
            % {"release": release, "version": draft.named(definition)}
        )


def refuse_state(release: Release) -> None:
    if release.state not in EDITABLE:
        raise NotEditableError(
            _(
                "%(release)s: it is %(state)s and can no longer be edited. "
                "Wait until the build has ended, or correct it in a new version."
            )
            % {"release": release, "state": release.get_state_display().lower()}
        )


def return_to_draft(release: Release, *, by: Any, channel: str, now: datetime, **columns: object) -> None:
    """Void approvals, go back to draft and note the edit; raises NotEditableError if someone moved it meanwhile."""
    release.approvals.filter(voided_at__isnull=True).update(voided_at=now)
    facts = {"submitter": None, "reviewed_digest": "", "approved_at": None, **columns}
    moved = True
    if release.state != Release.State.DRAFT:
        back = Move(release.state, "draft", by, now, channel, EDITED_IN_REVIEW)
        moved = Release.objects.move(release.pk, back, **facts)
    edited = Move("draft", "draft", by, now, channel, EDITED)
    if not moved or not Release.objects.move(release.pk, edited, **facts):
        raise NotEditableError(
            _("%(release)s: somebody moved it just now. Load the page again and look.") % {"release": release}
        )
    release.refresh_from_db()


def replace_parts(release: Release, definition: Definition, footprint: bytes, *, by: Any, now: datetime) -> None:
    keys = draft.storage_keys(definition)
    release.recipe.delete()
    release.outputs.all().delete()
    release.sources.all().delete()
    release.findings.all().delete()
    version = release.version
    version.items.all().delete()
    Version.objects.filter(pk=version.pk).update(notes_en=definition.notes.en, notes_fr=definition.notes.fr)
    if not Version.objects.public().filter(dataset=version.dataset).exists():
        draft.describe(version.dataset, definition.dataset, by=by, reason=f"Edited {version.shown}")
    draft.write_parts(release, definition, footprint, keys=keys, now=now)
