"""The curator's page of decisions on nodes: one node or many, looked at once more before anything is done."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalog.errors import StewardshipError
from swarm.decide import SHORTEST_REASON, decide, failed_steps, go_on_without, retry_work
from swarm.models import Node
from swarm.nodes import DECISIONS, LIVE

MOST = 200
INVALID = 422
BADGES = {
    "active": "ok",
    "verified": "warn",
    "silent": "warn",
    "draining": "warn",
    "refused": "bad",
    "suspended": "bad",
}
Run = Callable[..., None]


@dataclass(frozen=True)
class Act:
    """One thing that a curator may do to nodes; `run(node, by=…, reason=…, now=…)` does it to one."""

    title: str | Promise
    button: str | Promise
    permission: str
    run: Run
    needs_reason: bool = True
    is_bad: bool = False


def retry(node: Node, *, by: Any, reason: str, now: datetime) -> None:  # noqa: ARG001  all acts are called alike
    retry_work(node, by=by)


def leave_out(node: Node, *, by: Any, reason: str, now: datetime) -> None:  # noqa: ARG001
    go_on_without(node, by=by, reason=reason)


ACTS: dict[str, Act] = {
    "approved": Act(
        gettext_lazy("Approve nodes"),
        gettext_lazy("Approve"),
        "swarm.approve_node",
        partial(decide, kind="approved"),
        needs_reason=False,
    ),
    "refused": Act(
        gettext_lazy("Refuse nodes"),
        gettext_lazy("Refuse"),
        "swarm.approve_node",
        partial(decide, kind="refused"),
        is_bad=True,
    ),
    "suspended": Act(
        gettext_lazy("Suspend nodes"),
        gettext_lazy("Suspend"),
        "swarm.suspend_node",
        partial(decide, kind="suspended"),
        is_bad=True,
    ),
    "reinstated": Act(
        gettext_lazy("Let nodes back in"),
        gettext_lazy("Let back in"),
        "swarm.suspend_node",
        partial(decide, kind="reinstated"),
    ),
    "retry": Act(
        gettext_lazy("Try failed work again"),
        gettext_lazy("Try again"),
        "swarm.approve_node",
        retry,
        needs_reason=False,
    ),
    "leave-out": Act(
        gettext_lazy("Go on without the letter"),
        gettext_lazy("Go on without it"),
        "swarm.approve_node",
        leave_out,
        is_bad=True,
    ),
}


def to_preview(name: str, nodes: Iterable[Node]) -> HttpResponse:
    """Send an admin action to the page where it is looked at once more."""
    query = QueryDict(mutable=True)
    query["act"] = name
    query.setlist("id", [str(node.pk) for node in nodes][:MOST])
    return HttpResponseRedirect(f"{reverse('admin:swarm_node_decide')}?{query.urlencode()}")


def preview(request: HttpRequest) -> HttpResponse:
    """Show whom an act would meet and what stands against it; do it by POST alone."""
    asked = request.POST if request.method == "POST" else request.GET
    name = asked.get("act", "")
    act = ACTS.get(name)
    if act is None or not request.user.has_perm(act.permission):
        raise PermissionDenied
    nodes = found(asked.getlist("id"))
    reason = " ".join(asked.get("reason", "").split())
    is_short = act.needs_reason and len(reason) < SHORTEST_REASON
    if request.method == "POST" and nodes and not is_short:
        return carried_out(request, act, nodes, reason)
    context = {
        **admin.site.each_context(request),
        "opts": Node._meta,  # noqa: SLF001  Django's public name
        "title": act.title,
        "act": act,
        "name": name,
        "lines": [
            {"node": node, "fits": name not in DECISIONS or node.state in DECISIONS[name][0]} for node in nodes
        ],
        "reason": asked.get("reason", ""),
        "shortest": SHORTEST_REASON,
        "is_short": is_short and request.method == "POST",
    }
    return render(request, "admin/swarm/decide.html", context, status=INVALID if context["is_short"] else 200)


def found(ids: list[str]) -> list[Node]:
    """Give the nodes with how many others their owner's address has."""
    keys = [int(one) for one in ids[:MOST] if one.isdecimal() and len(one) < len(str(2**63))]
    nodes = list(Node.objects.filter(pk__in=keys).order_by("pk"))
    counts = dict(
        Node.objects.filter(Q(state__in=LIVE), email__in={node.email for node in nodes if node.email})
        .values_list("email")
        .annotate(nodes=Count("pk"))
        .order_by()
    )
    for node in nodes:
        node.of_address = counts.get(node.email, 0) - (node.state in LIVE)  # type: ignore[attr-defined]
    return nodes


def carried_out(request: HttpRequest, act: Act, nodes: list[Node], reason: str) -> HttpResponse:
    """Do an act to each node; a refusal of one does not keep the others from it."""
    for node in nodes:
        try:
            act.run(node, by=request.user, reason=reason, now=timezone.now())
        except StewardshipError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, _("Noted for node %(node)s: %(act)s.") % {"node": node, "act": act.button})
    if len(nodes) == 1:
        return HttpResponseRedirect(reverse("admin:swarm_node_change", args=[nodes[0].pk]))
    return HttpResponseRedirect(reverse("admin:swarm_node_changelist"))


def context_of_node(request: HttpRequest, object_id: str) -> dict[str, Any]:
    """Give what stands above the fields of one node: its buttons, failed work and history."""
    node = Node.objects.filter(pk=int(object_id)).first() if object_id.isdecimal() else None
    if node is None:
        return {}
    steps = list(failed_steps(node))
    decision = node.letters.filter(kind__in=DECISIONS, settled_at__isnull=True).first()
    is_free = decision is None or steps
    names = [name for name, (sources, _to) in DECISIONS.items() if is_free and node.state in sources]
    names += ["retry"] if steps else []
    names += ["leave-out"] if steps and all(step.function == "swarm.letters.send_letter" for step in steps) else []
    return {
        "node": node,
        "kind": BADGES.get(node.state, "idle"),
        "acts": [(name, ACTS[name]) for name in names if request.user.has_perm(ACTS[name].permission)],
        "failed_steps": steps,
        "decision": decision,
        "transitions": node.transitions.select_related("by").order_by("-at", "-pk"),
    }
