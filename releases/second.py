"""Answer what somebody else proposed: second it, which carries it out, or refuse it with a reason."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from releases.errors import NotDecidableError
from releases.models import Decision
from releases.people import require_permission
from releases.reasons import clean_reason
from releases.take import answered, take_decision


def second_decision(decision: Decision, *, by: Any, channel: str, now: datetime) -> None:
    """Take a decision that somebody else proposed and carry it out.

    Raises NotAllowedError; NotDecidableError (`by` proposed it, it is answered already, or it fits no longer); for a
    rename also what `check_name` raises.
    """
    require_permission(by, "second", "decision")
    refuse_answered(decision)
    is_own = by.pk == decision.proposer_id
    if is_own and settings.DFC_APPROVERS:
        raise NotDecidableError(
            _("%(decision)s: %(person)s proposed it. A second person has to take it.")
            % {"decision": decision, "person": by}
        )
    take_decision(decision, seconder=None if is_own else by, channel=channel, now=now)


def refuse_decision(decision: Decision, *, by: Any, channel: str, reason: str, now: datetime) -> None:
    """Say no to a proposal, with the reason; the proposer's own no takes it back, which needs none.

    Raises NotAllowedError; NotDecidableError (answered already); ReasonError.
    """
    is_own = by.pk == decision.proposer_id
    require_permission(by, "propose" if is_own else "second", "decision")
    refuse_answered(decision)
    facts = {
        "decided_at": now,
        "answer": "" if is_own and not reason.strip() else clean_reason(reason),
        "answer_channel": channel,
        "seconder": None if is_own else by,
    }
    to = Decision.State.DROPPED if is_own else Decision.State.REFUSED
    if not Decision.objects.move(decision.pk, to=to, **facts):
        raise answered(decision)
    decision.refresh_from_db()


def refuse_answered(decision: Decision) -> None:
    if decision.state != Decision.State.PROPOSED:
        raise answered(decision)
