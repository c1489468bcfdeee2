"""Curators and stewards decide: the owner is told first, once, and nobody else may."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone

from releases.errors import NotAllowedError
from releases.jobs import engine
from releases.jobs.errors import JobRefusedError
from releases.models import Job
from swarm.decide import decide, go_on_without, jobs_of, retry_work
from swarm.errors import NodeStateError, ReasonMissingError
from swarm.models import Node, NodeLetter
from swarm.nodes import DECISIONS, MOVES, Move
from swarm.own import erase_node, leave_now
from tests.swarm.factories import node, person

pytestmark = pytest.mark.django_db

Post = Callable[[], EmailMessage]
Work = Callable[[], int]
REASON = "The machine stands in a garden."
STARTS = {"approved": "verified", "refused": "verified", "suspended": "active", "reinstated": "suspended"}


def state_of(one: Node) -> str:
    one.refresh_from_db()
    return one.state


@pytest.mark.parametrize(("kind", "start"), STARTS.items())
def test_a_decision_tells_the_owner_first_and_is_then_carried_out(kind: str, start: str, post: Post) -> None:
    met, steward = node(start), person("node-steward")
    decide(met, kind, by=steward, now=timezone.now(), reason=REASON)
    assert state_of(met) == start
    message = post()
    assert message.to == [met.email]
    assert (REASON in str(message.body)) == (kind != "approved")
    assert state_of(met) == DECISIONS[kind][1]
    move = met.transitions.get()
    assert (move.source, move.by, move.reason, move.channel) == (start, steward, REASON, "admin")
    assert set(Job.objects.values_list("state", flat=True)) == {"done"}


def test_an_approval_is_the_job_register_node(work: Work) -> None:
    met = node("verified")
    decide(met, "approved", by=person("curator"), now=timezone.now())
    job = Job.objects.get()
    assert (job.key, job.pipeline) == (f"register-node:{met.public_id}", "register-node")
    assert work() == 3


@pytest.mark.parametrize("kind", DECISIONS)
def test_a_stranger_and_an_auditor_may_not_decide(kind: str) -> None:
    met = node(STARTS[kind])
    for group in ("", "auditor"):
        with pytest.raises(NotAllowedError, match="may not do this"):
            decide(met, kind, by=person(group), now=timezone.now(), reason=REASON)
    assert not NodeLetter.objects.exists()


def test_a_curator_approves_and_refuses_but_only_a_steward_suspends(work: Work) -> None:
    curator = person("curator")
    decide(node("verified"), "approved", by=curator, now=timezone.now())
    decide(node("verified"), "refused", by=curator, now=timezone.now(), reason=REASON)
    met = node("active")
    with pytest.raises(NotAllowedError, match="suspend_node"):
        decide(met, "suspended", by=curator, now=timezone.now(), reason=REASON)
    decide(met, "suspended", by=person("node-steward"), now=timezone.now(), reason=REASON)
    work()
    assert state_of(met) == "suspended"


@pytest.mark.parametrize("kind", ["refused", "suspended", "reinstated"])
def test_a_decision_against_a_node_needs_a_reason(kind: str) -> None:
    with pytest.raises(ReasonMissingError, match="at least 10 characters"):
        decide(node(STARTS[kind]), kind, by=person("node-steward"), now=timezone.now(), reason="  no  \n way ")
    assert not NodeLetter.objects.exists()


@pytest.mark.parametrize("kind", DECISIONS)
def test_a_decision_fits_only_some_states(kind: str) -> None:
    steward = person("node-steward")
    for state in set(Node.State.values) - DECISIONS[kind][0]:
        with pytest.raises(NodeStateError, match="nothing to decide"):
            decide(node(state), kind, by=steward, now=timezone.now(), reason=REASON)


def test_a_double_click_decides_once(work: Work, mailoutbox: Any) -> None:
    met, curator = node("verified"), person("curator")
    decide(met, "approved", by=curator, now=timezone.now())
    for kind in ("approved", "refused"):
        with pytest.raises(NodeStateError, match="under way"):
            decide(met, kind, by=curator, now=timezone.now(), reason=REASON)
    work()
    assert len(mailoutbox) == 1
    assert met.transitions.count() == 1


@pytest.mark.parametrize("ends", [leave_now, erase_node])
def test_what_the_owner_ended_stays_ended_and_gets_no_letter(
    ends: Callable[..., None], work: Work, mailoutbox: Any
) -> None:
    met = node("verified")
    decide(met, "approved", by=person("curator"), now=timezone.now())
    ends(met, now=timezone.now())
    work()
    assert state_of(met) == "left"
    assert mailoutbox == []
    assert Job.objects.get().state == Job.State.DONE


def test_who_leaves_after_the_letter_went_out_is_not_let_in(work: Work, mailoutbox: Any) -> None:
    met = node("verified")
    decide(met, "approved", by=person("curator"), now=timezone.now())
    for _ in ("check", "mail"):
        (step,) = engine.due_steps()
        engine.run_step(step, has_heartbeat=False)
    assert len(mailoutbox) == 1
    leave_now(met, now=timezone.now())
    work()
    assert state_of(met) == "left"
    assert Job.objects.get().state == Job.State.DONE


def approved_too_often(settings: Any, work: Work, email: str = "many@library.example") -> tuple[Node, Any]:
    settings.DFC_NODES_PER_EMAIL = 2
    curator = person("curator")
    nodes = [node("verified", email=email) for _ in range(3)]
    for one in nodes:
        decide(one, "approved", by=curator, now=timezone.now())
    work()
    assert [state_of(one) for one in nodes] == ["approved", "approved", "verified"]
    return nodes[-1], curator


def test_one_address_has_only_so_many_nodes_even_when_all_are_approved_together(
    settings: Any, work: Work, mailoutbox: Any
) -> None:
    last, _curator = approved_too_often(settings, work)
    assert len(mailoutbox) == 2
    step = jobs_of(last).get().steps.get(state="failed")
    assert "has 2 nodes" in step.error


def test_an_approval_that_failed_is_tried_again_when_there_is_room(settings: Any, work: Work) -> None:
    last, curator = approved_too_often(settings, work)
    leave_now(Node.objects.filter(state="approved").first() or last, now=timezone.now())
    retry_work(last, by=curator)
    work()
    assert state_of(last) == "approved"


def test_an_approval_that_failed_gives_way_to_a_refusal(settings: Any, work: Work, post: Post) -> None:
    last, curator = approved_too_often(settings, work)
    decide(last, "refused", by=curator, now=timezone.now(), reason=REASON)
    assert REASON in str(post().body)
    assert state_of(last) == "refused"
    assert jobs_of(last).get(pipeline="register-node").state == Job.State.CANCELLED


def test_failed_work_is_steered_by_curators_alone_and_only_where_it_failed(settings: Any, work: Work) -> None:
    last, curator = approved_too_often(settings, work)
    with pytest.raises(NotAllowedError):
        retry_work(last, by=person("auditor"))
    with pytest.raises(NodeStateError, match="no letter"):
        go_on_without(last, by=curator, reason=REASON)
    with pytest.raises(NodeStateError, match="nothing of it has failed"):
        retry_work(node(), by=curator)


def test_a_letter_that_cannot_arrive_is_left_out_with_a_reason(work: Work, settings: Any) -> None:
    settings.EMAIL_BACKEND = "tests.swarm.mailboxes.NobodyThere"
    met, curator = node("verified"), person("curator")
    decide(met, "approved", by=curator, now=timezone.now())
    work()
    with pytest.raises(JobRefusedError, match="at least 10 characters"):
        go_on_without(met, by=curator, reason="no")
    go_on_without(met, by=curator, reason="The address does not exist any more.")
    work()
    assert state_of(met) == "approved"


def test_only_the_moves_of_the_table_exist() -> None:
    for source in ["", *Node.State.values]:
        for to in Node.State.values:
            if (source, to) not in MOVES:
                with pytest.raises(ValueError, match="no move"):
                    Move(source, to, None, timezone.now(), "web")
    assert {to for _source, to in MOVES} == set(Node.State.values)
    assert not [move for move in MOVES if move[0] in {"left", "refused"}]


def test_of_two_moves_from_one_state_the_second_writes_nothing() -> None:
    met = node("active")
    assert Node.objects.move(met.pk, Move("active", "silent", None, timezone.now(), "engine"))
    assert not Node.objects.move(met.pk, Move("active", "left", None, timezone.now(), "web"))
    assert [one.to for one in met.transitions.all()] == ["silent"]
