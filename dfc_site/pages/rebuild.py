"""How to rebuild a version and sign what came out; a signed statement can be sent from here."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import Asset, Version
from catalog.say import say
from dfc_site.api.attestations import TOO_MANY, UNFIT, submit_statement
from dfc_site.pages.nodes import seconds_until
from dfc_site.pages.withdrawn import tombstone
from mirrors.offer import offers
from mirrors.redirect import find_version
from releases.errors import AttestationRefusedError
from releases.models.attestation import Channel
from releases.statements.envelopes import LARGEST_BYTES
from swarm.errors import TooManyUsesError

PLACES_SHOWN = 4


class StatementForm(forms.Form):
    """A signed statement, as a file or pasted; one of the two."""

    file = forms.FileField(
        label=_("The file attestation.json"),
        help_text=_("rebuild.py --attest writes it beside the folder of the result."),
        required=False,
        allow_empty_file=True,
    )
    statement = forms.CharField(
        label=_("Or its text"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "class": "mono", "spellcheck": "false", "autocomplete": "off"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if bool(cleaned.get("file")) == bool(cleaned.get("statement")):
            raise ValidationError({"file": _("Choose a file or paste its text, one of the two")})
        return cleaned

    def text(self) -> bytes:
        """Give what was sent, up to one byte more than an envelope may have."""
        file = self.cleaned_data["file"]
        text: bytes = file.read(LARGEST_BYTES + 1) if file else self.cleaned_data["statement"].encode()
        return text


def rebuild(request: HttpRequest, identifier: str, number: str) -> HttpResponse:
    """Show the commands and the form, or take a statement; a refusal keeps what was pasted."""
    found = find_version(identifier, number)
    if found.state == Version.State.WITHDRAWN:
        return tombstone(request, found)
    if request.method != "POST":
        return show(request, found, StatementForm())
    form = StatementForm(request.POST, request.FILES)
    if not form.is_valid():
        return show(request, found, form, status=UNFIT)
    try:
        accepted = submit_statement(request, form.text(), channel=Channel.FORM)
    except AttestationRefusedError as error:
        form.add_error("file" if form.cleaned_data["file"] else "statement", say(error))
        return show(request, found, form, status=UNFIT)
    except TooManyUsesError as error:
        return show(request, found, form, status=TOO_MANY, refusal=error)
    about = accepted.attestation.version
    return HttpResponseRedirect(f"{reverse('version', args=[about.dataset.identifier, about.shown])}#rebuild")


def show(
    request: HttpRequest,
    found: Version,
    form: StatementForm,
    *,
    status: int = 200,
    refusal: TooManyUsesError | None = None,
) -> HttpResponse:
    bundle, places = bundle_of(found, now=timezone.now())
    context = {
        "section": "datasets",
        "version": found,
        "dataset": found.dataset,
        "form": form,
        "refusal": refusal,
        "contact": settings.DFC_CONTACT_EMAIL,
        "commands": {"unpack": unpacking(bundle, places), "alone": alone(bundle, places)},
    }
    response = render(request, "pages/rebuild.html", context, status=status)
    if refusal is not None:
        response["Retry-After"] = str(seconds_until(refusal.facts["again_at"]))
    return response


def bundle_of(found: Version, *, now: datetime) -> tuple[Asset, list[str]]:
    """Give the source bundle of a version, and the addresses of its proved copies, the best first."""
    bundle = Asset.objects.get(item__version=found, role=Asset.Role.SOURCE_BUNDLE)
    return bundle, [one.url for one in offers([bundle], now=now)[bundle.pk].offered]


def unpacking(bundle: Asset, places: Sequence[str]) -> str:
    """Write the line that fetches a bundle from its first mirror, checks and unpacks it, and rebuilds."""
    if not places:
        return ""
    name = bundle.path.rpartition("/")[2]
    return (
        f"curl -fLO {places[0]} && echo '{bundle.sha256}  {name}' | sha256sum --check"
        f" && tar -xzf {name} && python3 rebuild.py --out rebuilt"
    )


def alone(bundle: Asset, places: Sequence[str]) -> str:
    """Write the line for who has rebuild.py already: it asks one mirror after another."""
    if not places:
        return ""
    named = " ".join(f"--bundle {place}" for place in places[:PLACES_SHOWN])
    return f"python3 rebuild.py {named} --sha256 {bundle.sha256} --attest key.pem --out rebuilt"
