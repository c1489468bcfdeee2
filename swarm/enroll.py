"""A volunteer registers a node, confirms the e-mail address, and comes back by a link."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, time

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from catalog.models import DataPackage
from swarm.errors import LinkExpiredError, LinkUsedError
from swarm.forget import forget
from swarm.letters import owe_after_pause
from swarm.limits import note_use
from swarm.links import new_name, read
from swarm.models import FormUse, Node, NodeLetter, NodeTransition
from swarm.nodes import LINK_LIFE, Move

PUBLIC_ID_LENGTH = 16
WEB = NodeTransition.Channel.WEB


@dataclass(frozen=True)
class Offer:
    """What the owner of a node gives and may change later. No package means: whatever needs it most."""

    display_name: str
    quota_bytes: int
    upload_limit_mbit_s: int | None
    download_limit_mbit_s: int | None
    works_from: time | None
    works_until: time | None
    is_listed: bool


@dataclass(frozen=True)
class Registration:
    """The answers of the registration form."""

    offer: Offer
    packages: tuple[DataPackage, ...]
    operator_kind: str
    email: str
    region: str
    jurisdiction: str
    notes: str

    def columns(self) -> dict[str, object]:
        """Give the columns of Node that the answers fill."""
        return asdict(self.offer) | {
            name: getattr(self, name) for name in ("operator_kind", "email", "region", "jurisdiction", "notes")
        }


def register_node(answers: Registration, *, language: str, network: str, now: datetime) -> None:
    """Keep a registration and owe the letter that confirms it; nothing here tells a known address from a new one.

    A registration of the same address that nobody has confirmed yet is the same one: the newer answers are kept, and
    a second letter is owed only after a pause. Raises TooManyUsesError (limits of the day); nothing is kept then.
    """
    answers = replace(answers, email=answers.email.lower())
    note_use(FormUse.Form.REGISTER, network=network, email=answers.email, now=now)
    with transaction.atomic():
        node = open_registration(answers, language=language, now=now)
        node.packages.set(answers.packages)
        owe_after_pause(node, NodeLetter.Kind.CONFIRM, now=now)
    forget(now)


def open_registration(answers: Registration, *, language: str, now: datetime) -> Node:
    """Give the one unconfirmed registration of an address, with these answers."""
    facts = answers.columns() | {"language": language}
    try:
        with transaction.atomic():
            return create_node(facts, now)
    except IntegrityError:
        # It is there already, perhaps since this moment; the constraint made us wait until that one was written.
        return renewed(answers.email, facts) or create_node(facts, now)


def renewed(email: str, facts: dict[str, object]) -> Node | None:
    waiting = Node.objects.filter(email=email, state=Node.State.REGISTERED)
    return waiting.first() if waiting.update(**facts) else None


def create_node(facts: dict[str, object], now: datetime) -> Node:
    node = Node.objects.create(public_id=f"n-{new_name(PUBLIC_ID_LENGTH)}", registered_at=now, **facts)
    NodeTransition.note(node.pk, Move("", "registered", None, now, WEB))
    return node


def read_link(token: str, *, now: datetime) -> NodeLetter:
    """Give the letter whose link this is; changes nothing, since mail scanners open links too.

    Raises LinkForgedError (not signed by us, or incomplete), LinkExpiredError (older than 48 hours, or the node is
    gone), LinkUsedError (it has done its work, or another letter has done it).
    """
    letter = NodeLetter.objects.select_related("node").filter(key=read(token)).first()
    if letter is None or letter.node.erased_at:
        raise LinkExpiredError(_("What this link was for is gone: the registration was erased."))
    refuse_used(letter)
    if now - (letter.sent_at or letter.made_at) > LINK_LIFE:
        raise LinkExpiredError(_("This link is older than 48 hours and no longer works."))
    return letter


def refuse_used(letter: NodeLetter) -> None:
    if letter.kind == NodeLetter.Kind.CONFIRM and letter.node.state != Node.State.REGISTERED:
        raise LinkUsedError(_("This e-mail address is confirmed already. There is nothing more to do here."))
    if letter.used_at:
        raise LinkUsedError(_("This link was used already; each works once."))


def follow_link(token: str, *, now: datetime) -> NodeLetter:
    """Do what a link is for, once: confirm the address, or let its bearer in as the owner.

    Raises what `read_link` raises; of two clicks at the same moment the second is a LinkUsedError.
    """
    letter = read_link(token, now=now)
    with transaction.atomic():
        if not NodeLetter.objects.filter(pk=letter.pk, used_at__isnull=True).update(used_at=now):
            raise LinkUsedError(_("This link was used already; each works once."))
        if letter.kind == NodeLetter.Kind.CONFIRM and not Node.objects.move(
            letter.node_id, Move("registered", "verified", None, now, WEB)
        ):
            raise LinkUsedError(_("This e-mail address is confirmed already. There is nothing more to do here."))
    letter.refresh_from_db()
    return letter


def ask_link(email: str, *, network: str, now: datetime) -> None:
    """Owe the owner of each node with this address a link to its page; an unconfirmed one gets its letter again.

    Says nothing that tells a known address from an unknown one. Raises TooManyUsesError (limits of the day).
    """
    email = email.lower()
    note_use(FormUse.Form.LINK, network=network, email=email, now=now)
    with transaction.atomic():
        for node in Node.objects.filter(email=email):
            is_new = node.state == Node.State.REGISTERED
            owe_after_pause(node, NodeLetter.Kind.CONFIRM if is_new else NodeLetter.Kind.OPEN, now=now)
    forget(now)
