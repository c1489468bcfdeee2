"""Volunteers' nodes in public: the list, the registration, and where the links of letters lead."""

from datetime import datetime
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache

from dfc_site.pages.node_session import open_session
from mirrors.redirect import client_of
from swarm.enroll import ask_link, follow_link, read_link, register_node
from swarm.errors import LinkExpiredError, LinkForgedError, LinkUsedError, TooManyUsesError
from swarm.forms import EmailForm, RegisterForm
from swarm.models import Node, NodeLetter, Region

PAGE_SIZE = 100
BADGES = {
    "approved": "run",
    "active": "ok",
    "silent": "warn",
    "draining": "warn",
    "refused": "bad",
    "suspended": "bad",
}
INVALID, TOO_MANY = 422, 429
LINK_STATUS = {LinkForgedError: 400, LinkUsedError: 409, LinkExpiredError: 410}


def nodes(request: HttpRequest) -> HttpResponse:
    """List the nodes that agreed to it; totals are of all, by region, never by address."""
    listed = Node.objects.listed().order_by("region", "jurisdiction", "pk")
    regions = regions_of(Node.objects.counted().values("region").annotate(nodes=Count("pk"), size=Sum("quota_bytes")))
    page = Paginator(listed, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "section": "swarm",
        "page": page,
        "lines": [{"node": one, "kind": BADGES[one.state]} for one in page],
        "regions": regions,
        "total": sum(line["nodes"] for line in regions),
        "total_bytes": sum(line["size"] for line in regions),
    }
    return render(request, "pages/nodes.html", context)


def regions_of(counts: Any) -> list[dict[str, Any]]:
    """Give the regions that have nodes, the most storage first."""
    lines = [{**line, "name": Region(line["region"]).label} for line in counts]
    return sorted(lines, key=lambda line: -line["size"])


def register(request: HttpRequest) -> HttpResponse:
    """Show the form, or keep a registration; a refusal keeps what was typed."""
    if request.method != "POST":
        return show_form(request, "pages/node_register.html", RegisterForm(initial={"operator_kind": "person"}))
    form = RegisterForm(request.POST)
    done = HttpResponseRedirect(reverse("node-registered"))
    if request.POST.get("website"):
        return done  # a machine filled in what people do not see; it learns nothing from the answer
    if not form.is_valid():
        return show_form(request, "pages/node_register.html", form, status=INVALID)
    try:
        register_node(
            form.registration(), language=get_language() or "en", network=client_of(request).key, now=timezone.now()
        )
    except TooManyUsesError as error:
        return show_form(request, "pages/node_register.html", form, status=TOO_MANY, refusal=error)
    return done


def ask(request: HttpRequest) -> HttpResponse:
    """Ask for a link to the owner's page; the answer is the same whether or not the address is known."""
    if request.method != "POST":
        return show_form(request, "pages/node_ask.html", EmailForm())
    form = EmailForm(request.POST)
    if not form.is_valid():
        return show_form(request, "pages/node_ask.html", form, status=INVALID)
    try:
        ask_link(form.cleaned_data["email"], network=client_of(request).key, now=timezone.now())
    except TooManyUsesError as error:
        return show_form(request, "pages/node_ask.html", form, status=TOO_MANY, refusal=error)
    return HttpResponseRedirect(reverse("node-link-sent"))


def show_form(
    request: HttpRequest, template: str, form: Any, *, status: int = 200, refusal: TooManyUsesError | None = None
) -> HttpResponse:
    context = {"section": "swarm", "form": form, "refusal": refusal}
    response = render(request, template, context, status=status)
    if refusal is not None:
        response["Retry-After"] = str(seconds_until(refusal.facts["again_at"]))
    return response


def seconds_until(instant: Any) -> int:
    left: float = (instant - timezone.now()).total_seconds()
    return max(1, int(left) + 1)


def registered(request: HttpRequest) -> HttpResponse:
    return render(request, "pages/node_registered.html", {"section": "swarm"})


def link_sent(request: HttpRequest) -> HttpResponse:
    return render(request, "pages/node_link_sent.html", {"section": "swarm"})


def confirmed(request: HttpRequest) -> HttpResponse:
    return render(request, "pages/node_confirmed.html", {"section": "swarm"})


def erased(request: HttpRequest) -> HttpResponse:
    return render(request, "pages/node_erased.html", {"section": "swarm"})


@never_cache
def open_link(request: HttpRequest, token: str) -> HttpResponse:
    """Show what the link of a letter is for; only a POST does it, since mail scanners open links by GET."""
    now = timezone.now()
    try:
        if request.method == "POST":
            return followed(request, follow_link(token, now=now), now)
        letter = read_link(token, now=now)
    except (LinkForgedError, LinkUsedError, LinkExpiredError) as error:
        return show_broken_link(request, error)
    is_confirmation = letter.kind == NodeLetter.Kind.CONFIRM
    context = {"section": "swarm", "node": letter.node, "is_confirmation": is_confirmation}
    return render(request, "pages/node_link.html", context)


def followed(request: HttpRequest, letter: NodeLetter, now: datetime) -> HttpResponse:
    if letter.kind == NodeLetter.Kind.CONFIRM:
        return HttpResponseRedirect(reverse("node-confirmed"))
    open_session(request, letter.node, now)
    return HttpResponseRedirect(reverse("node", args=[letter.node.public_id]))


def show_broken_link(request: HttpRequest, error: LinkForgedError | LinkUsedError | LinkExpiredError) -> HttpResponse:
    context = {"section": "swarm", "error": error}
    return render(request, "pages/node_link_broken.html", context, status=LINK_STATUS[type(error)])
