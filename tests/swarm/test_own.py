"""What owners do: a token seen once, limits changed, leaving in two ways, and erasing that really erases."""

from collections.abc import Callable
from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.history import history_of
from dfc_site.schedules import RECURRING
from releases.jobs import engine
from swarm.decide import decide
from swarm.enroll import ask_link, follow_link, register_node
from swarm.errors import NodeStateError, TokenTakenError
from swarm.forget import forget
from swarm.links import sign
from swarm.models import FormUse, Node, NodeLetter
from swarm.nodes import GRACEFUL, LIVE
from swarm.own import change_offer, erase_node, leave_now, leave_with_grace, make_token, token_digest
from tests.factories import package
from tests.swarm.factories import ANSWERS, OFFER, answers, everything_kept, node, person, with_token

pytestmark = pytest.mark.django_db

NOW = timezone.now()
NAMES = set(Node.State.values)


def test_a_token_is_kept_as_a_digest_alone() -> None:
    owned = node("approved")
    token = make_token(owned, number=0, now=NOW)
    assert token.startswith("dfcn_")
    assert len(token) > 40
    assert token not in everything_kept()
    assert token.removeprefix("dfcn_") not in everything_kept()
    owned.refresh_from_db()
    assert (owned.token_digest, owned.token_number) == (token_digest(token), 1)


def test_a_new_token_ends_the_old_one() -> None:
    owned = node("active")
    first, second = (make_token(owned, number=number, now=NOW) for number in range(2))
    assert first != second
    assert Node.objects.filter(token_digest=token_digest(second)).exists()
    assert not Node.objects.filter(token_digest=token_digest(first)).exists()


def test_of_a_double_click_only_one_token_is_made() -> None:
    owned = node("approved")
    first = make_token(owned, number=0, now=NOW)
    with pytest.raises(TokenTakenError, match="Token 1 was made by another click"):
        make_token(owned, number=0, now=NOW)
    owned.refresh_from_db()
    assert owned.token_digest == token_digest(first)


@pytest.mark.parametrize("state", sorted(NAMES - GRACEFUL))
def test_there_is_no_token_before_approval_and_after_the_end(state: str) -> None:
    with pytest.raises(NodeStateError, match="no token in this state"):
        make_token(node(state), number=0, now=NOW)


def test_the_offer_can_be_changed() -> None:
    owned = node("active", is_listed=True)
    offer = replace(OFFER, quota_bytes=1 << 40, works_from=time(22), works_until=time(7), is_listed=False)
    change_offer(owned, offer, [package()])
    owned.refresh_from_db()
    assert (owned.quota_bytes, owned.works_from, owned.is_listed) == (1 << 40, time(22), False)
    assert [one.slug for one in owned.packages.all()] == [package().slug]
    assert not Node.objects.listed().exists()


@pytest.mark.parametrize("state", ["left", "refused"])
def test_what_has_ended_cannot_be_changed(state: str) -> None:
    with pytest.raises(NodeStateError, match="nothing can be changed"):
        change_offer(node(state), OFFER, [])


@pytest.mark.parametrize("state", sorted(GRACEFUL))
def test_leaving_with_grace_drains_and_keeps_the_token(state: str) -> None:
    owned = with_token(state)
    leave_with_grace(owned, now=NOW)
    assert owned.state == "draining"
    assert owned.token_digest
    assert (owned.transitions.get().source, owned.transitions.get().channel) == (state, "web")


@pytest.mark.parametrize("state", sorted(LIVE | {"verified"}))
def test_leaving_now_ends_the_token(state: str) -> None:
    owned = with_token(state)
    leave_now(owned, now=NOW)
    assert (owned.state, owned.token_digest) == ("left", "")


@pytest.mark.parametrize(
    ("leaves", "states"),
    [(leave_with_grace, NAMES - GRACEFUL), (leave_now, {"left", "refused", "registered"})],
)
def test_leaving_twice_or_too_early_is_refused(leaves: Callable[..., None], states: set[str]) -> None:
    for state in states:
        owned = node(state)
        with pytest.raises(NodeStateError):
            leaves(owned, now=NOW)
        assert not owned.transitions.exists()


def test_who_looks_at_an_old_page_moves_nothing() -> None:
    owned = node("active")
    Node.objects.filter(pk=owned.pk).update(state="silent")
    for act in (leave_with_grace, leave_now, erase_node):
        stale = Node(pk=owned.pk, public_id=owned.public_id, state="active")
        with pytest.raises(NodeStateError, match="somebody moved it just now"):
            act(stale, now=NOW)
    assert not owned.transitions.exists()


PRIVATE = ("Marguerite-Bourgeoys", "marguerite@library.example", "Behind the boiler.")


