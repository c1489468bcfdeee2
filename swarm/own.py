"""What the owner of a node does on its page: show a token, change the offer, leave, erase."""

import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from catalog.history import sign
from catalog.models import DataPackage
from swarm.enroll import Offer
from swarm.errors import NodeStateError, TokenTakenError
from swarm.forget import erase
from swarm.models import Node, NodeTransition
from swarm.nodes import ENDED, GRACEFUL, LIVE, Move

TOKEN_BYTES = 32
WEB = NodeTransition.Channel.WEB
MAY_LEAVE = LIVE | {Node.State.VERIFIED}


def make_token(node: Node, *, number: int, now: datetime) -> str:
    """Give a new token in the clear, the only time; its sha256 alone is kept, and the token before it ends.

    `number` is the count of tokens that the owner's page showed. Raises NodeStateError (not approved, or ended) and
    TokenTakenError (another click made one since: the second of a double click, whose answer nobody saw).
    """
    refuse_state(node, GRACEFUL, _("it has no token in this state"))
    token = f"dfcn_{secrets.token_urlsafe(TOKEN_BYTES)}"
    made = Node.objects.filter(pk=node.pk, state__in=GRACEFUL, token_number=number).update(
        token_digest=token_digest(token), token_number=F("token_number") + 1, token_made_at=now
    )
    node.refresh_from_db()
    if not made:
        raise TokenTakenError(
            _("Token %(number)d was made by another click, and is not shown again. Show a new one: the old one ends.")
            % {"number": node.token_number}
        )
    return token


def token_digest(token: str) -> str:
    """Give what is kept of a token; 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def change_offer(node: Node, offer: Offer, packages: Sequence[DataPackage]) -> None:
    """Replace what the owner gives; raises NodeStateError for a node that has ended."""
    with transaction.atomic():
        kept = Node.objects.select_for_update().get(pk=node.pk)
        refuse_state(kept, set(Node.State) - ENDED, _("nothing can be changed any more"))
        for name, value in asdict(offer).items():
            setattr(kept, name, value)
        sign(kept, by=None, reason="By its owner")
        kept.save(update_fields=list(asdict(offer)))
        kept.packages.set(packages)
    node.refresh_from_db()


def leave_with_grace(node: Node, *, now: datetime) -> None:
    """Move to draining: others take over the pieces first; raises NodeStateError unless it was let in."""
    refuse_state(node, GRACEFUL, _("it cannot leave with grace"))
    moved = Node.objects.move(node.pk, Move(node.state, "draining", None, now, WEB))
    refuse_lost_race(node, moved=moved)


def leave_now(node: Node, *, now: datetime) -> None:
    """Move to left at once and end the token; raises NodeStateError for a node that has ended."""
    refuse_state(node, MAY_LEAVE, _("it has ended already"))
    moved = Node.objects.move(node.pk, Move(node.state, "left", None, now, WEB), token_digest="")
    refuse_lost_race(node, moved=moved)


def erase_node(node: Node, *, now: datetime) -> None:
    """Leave at once if it has not, and blank name, e-mail and notes; the row and its public id stay.

    Erasing twice is the same as once. Raises NodeStateError when somebody moved the node at this moment.
    """
    refuse_lost_race(node, moved=erase(node, now=now, channel=WEB))


def refuse_state(node: Node, allowed: Collection[str], finding: str) -> None:
    if node.state not in allowed:
        words = _("%(node)s (%(state)s): %(finding)s.")
        raise NodeStateError(words % {"node": node, "state": node.word, "finding": finding})


def refuse_lost_race(node: Node, *, moved: bool) -> None:
    node.refresh_from_db()
    if not moved:
        raise NodeStateError(
            _("%(node)s: somebody moved it just now. Load the page again and look.") % {"node": node}
        )
