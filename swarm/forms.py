"""The public forms of volunteers. Labels, hints and errors are in the language of the page."""

import re
import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from catalog.models import DataPackage
from catalog.naming.regions import COUNTRIES
from swarm.enroll import Offer, Registration
from swarm.models import Node, Region

GIB = 1 << 30
LEAST_GIB, MOST_GIB = 10, 1_000_000
MOST_MBIT_S = 100_000
CANADA = "CA"
CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


def refuse_control(text: str) -> None:
    if CONTROL.search(text):
        raise ValidationError(_("Write the name in one line, without control characters"))


def sorted_regions() -> list[tuple[str, str]]:
    """Give the regions by name in the language of the page, without regard to accents; abroad comes last."""
    named = [(value, str(label)) for value, label in Region.choices if value != Region.ABROAD]
    named.sort(key=lambda choice: unicodedata.normalize("NFD", choice[1]))
    return [("", str(_("Choose a region"))), *named, (Region.ABROAD.value, str(Region.ABROAD.label))]


def limit_field(label: Any) -> forms.IntegerField:
    return forms.IntegerField(
        label=label,
        help_text=_("Mbit/s. Leave empty for no limit."),
        required=False,
        min_value=1,
        max_value=MOST_MBIT_S,
        error_messages={"invalid": _("Enter a whole number of Mbit/s")},
    )


def hour_field(label: Any, hint: Any) -> forms.TimeField:
    return forms.TimeField(
        label=label,
        help_text=hint,
        required=False,
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
        error_messages={"invalid": _("Enter a time like 22:00")},
    )


class OfferForm(forms.Form):
    """What the owner gives, and may change later."""

    display_name = forms.CharField(
        label=_("Name shown in public"),
        help_text=_("Leave empty to stay anonymous."),
        max_length=80,
        required=False,
        validators=[refuse_control],
    )
    quota_gib = forms.IntegerField(
        label=_("Storage you can give, in GiB"),
        help_text=_("The node never uses more than this."),
        min_value=LEAST_GIB,
        max_value=MOST_GIB,
        initial=500,
        error_messages={
            "required": _("Enter how many GiB you can give"),
            "invalid": _("Enter a whole number of GiB"),
        },
    )
    upload_limit_mbit_s = limit_field(_("Upload limit (optional)"))
    download_limit_mbit_s = limit_field(_("Download limit (optional)"))
    works_from = hour_field(_("Works from (optional)"), _("By your machine's clock. Leave both empty for all day."))
    works_until = hour_field(_("Works until (optional)"), _("May be on the next day: from 22:00 to 07:00."))
    packages = forms.ModelMultipleChoiceField(
        DataPackage.objects.all(),
        label=_("What to protect (optional)"),
        help_text=_("Tick nothing to protect what needs it most. That is recommended: the plan follows the risk."),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    is_listed = forms.BooleanField(
        label=_("Show this node in the public list"),
        help_text=_("Its name, region, storage and state. Never your address or e-mail."),
        required=False,
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors.keys() & {"works_from", "works_until"}:
            missing = [name for name in ("works_from", "works_until") if cleaned.get(name) is None]
            if len(missing) == 1:
                self.add_error(missing[0], _("Enter both times, or none"))
        return cleaned

    def offer(self) -> Offer:
        """Give the answers of a valid form."""
        answers = self.cleaned_data
        return Offer(
            display_name=answers["display_name"],
            quota_bytes=answers["quota_gib"] * GIB,
            upload_limit_mbit_s=answers["upload_limit_mbit_s"],
            download_limit_mbit_s=answers["download_limit_mbit_s"],
            works_from=answers["works_from"],
            works_until=answers["works_until"],
            is_listed=answers["is_listed"],
        )

    @classmethod
    def showing(cls, node: Node) -> "OfferForm":
        """Give the form filled with what a node offers now."""
        names = ("display_name", "upload_limit_mbit_s", "download_limit_mbit_s", "works_from", "works_until")
        facts = {name: getattr(node, name) for name in names}
        facts |= {"is_listed": node.is_listed, "packages": node.packages.all(), "quota_gib": node.quota_bytes // GIB}
        return cls(initial=facts)


class EmailForm(forms.Form):
    """Ask for a link by e-mail."""

    email = forms.EmailField(
        label=_("E-mail"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        error_messages={
            "required": _("Enter an address like name@example.org"),
            "invalid": _("Enter an address like name@example.org"),
        },
    )


class RegisterForm(OfferForm, EmailForm):
    """Register a node. `website` is for machines that fill in everything: people do not see it."""

    operator_kind = forms.ChoiceField(
        label=_("Who runs it"),
        help_text=_("An institution is a university, library, city or lab. It counts as a separate operator."),
        choices=Node.Operator.choices,
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose who runs it")},
    )
    region = forms.ChoiceField(
        label=_("Where it stands"),
        help_text=_("Region only. Copies in different places count for more."),
        choices=sorted_regions,
        error_messages={"required": _("Choose where it stands")},
    )
    country = forms.CharField(
        label=_("Country, if outside Canada"),
        help_text=_("Two letters (ISO 3166), such as US or FR: its law applies there."),
        max_length=2,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "country", "translate": "no"}),
    )
    notes = forms.CharField(
        label=_("Anything we should know? (optional)"),
        help_text=_("Only our curators read this."),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    knows_peers = forms.BooleanField(
        label=_("I understand that other peers see this machine's IP address, as with any torrent."),
        error_messages={"required": _("Confirm that you understand that peers see the IP address")},
    )
    website = forms.CharField(required=False)
    field_order = (
        "display_name",
        "email",
        "operator_kind",
        "region",
        "country",
        "quota_gib",
        "upload_limit_mbit_s",
        "download_limit_mbit_s",
        "works_from",
        "works_until",
        "packages",
        "is_listed",
        "notes",
        "knows_peers",
        "website",
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        country = cleaned.get("country", "").upper()
        if cleaned.get("region") == Region.ABROAD:
            if country.lower() not in COUNTRIES or country == CANADA:
                self.add_error("country", _("Enter the two letters of a country other than Canada, such as US"))
        elif country not in {"", CANADA}:
            self.add_error("country", _("Leave this empty, or choose “Outside Canada” above"))
        cleaned["jurisdiction"] = country or CANADA
        return cleaned

    def registration(self) -> Registration:
        """Give the answers of a valid form."""
        answers = self.cleaned_data
        names = ("operator_kind", "email", "region", "jurisdiction", "notes")
        return Registration(
            offer=self.offer(), packages=tuple(answers["packages"]), **{name: answers[name] for name in names}
        )
