"""Propose a second thought about what is public; another person takes or refuses it (releases/second.py).

Each function writes one Decision and gives it. Where DFC_APPROVERS=0 asks for no second person it is taken at once.
Each raises NotAllowedError; ReasonError; NotProposableError (it does not fit, or the same is proposed already).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from catalog import naming
from catalog.models import Dataset, Version
from releases.drafts.texts import clean_texts, texts_of
from releases.errors import NotProposableError
from releases.models import Decision, MetadataRevision
from releases.people import require_permission
from releases.reasons import clean_reasons
from releases.rename import check_name
from releases.take import refuse_replacement, refuse_state, take_decision


def propose_deprecation(
    version: Version,
    *,
    by: Any,
    channel: str,
    reason_en: str,
    reason_fr: str,
    now: datetime,
    replacement: Version | None = None,
) -> Decision:
    """Propose that a version stays public with a warning: another one is better. `latest` will pass it over."""
    kind = Decision.Kind.DEPRECATE
    return propose_for(version, kind, replacement, by=by, channel=channel, reasons=(reason_en, reason_fr), now=now)


def propose_withdrawal(
    version: Version,
    *,
    by: Any,
    channel: str,
    reason_en: str,
    reason_fr: str,
    now: datetime,
    replacement: Version | None = None,
) -> Decision:
    """Propose that a version leaves every list, and that a page with its digests is all that remains."""
    kind = Decision.Kind.WITHDRAW
    return propose_for(version, kind, replacement, by=by, channel=channel, reasons=(reason_en, reason_fr), now=now)


def propose_rename(
    dataset: Dataset, new_identifier: str, *, by: Any, channel: str, reason_en: str, reason_fr: str, now: datetime
) -> Decision:
    """Propose another identifier for a dataset; raises also what `check_name` raises."""
    require_permission(by, "propose", "decision")
    english, french = clean_reasons(reason_en, reason_fr)
    name = naming.compose(check_name(dataset, new_identifier.strip()))
    return write(
        Decision(
            kind=Decision.Kind.RENAME,
            dataset=dataset,
            new_identifier=name,
            reason_en=english,
            reason_fr=french,
            proposer=by,
            proposed_at=now,
            channel=channel,
        )
    )


def propose_revision(
    dataset: Dataset,
    texts: Mapping[str, str],
    *,
    by: Any,
    channel: str,
    reason_en: str,
    reason_fr: str,
    now: datetime,
) -> Decision:
    """Propose other texts for a public dataset; columns that `texts` leaves out stay. Raises also DefinitionError."""
    require_permission(by, "propose", "decision")
    english, french = clean_reasons(reason_en, reason_fr)
    present = texts_of(dataset)
    proposed = clean_texts(present | dict(texts))
    refuse_unchanged(dataset, present, proposed)
    newest = MetadataRevision.objects.newest_of(dataset)
    decision = Decision(
        kind=Decision.Kind.REVISE,
        dataset=dataset,
        reason_en=english,
        reason_fr=french,
        proposer=by,
        proposed_at=now,
        channel=channel,
    )
    replaces = newest.number or 0 if newest else 0
    return write(decision, MetadataRevision(dataset=dataset, replaces=replaces, **proposed))


def refuse_unchanged(dataset: Dataset, present: Mapping[str, str], proposed: Mapping[str, str]) -> None:
    if not Version.objects.public().filter(dataset=dataset).exists():
        raise NotProposableError(
            _("%(dataset)s: it was never public. Edit its draft instead.") % {"dataset": dataset}
        )
    if present == proposed:
        raise NotProposableError(_("%(dataset)s: no text is different. Change one first.") % {"dataset": dataset})


def propose_for(
    version: Version,
    kind: str,
    replacement: Version | None,
    *,
    by: Any,
    channel: str,
    reasons: tuple[str, str],
    now: datetime,
) -> Decision:
    require_permission(by, "propose", "decision")
    english, french = clean_reasons(*reasons)
    refuse_state(version, kind)
    refuse_replacement(version, replacement)
    return write(
        Decision(
            kind=kind,
            dataset=version.dataset,
            version=version,
            replacement=replacement,
            reason_en=english,
            reason_fr=french,
            proposer=by,
            proposed_at=now,
            channel=channel,
        )
    )


def write(decision: Decision, revision: MetadataRevision | None = None) -> Decision:
    """Keep a proposal, and take it at once where no second person is asked for."""
    try:
        with transaction.atomic():
            decision.save(force_insert=True)
            if revision is not None:
                revision.decision = decision
                revision.save(force_insert=True)
            if settings.DFC_APPROVERS == 0:
                take_decision(decision, seconder=None, channel=decision.channel, now=decision.proposed_at)
    except IntegrityError as error:
        raise NotProposableError(
            _("%(decision)s: this is proposed already. Look at that proposal.") % {"decision": decision}
        ) from error
    return decision
