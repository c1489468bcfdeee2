"""Take a decision: the answer, what it carries out, and the jobs that make it known are one transaction."""

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from catalog.models import Dataset, Version
from releases.catalogue import request_edition
from releases.descriptions import request_descriptions
from releases.errors import NotDecidableError, NotProposableError
from releases.models import Decision, Transition
from releases.rename import rename_dataset
from releases.revisions import revise_texts

SOURCES = {
    Decision.Kind.DEPRECATE: (Version.State.PUBLISHED,),
    Decision.Kind.WITHDRAW: (Version.State.PUBLISHED, Version.State.DEPRECATED),
}
RESULTS = {Decision.Kind.DEPRECATE: Version.State.DEPRECATED, Decision.Kind.WITHDRAW: Version.State.WITHDRAWN}


def take_decision(decision: Decision, *, seconder: Any, channel: str, now: datetime) -> None:
    """Answer a proposal with yes and carry it out; all or nothing. No `seconder` where no second person is asked for.

    The dataset is locked first, so that two decisions about it never wait for each other.
    Raises NotDecidableError when somebody answered it meanwhile, or what it is about has changed so that it no longer
    fits; for a rename also what `check_name` raises.
    """
    facts = {"seconder": seconder, "decided_at": now, "answer_channel": channel}
    try:
        with transaction.atomic():
            Dataset.objects.select_for_update().get(pk=decision.dataset_id)
            if not Decision.objects.move(decision.pk, to=Decision.State.TAKEN, **facts):
                raise answered(decision)
            carry_out(decision, by=seconder or decision.proposer, now=now)
            request_edition(f"{decision.subject}: {decision.kind}, decision {decision.pk}", now=now)
            request_descriptions(decision.dataset_id, cause=f"decision:{decision.pk}", now=now)
    except IntegrityError as error:
        raise NotDecidableError(
            _("%(decision)s: somebody changed the same just now. Load the page again and look.")
            % {"decision": decision}
        ) from error
    decision.refresh_from_db()


def answered(decision: Decision) -> NotDecidableError:
    decision.refresh_from_db()
    return NotDecidableError(
        _("%(decision)s: it is %(state)s already. Load the page again and look.")
        % {"decision": decision, "state": decision.get_state_display().lower()}
    )


def carry_out(decision: Decision, *, by: Any, now: datetime) -> None:
    if decision.kind == Decision.Kind.RENAME:
        reason = f"Renamed by decision {decision.pk}"
        rename_dataset(decision.dataset_id, decision.new_identifier, by=by, reason=reason, now=now)
    elif decision.kind == Decision.Kind.REVISE:
        revise_texts(decision, by=by, now=now)
    elif decision.version is not None:
        move_version(decision, Version.objects.get(pk=decision.version.pk), now=now)


def move_version(decision: Decision, version: Version, *, now: datetime) -> None:
    """Deprecate or withdraw; a withdrawal drops the deprecation of the same version that nobody answered yet."""
    kind = Decision.Kind(decision.kind)
    try:
        refuse_state(version, kind)
        refuse_replacement(version, decision.replacement)
    except NotProposableError as error:
        raise NotDecidableError(str(error)) from error
    if not Version.objects.move(version.pk, source=version.state, to=RESULTS[kind]):
        raise NotDecidableError(
            _("%(version)s: somebody moved it just now. Load the page again and look.") % {"version": version}
        )
    if kind == Decision.Kind.WITHDRAW:
        drop_overtaken(decision, now=now)


def drop_overtaken(decision: Decision, *, now: datetime) -> None:
    facts = {
        "decided_at": now,
        "answer": f"Overtaken by decision {decision.pk}.",
        "answer_channel": Transition.Channel.ENGINE,
    }
    for one in Decision.objects.proposed().filter(version=decision.version_id, kind=Decision.Kind.DEPRECATE):
        Decision.objects.move(one.pk, to=Decision.State.DROPPED, **facts)


def refuse_state(version: Version, kind: str) -> None:
    """Raise NotProposableError unless a version is in a state that can be deprecated or withdrawn."""
    if version.state not in SOURCES[Decision.Kind(kind)]:
        raise NotProposableError(
            _("%(version)s: it is %(state)s, so that this cannot be decided about it.")
            % {"version": version, "state": version.get_state_display().lower()}
        )


def refuse_replacement(version: Version, replacement: Version | None) -> None:
    """Raise NotProposableError unless what people are sent to instead is another public version of the dataset."""
    if replacement is None:
        return
    is_other = replacement.pk != version.pk and replacement.dataset_id == version.dataset_id
    if not is_other or replacement.state != Version.State.PUBLISHED:
        raise NotProposableError(
            _("%(replacement)s cannot be used instead of %(version)s. Name another published version of the dataset.")
            % {"replacement": replacement, "version": version}
        )
