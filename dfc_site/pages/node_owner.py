"""The page of a node, for its owner alone: what is true now, what is next, token, limits, leaving."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from catalog.errors import StewardshipError
from dfc_site.pages.node_session import close_session, for_owner
from dfc_site.pages.nodes import BADGES
from swarm.errors import NodeStateError
from swarm.forms import GIB, OfferForm
from swarm.models import Node
from swarm.nodes import ENDED, GRACEFUL
from swarm.own import change_offer, erase_node, leave_now, leave_with_grace, make_token

INVALID, CONFLICT = 422, 409
LEAVING: dict[str, Callable[..., None]] = {"grace": leave_with_grace, "now": leave_now}
Words = str | Promise


@dataclass(frozen=True)
class Line:
    """One line of the checklist: `word` is done, next or later; `anchor` leads to where the owner does it."""

    title: Words
    note: Words
    word: str
    at: datetime | None
    anchor: str


def page_of(node: Node) -> str:
    return reverse("node", args=[node.public_id])


@for_owner
@require_GET
def node(request: HttpRequest, found: Node) -> HttpResponse:
    return show(request, found)


def show(
    request: HttpRequest, found: Node, *, token: str = "", error: StewardshipError | None = None
) -> HttpResponse:
    lines = checklist(found)
    ending = found.transitions.exclude(reason="").order_by("-at", "-pk").first()
    context = {
        "section": "swarm",
        "node": found,
        "kind": BADGES.get(found.state, "idle"),
        "lines": lines,
        "done": sum(line.word == "done" for line in lines),
        "token": token,
        "error": error,
        "config": config_text(found, token),
        "may_have_token": found.state in GRACEFUL,
        "has_ended": found.state in ENDED,
        "reason": ending.reason if ending and ending.to == found.state else "",
    }
    return render(request, "pages/node.html", context, status=CONFLICT if error else 200)


def checklist(found: Node) -> list[Line]:
    """Say what is done, what is next and what comes later; the first thing not done is the next."""
    entered = {one.to: one.at for one in found.transitions.order_by("at", "pk")}
    started = entered.get("active")
    facts: list[tuple[Words, Words, datetime | None, str]] = [
        (_("E-mail confirmed"), _("The link of our first letter worked once."), entered.get("verified"), ""),
        (_("Approved by a curator"), _("A person looks at each registration."), entered.get("approved"), ""),
        (_("Token shown"), _("Your node signs in with it."), found.token_made_at, "#start"),
        (_("Agent connected"), _("The program for your machine is not published yet."), started, ""),
        (_("First piece proven"), _("Your node answers a question that only the bytes can answer."), started, ""),
        (_("Active"), _("Your copies count from here on."), started, ""),
    ]
    place = next((number for number, fact in enumerate(facts) if fact[2] is None), len(facts))
    is_over = found.state in ENDED
    return [
        Line(title, note, "done" if at else "next" if number == place and not is_over else "later", at, anchor)
        for number, (title, note, at, anchor) in enumerate(facts)
    ]


def config_text(found: Node, token: str) -> str:
    """Write the file that the agent will read; without `token` its line says where the token comes from."""
    lines = [
        f'portal = "{settings.DFC_SITE_URL}"',
        f'node = "{found.public_id}"',
        f'token = "{token or "…"}"',
        f"storage_gib = {found.quota_bytes // GIB}",
        *(
            f"{name} = {value}"
            for name, value in (
                ("upload_mbit_s", found.upload_limit_mbit_s),
                ("download_mbit_s", found.download_limit_mbit_s),
            )
            if value
        ),
    ]
    if found.works_from and found.works_until:
        lines.append(f'hours = "{found.works_from:%H:%M}-{found.works_until:%H:%M}"')
    return "\n".join(lines)


@for_owner
@require_POST
def token(request: HttpRequest, found: Node) -> HttpResponse:
    """Show a new token, in this answer alone."""
    number = request.POST.get("number", "")[:9]
    try:
        shown = make_token(found, number=int(number) if number.isdecimal() else -1, now=timezone.now())
    except StewardshipError as error:
        return show(request, found, error=error)
    return show(request, found, token=shown)


@for_owner
def change(request: HttpRequest, found: Node) -> HttpResponse:
    """Change what the node offers, and whether it is listed."""
    form = OfferForm(request.POST) if request.method == "POST" else OfferForm.showing(found)
    if not form.is_valid():
        context = {"section": "swarm", "node": found, "form": form}
        return render(request, "pages/node_change.html", context, status=INVALID if form.is_bound else 200)
    try:
        change_offer(found, form.offer(), form.cleaned_data["packages"])
    except NodeStateError as error:
        return show(request, found, error=error)
    return HttpResponseRedirect(page_of(found))


@for_owner
def leave(request: HttpRequest, found: Node) -> HttpResponse:
    """Ask once more (`?how=grace|now`), and leave by POST."""
    how = request.POST.get("how") or request.GET.get("how")
    if how not in LEAVING:
        return HttpResponseRedirect(page_of(found))
    if request.method != "POST":
        return render(request, "pages/node_leave.html", {"section": "swarm", "node": found, "how": how})
    try:
        LEAVING[how](found, now=timezone.now())
    except NodeStateError as error:
        return show(request, found, error=error)
    return HttpResponseRedirect(page_of(found))


@for_owner
def erase(request: HttpRequest, found: Node) -> HttpResponse:
    """Ask once more, and erase by POST; after that there is no page of this node."""
    if request.method != "POST":
        return render(request, "pages/node_erase.html", {"section": "swarm", "node": found})
    try:
        erase_node(found, now=timezone.now())
    except NodeStateError as error:
        return show(request, found, error=error)
    close_session(request, found.public_id)
    return HttpResponseRedirect(reverse("node-erased"))


@for_owner
@require_POST
def close(request: HttpRequest, found: Node) -> HttpResponse:
    """Close the page in this browser, for machines that others use too."""
    close_session(request, found.public_id)
    return HttpResponseRedirect(reverse("nodes"))
