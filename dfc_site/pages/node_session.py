"""Who may see the page of a node: the browser that followed a link of its owner's letters, for some hours."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from swarm.models import Node

SESSION_KEY = "nodes"  # public id → until when, in seconds since 1970
SESSION_LIFE = timedelta(hours=8)
CLOSED = 403
View = Callable[..., HttpResponse]


def open_session(request: HttpRequest, node: Node, now: datetime) -> None:
    """Let this browser in as the owner of a node, beside the nodes that it has opened already."""
    request.session.cycle_key()
    until = (now + SESSION_LIFE).timestamp()
    request.session[SESSION_KEY] = {**request.session.get(SESSION_KEY, {}), node.public_id: until}


def close_session(request: HttpRequest, public_id: str) -> None:
    opened = request.session.get(SESSION_KEY, {})
    request.session[SESSION_KEY] = {key: until for key, until in opened.items() if key != public_id}


def opened_node(request: HttpRequest, public_id: str, now: datetime) -> Node | None:
    """Give the node if this browser may see it: None also for one that does not exist or was erased."""
    until = request.session.get(SESSION_KEY, {}).get(public_id, 0)
    if now.timestamp() >= until:
        return None
    return Node.objects.filter(public_id=public_id, erased_at__isnull=True).first()


def for_owner(view: View) -> View:
    """Hand a view the node of its address; everybody but the owner gets the same page, for unknown nodes too."""

    @never_cache
    @wraps(view)
    def opened(request: HttpRequest, public_id: str) -> HttpResponse:
        node = opened_node(request, public_id, timezone.now())
        if node is None:
            return render(request, "pages/node_closed.html", {"section": "swarm"}, status=CLOSED)
        return view(request, node)

    return opened
