"""What is forgotten by itself, so that nothing personal stays longer than it is needed.

1. Uses of public forms: after a day (swarm/limits.py).
2. Registrations that nobody confirmed: when the link of their newest letter has expired.
3. Names, e-mail addresses and notes of nodes that were refused or left: after 30 days.

Runs every hour as the durable job `forget-nodes`, after every use of a public form, and by `manage.py node forget`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from swarm.limits import forget_uses
from swarm.models import Node, NodeTransition
from swarm.nodes import ENDED, LINK_LIFE, Move

KEPT_AFTER_THE_END = timedelta(days=30)


def expand_forget(period: int) -> Sequence[StepSpec]:
    return [StepSpec("swarm.forget.forget_due", period, "forget")]


def forget_due(_step: StepContext, _period: int) -> None:
    """Forget what is due now. Safe to run twice."""
    forget(timezone.now())


def forget(now: datetime) -> int:
    """Forget all that is due; gives how many nodes were erased. Safe to run twice, and beside itself."""
    forget_uses(now)
    due = [*unconfirmed(now), *ended(now)]
    return sum(erase(node, now=now, channel=NodeTransition.Channel.ENGINE) for node in due)


def unconfirmed(now: datetime) -> list[Node]:
    newest = Node.objects.filter(state=Node.State.REGISTERED).annotate(
        written_at=Max("letters__made_at"), sent_at=Max("letters__sent_at")
    )
    over = now - LINK_LIFE
    return list(newest.filter(Q(sent_at__isnull=True) | Q(sent_at__lt=over), written_at__lt=over))


def ended(now: datetime) -> list[Node]:
    nodes = Node.objects.filter(state__in=ENDED, erased_at__isnull=True).annotate(
        ended_at=Max("transitions__at", filter=Q(transitions__to__in=ENDED))
    )
    return list(nodes.filter(ended_at__lt=now - KEPT_AFTER_THE_END))


def erase(node: Node, *, now: datetime, channel: str) -> bool:
    """Blank everything personal of a node, which leaves first if it has not; the row and its public id stay.

    False, and nothing is changed, if the node has another state than `node` says: somebody moved it.
    """
    with transaction.atomic():
        if not Node.objects.select_for_update().filter(pk=node.pk, state=node.state).exists():
            return False
        if node.state not in ENDED:
            Node.objects.move(node.pk, Move(node.state, "left", None, now, channel))
        Node.objects.filter(pk=node.pk).update(
            display_name="", email="", notes="", token_digest="", is_listed=False, erased_at=now
        )
    return True
