"""Registering a node, and the links of letters: one registration, each link once, nothing that tells on anybody."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import connection, connections
from django.utils import timezone

from swarm.enroll import ask_link, follow_link, read_link, register_node
from swarm.errors import LinkExpiredError, LinkForgedError, LinkUsedError, TooManyUsesError
from swarm.links import sign
from swarm.models import FormUse, Node, NodeLetter
from tests.swarm.factories import OFFER, answers, everything_kept, letter, link, node

pytestmark = pytest.mark.django_db

Post = Callable[[], EmailMessage]
NETWORK = "192.0.2.0/24"
EMAIL = "storage@library.example"
NOW = timezone.now()
LINK = re.compile(r"/nodes/link/([^/\s]+)/")


def register(*, network: str = NETWORK, language: str = "en", later: timedelta = timedelta(), **changes: Any) -> None:
    register_node(answers(**changes), language=language, network=network, now=NOW + later)


def token_in(message: EmailMessage) -> str:
    found = LINK.search(str(message.body))
    assert found is not None
    return found[1]


def test_a_registration_is_kept_and_its_letter_confirms_it(post: Post) -> None:
    register()
    waiting = Node.objects.get()
    assert (waiting.state, waiting.email, waiting.quota_bytes) == ("registered", EMAIL, OFFER.quota_bytes)
    message = post()
    assert message.to == [EMAIL]
    follow_link(token_in(message), now=timezone.now())
    waiting.refresh_from_db()
    assert waiting.state == "verified"
    moves = [(one.source, one.to, one.by, one.channel) for one in waiting.transitions.all()]
    assert moves == [("", "registered", None, "web"), ("registered", "verified", None, "web")]


def test_public_ids_are_random_and_not_the_key() -> None:
    made = {node().public_id for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch(r"n-[2-9a-hjkmnp-z]{16}", one) for one in made)


def test_the_same_address_is_one_registration_with_the_newest_answers(
    work: Callable[[], int], mailoutbox: Any
) -> None:
    register(notes="First.")
    register(notes="Second.", email=EMAIL.upper(), later=timedelta(seconds=5))
    assert Node.objects.get().notes == "Second."
    work()
    assert len(mailoutbox) == 1


def test_a_second_letter_is_owed_after_the_pause_and_both_links_lead_to_one_confirmation(
    work: Callable[[], int], mailoutbox: Any, settings: Any
) -> None:
    register()
    register(later=timedelta(seconds=settings.DFC_LETTER_PAUSE_S + 1))
    work()
    first, second = (token_in(message) for message in mailoutbox)
    follow_link(second, now=timezone.now())
    with pytest.raises(LinkUsedError, match="confirmed already"):
        follow_link(first, now=timezone.now())
    assert Node.objects.get().transitions.filter(to="verified").count() == 1


def test_a_confirmed_address_may_register_another_node(post: Post) -> None:
    register()
    follow_link(token_in(post()), now=timezone.now())
    register(later=timedelta(minutes=1))
    assert sorted(Node.objects.values_list("state", flat=True)) == ["registered", "verified"]


def at_once(acts: list[Callable[[], object]]) -> list[object]:
    """Do all at the same moment, each on a connection of its own; gives results, or what was raised."""
    barrier = Barrier(len(acts))

    def one(act: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return act()
        except LinkUsedError as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(one, acts))


@pytest.mark.django_db(transaction=True)
def test_registering_at_the_same_moment_gives_one_node_and_one_letter() -> None:
    at_once([register] * 4)
    assert Node.objects.count() == 1
    assert NodeLetter.objects.count() == 1
    connection.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("kind", "state", "moves"), [("confirm", "registered", 1), ("open", "approved", 0)])
def test_of_clicks_at_the_same_moment_one_counts(kind: str, state: str, moves: int) -> None:
    token = link(node(state), kind)
    results = at_once([lambda: follow_link(token, now=timezone.now())] * 4)
    assert sum(isinstance(one, NodeLetter) for one in results) == 1
    assert sum(isinstance(one, LinkUsedError) for one in results) == 3
    assert Node.objects.get().transitions.count() == moves
    connection.close()


def test_reading_a_link_changes_nothing() -> None:
    token = link(node("registered"), "confirm")
    before = everything_kept()
    assert read_link(token, now=NOW).node.state == "registered"
    assert everything_kept() == before


def test_an_expired_link_does_nothing() -> None:
    token = link(node("registered"), "confirm")
    assert read_link(token, now=timezone.now() + timedelta(hours=47))
    with pytest.raises(LinkExpiredError, match="older than 48 hours"):
        follow_link(token, now=timezone.now() + timedelta(hours=48, minutes=1))
    assert Node.objects.get().state == "registered"


def test_the_48_hours_run_from_the_moment_the_letter_went_out() -> None:
    token = link(node("registered"), "confirm", made_at=timezone.now() - timedelta(days=3))
    assert read_link(token, now=timezone.now())


@pytest.mark.parametrize(
    "broken", ["{key}", "{key}-", "{token}x", "{short}", "{token}{token}", "{other}-{mac}", "", "-"]
)
def test_a_forged_or_broken_link_is_refused(broken: str) -> None:
    made = letter(node("registered"), "confirm")
    token = sign(made.key)
    parts = {"key": made.key, "token": token, "short": token[:-1], "other": "a" * 12, "mac": token.split("-", 1)[1]}
    with pytest.raises(LinkForgedError, match="not made by us"):
        follow_link(broken.format(**parts), now=timezone.now())


def test_who_reads_the_database_cannot_make_a_link(settings: Any) -> None:
    made = letter(node("registered"), "confirm")
    assert sign(made.key).split("-", 1)[1] not in everything_kept()
    before = sign(made.key)
    settings.SECRET_KEY = "another key of at least thirty-two characters"
    with pytest.raises(LinkForgedError):
        read_link(before, now=timezone.now())


def test_the_owners_link_works_once() -> None:
    token = link(node("approved"))
    assert follow_link(token, now=timezone.now()).node.state == "approved"
    with pytest.raises(LinkUsedError, match="works once"):
        follow_link(token, now=timezone.now())


def test_the_link_of_an_erased_node_says_that_it_is_gone() -> None:
    ended = node("left", email="", display_name="", notes="", erased_at=timezone.now())
    with pytest.raises(LinkExpiredError, match="erased"):
        read_link(link(ended), now=timezone.now())


def test_an_address_has_its_share_of_registrations_a_day(settings: Any) -> None:
    settings.DFC_REGISTRATIONS_PER_DAY = 2
    register(network="192.0.2.0/24")
    register(network="198.51.100.0/24", later=timedelta(hours=1))
    with pytest.raises(TooManyUsesError) as refused:
        register(network="203.0.113.0/24", notes="Third.", later=timedelta(hours=2))
    assert refused.value.facts["again_at"] == NOW + timedelta(days=1)
    assert Node.objects.get().notes != "Third."
    register(network="203.0.113.0/24", notes="Third.", later=timedelta(days=1, seconds=1))
    assert Node.objects.get().notes == "Third."


def test_a_network_has_its_share_and_others_are_not_met(settings: Any) -> None:
    settings.DFC_REGISTRATIONS_PER_NETWORK = 2
    register(email="one@library.example")
    register(email="two@library.example")
    with pytest.raises(TooManyUsesError):
        register(email="three@library.example")
    register(email="three@library.example", network="198.51.100.0/24")
    assert Node.objects.count() == 3


def test_neither_network_nor_address_stands_in_the_record_of_uses_and_a_day_later_it_is_gone() -> None:
    register()
    use = FormUse.objects.get()
    kept = f"{use.network_digest} {use.email_digest}"
    assert NETWORK not in everything_kept()
    assert EMAIL not in kept
    register(email="next@library.example", network="198.51.100.0/24", later=timedelta(days=1, seconds=1))
    assert not FormUse.objects.filter(pk=use.pk).exists()


@pytest.mark.parametrize(
    "state", ["verified", "approved", "active", "silent", "draining", "suspended", "refused", "left"]
)
def test_an_owner_gets_a_link_in_every_state(state: str, post: Post) -> None:
    owned = node(state)
    ask_link(owned.email.upper(), network=NETWORK, now=NOW)
    assert follow_link(token_in(post()), now=timezone.now()).node == owned


def test_asking_twice_sends_one_letter_until_the_pause_is_over(settings: Any) -> None:
    owned = node()
    for later in (0.0, 1.0, settings.DFC_LETTER_PAUSE_S + 1):
        ask_link(owned.email, network=NETWORK, now=NOW + timedelta(seconds=later))
    assert owned.letters.count() == 2


def test_asking_for_an_unconfirmed_node_sends_its_first_letter_again(post: Post) -> None:
    waiting = node("registered")
    ask_link(waiting.email, network=NETWORK, now=NOW)
    assert "Confirm" in str(post().body)


def test_an_unknown_address_is_counted_and_answered_like_a_known_one(work: Callable[[], int], settings: Any) -> None:
    settings.DFC_REGISTRATIONS_PER_DAY = 1
    for email in (node().email, "nobody@library.example"):
        ask_link(email, network=NETWORK, now=NOW)
        with pytest.raises(TooManyUsesError):
            ask_link(email, network=NETWORK, now=NOW)
    assert NodeLetter.objects.count() == 1
