"""A curator or steward decides on a node: approve, refuse, suspend, let back in.

A decision is a letter to the owner and a durable job. The job tells the owner first and changes the state then, so
that nobody learns of a refusal from a machine that stopped working. What the owner ended meanwhile stays ended.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from releases.errors import NotAllowedError
from releases.jobs import steering
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Job, Step
from swarm.errors import NodeStateError, ReasonMissingError, TooManyNodesError
from swarm.letters import owe
from swarm.models import Node, NodeLetter, NodeTransition
from swarm.nodes import DECISIONS, LIVE, Move

Kind = NodeLetter.Kind
PERMISSIONS = {
    Kind.APPROVED: "approve_node",
    Kind.REFUSED: "approve_node",
    Kind.SUSPENDED: "suspend_node",
    Kind.REINSTATED: "suspend_node",
}
SHORTEST_REASON = 10


def decide(node: Node, kind: str, *, by: Any, now: datetime, reason: str = "") -> None:
    """Write the decision and start the job that tells the owner and then carries it out.

    `kind` is one of swarm.nodes.DECISIONS. A refusal takes the place of an approval whose job failed.
    Raises NotAllowedError; ReasonMissingError (all but an approval need one of 10 characters); NodeStateError (the
    node is in a state from which there is no such decision, or one is under way).
    """
    require_permission(by, PERMISSIONS[Kind(kind)])
    reason = " ".join(reason.split())
    node.refresh_from_db()
    refuse_state(node, kind)
    if kind != Kind.APPROVED and len(reason) < SHORTEST_REASON:
        raise ReasonMissingError(
            _("%(node)s: say in at least %(count)d characters why; the owner reads this reason.")
            % {"node": node, "count": SHORTEST_REASON}
        )
    pipeline = "register-node" if kind == Kind.APPROVED else "decide-node"
    try:
        with transaction.atomic():
            drop_failed(node, by=by, now=now)
            owe(node, kind, now=now, pipeline=pipeline, by=by, reason=reason)
    except IntegrityError as error:
        raise NodeStateError(_("%(node)s: a decision is under way already.") % {"node": node}) from error


def require_permission(by: Any, name: str) -> None:
    """Raise NotAllowedError unless `by` is active and holds `swarm.<name>`."""
    if not by.has_perm(f"swarm.{name}"):
        words = _("%(person)s: may not do this. Ask an administrator for the permission “%(name)s”.")
        raise NotAllowedError(words % {"person": by, "name": name}, person=str(by), act=name)


def refuse_state(node: Node, kind: str) -> None:
    if node.state not in DECISIONS[kind][0]:
        words = _("%(node)s: it is “%(state)s”, so there is nothing to decide here. Load the page again and look.")
        raise NodeStateError(words % {"node": node, "state": node.get_state_display()})


def drop_failed(node: Node, *, by: Any, now: datetime) -> None:
    """Drop the decision under way if its job failed, so that another can take its place."""
    letter = node.letters.filter(kind__in=DECISIONS, settled_at__isnull=True).first()
    job = letter and Job.objects.filter(key=letter.job_key, state=Job.State.FAILED).first()
    if letter and job:
        steering.cancel(job, by=by)
        NodeLetter.objects.filter(pk=letter.pk).update(settled_at=now)


def expand_check(letter_id: int) -> Sequence[StepSpec]:
    return [StepSpec("swarm.decide.check_again", letter_id, find(letter_id).node.public_id)]


def expand_carry_out(letter_id: int) -> Sequence[StepSpec]:
    return [StepSpec("swarm.decide.carry_out", letter_id, find(letter_id).node.public_id)]


def find(letter_id: int) -> NodeLetter:
    return NodeLetter.objects.select_related("node").get(pk=letter_id)


def is_moot(letter: NodeLetter) -> bool:
    """Tell whether there is nothing to carry out any more: dropped, or the owner ended it."""
    return letter.settled_at is not None or letter.node.state not in DECISIONS[letter.kind][0]


def check_again(step: StepContext, letter_id: int) -> None:
    """Check an approval once more; a moot one is settled, so that no letter is sent.

    Raises TooManyNodesError when the owner's address has DFC_NODES_PER_EMAIL nodes already; of approvals under way
    those of older nodes count.
    """
    letter = find(letter_id)
    node = letter.node
    if is_moot(letter):
        with step.finish():
            NodeLetter.objects.filter(pk=letter_id, settled_at__isnull=True).update(settled_at=timezone.now())
        return
    others = Node.objects.filter(email=node.email).exclude(pk=node.pk)
    approved_now = others.filter(
        pk__lt=node.pk, state=Node.State.VERIFIED, letters__kind=Kind.APPROVED, letters__settled_at__isnull=True
    )
    if others.filter(state__in=LIVE).count() + approved_now.count() >= settings.DFC_NODES_PER_EMAIL:
        raise TooManyNodesError(
            f"{node}: its owner's address has {settings.DFC_NODES_PER_EMAIL} nodes, which is the most "
            "(DFC_NODES_PER_EMAIL). Refuse it with a reason, or try again when one of them has left.",
            node=node.public_id,
        )


def carry_out(step: StepContext, letter_id: int) -> None:
    """Change the node's state as decided, now that the owner has been told. Safe to run twice."""
    letter, now = find(letter_id), timezone.now()
    sources, to = DECISIONS[letter.kind]
    with step.finish():
        node = Node.objects.select_for_update().get(pk=letter.node_id)
        if letter.settled_at is None and node.state in sources:
            move = Move(node.state, to, letter.by, now, NodeTransition.Channel.ADMIN, letter.reason)
            Node.objects.move(node.pk, move)
        NodeLetter.objects.filter(pk=letter_id, settled_at__isnull=True).update(settled_at=now)


def jobs_of(node: Node) -> QuerySet[Job]:
    """Give the durable jobs of a node, the newest first."""
    keys = [letter.job_key for letter in node.letters.select_related("node")]
    return Job.objects.filter(key__in=keys).order_by("-created_at", "-pk")


def failed_steps(node: Node) -> QuerySet[Step]:
    return Step.objects.filter(job__in=jobs_of(node), state=Step.State.FAILED)


def retry_work(node: Node, *, by: Any) -> None:
    """Let every failed step of a node run again; raises NotAllowedError, NodeStateError (nothing has failed)."""
    for step in steerable(node, by):
        steering.retry(step, by=by)


def go_on_without(node: Node, *, by: Any, reason: str) -> None:
    """Leave the failed steps of a node out, with a reason: what follows is done without the letter.

    Raises NotAllowedError, NodeStateError (nothing has failed, or what failed is no letter) and JobRefusedError (the
    reason is too short).
    """
    steps = steerable(node, by)
    if any(step.function != "swarm.letters.send_letter" for step in steps):
        raise NodeStateError(_("%(node)s: what failed is no letter, so it cannot be left out.") % {"node": node})
    for step in steps:
        steering.skip(step, by=by, reason=reason)


def steerable(node: Node, by: Any) -> list[Step]:
    require_permission(by, "approve_node")
    steps = list(failed_steps(node))
    if not steps:
        raise NodeStateError(_("%(node)s: nothing of it has failed.") % {"node": node})
    return steps