def lived(work: Callable[[], int], settings: Any) -> Node:
    """Walk one node through all that writes: register, confirm, failing mail, approve, link, token."""
    name, email, notes = PRIVATE
    register_node(
        answers(offer=replace(OFFER, display_name=name), email=email, notes=notes),
        language="fr",
        network="192.0.2.0/24",
        now=NOW - timedelta(hours=1),
    )
    work()
    follow_link(sign(NodeLetter.objects.get().key), now=timezone.now())
    backend, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "tests.swarm.mailboxes.NobodyThere"
    ask_link(email, network="192.0.2.0/24", now=NOW)
    work()
    settings.EMAIL_BACKEND = backend
    owned = Node.objects.get()
    decide(owned, "approved", by=person("curator"), now=NOW, reason="")
    work()
    owned.refresh_from_db()
    make_token(owned, number=0, now=NOW)
    change_offer(owned, replace(OFFER, display_name=f"{name} II", quota_bytes=OFFER.quota_bytes * 2), [])
    return owned


def test_each_change_of_an_offer_is_kept_by_field_without_anything_private(
    work: Callable[[], int], settings: Any
) -> None:
    owned = lived(work, settings)
    change_offer(owned, replace(OFFER, quota_bytes=OFFER.quota_bytes * 2), [package("d4c-datapkg-orthoimagery")])
    wishes, limits, made = history_of(owned)
    assert [(one.field, one.before, one.after) for one in wishes.changes] == [("data packages", "", "Roads")]
    assert ("storage", OFFER.quota_bytes, OFFER.quota_bytes * 2) in [
        (one.field, one.before, one.after) for one in limits.changes
    ]
    assert (limits.reason, limits.by, made.kind) == ("By its owner", None, "+")
    rows = " ".join(str(row) for row in Node.history.values())
    assert not [words for words in PRIVATE if words in rows]


def test_erasing_really_erases_and_history_stays_true(work: Callable[[], int], settings: Any) -> None:
    owned = lived(work, settings)
    assert all(words in everything_kept() for words in PRIVATE)
    before = list(owned.transitions.values_list("source", "to"))
    over = timezone.now()
    erase_node(owned, now=over)
    kept = everything_kept()
    assert not [words for words in PRIVATE if words in kept]
    owned.refresh_from_db()
    assert (owned.state, owned.token_digest, owned.is_listed, owned.erased_at) == ("left", "", False, over)
    assert list(owned.transitions.values_list("source", "to")) == [*before, ("approved", "left")]
    assert owned.public_id in kept


@pytest.mark.parametrize("state", sorted(NAMES))
def test_a_node_in_any_state_can_be_erased_and_twice_is_once(state: str) -> None:
    owned = node(state)
    erase_node(owned, now=NOW)
    erase_node(owned, now=NOW)
    assert owned.email == owned.display_name == owned.notes == ""
    assert owned.state == ("refused" if state == "refused" else "left")
    assert owned.transitions.count() == (state not in {"refused", "left"})


def test_the_database_itself_refuses_an_erased_row_that_is_not_blank() -> None:
    owned = node("left", email="")
    with pytest.raises(IntegrityError), transaction.atomic():
        Node.objects.filter(pk=owned.pk).update(erased_at=NOW)


def test_a_registration_that_nobody_confirms_is_erased_when_its_link_has_expired(work: Callable[[], int]) -> None:
    register_node(ANSWERS, language="en", network="192.0.2.0/24", now=NOW)
    work()
    assert forget(timezone.now() + timedelta(hours=47)) == 0
    assert forget(timezone.now() + timedelta(hours=49)) == 1
    assert ANSWERS.email not in everything_kept()
    assert Node.objects.get().state == "left"
    assert not FormUse.objects.exists()


def test_a_registration_waits_as_long_as_its_letter_could_not_be_sent() -> None:
    waiting = node("registered", registered_at=NOW - timedelta(days=9))
    waiting.letters.create(kind="confirm", key="k" * 12, made_at=NOW - timedelta(days=9), sent_at=NOW)
    assert forget(NOW + timedelta(hours=1)) == 0
    assert forget(NOW + timedelta(hours=49)) == 1


@pytest.mark.parametrize(("leaves", "state"), [(leave_now, "active"), (leave_now, "verified")])
def test_who_left_is_forgotten_after_thirty_days(leaves: Callable[..., None], state: str) -> None:
    owned = node(state)
    leaves(owned, now=NOW)
    assert forget(NOW + timedelta(days=29)) == 0
    assert forget(NOW + timedelta(days=31)) == 1
    assert forget(NOW + timedelta(days=31)) == 0
    assert owned.email not in everything_kept()


def test_the_workers_forget_by_themselves_every_hour(work: Callable[[], int]) -> None:
    assert "forget-nodes" in {one.pipeline for one in RECURRING}
    gone = node("registered", registered_at=NOW - timedelta(days=3))
    gone.letters.create(
        kind="confirm", key="k" * 12, made_at=NOW - timedelta(days=3), sent_at=NOW - timedelta(days=3)
    )
    engine.start("forget-nodes:1", "forget-nodes", 1)
    assert work() == 1
    gone.refresh_from_db()
    assert (gone.state, gone.email) == ("left", "")
    assert gone.transitions.get().channel == "engine"


def test_living_nodes_are_never_forgotten_and_a_command_does_it(capsys: pytest.CaptureFixture[str]) -> None:
    for state in NAMES - {"registered", "left", "refused"}:
        node(state, registered_at=NOW - timedelta(days=900))
    call_command("node", "forget")
    assert capsys.readouterr().out == "0 nodes erased\n"
    assert forget(NOW + timedelta(days=900)) == 0
