"""Recognise a rebuilder's key, and revoke one: from then on its statements are kept, or refused."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from securesystemslib.signer import SSlibKey

from catalog.naming.regions import COUNTRIES
from catalog.say import say
from releases.errors import KeyTextError, RebuilderError
from releases.models import Rebuilder, RebuilderMove, RebuilderTransition
from releases.people import require_permission
from releases.reasons import clean_reason
from releases.statements.envelopes import public_pem, read_public_key

CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
LONGEST_NAME = 120


@dataclass(frozen=True)
class RebuilderEntry:
    """What is said of a rebuilder; `public_key` is PEM."""

    name: str
    operator_kind: str
    jurisdiction: str
    public_key: str
    contact: str = ""


def recognise_rebuilder(entry: RebuilderEntry, *, by: Any, reason: str, now: datetime, channel: str) -> Rebuilder:
    """Keep a key whose statements count from now on.

    Raises NotAllowedError; ReasonError; RebuilderError (name, country, kind, no ed25519 key, a key or name that is
    here already).
    """
    key = check_rebuilder(entry, by=by, reason=reason)
    facts = {"operator_kind": entry.operator_kind, "jurisdiction": entry.jurisdiction, "contact": entry.contact}
    try:
        with transaction.atomic():
            made = Rebuilder.objects.create(
                name=entry.name, public_key=public_pem(key), keyid=key.keyid, added_at=now, **facts
            )
            move = RebuilderMove("", Rebuilder.State.RECOGNISED, by, clean_reason(reason), now, channel)
            RebuilderTransition.note(made.pk, move)
    except IntegrityError as error:
        raise is_here(entry) from error
    return made


def check_rebuilder(entry: RebuilderEntry, *, by: Any, reason: str) -> SSlibKey:
    """Refuse what `recognise_rebuilder` would refuse and write nothing; gives the key."""
    require_permission(by, "recognise", "rebuilder")
    clean_reason(reason)
    refuse_entry(entry)
    try:
        key = read_public_key(entry.public_key)
    except KeyTextError as error:
        raise RebuilderError(f"{entry.name}: {say(error)}") from error
    named = Q(name=entry.name, state=Rebuilder.State.RECOGNISED)
    if Rebuilder.objects.filter(named | Q(keyid=key.keyid)).exists():
        raise is_here(entry)
    return key


def is_here(entry: RebuilderEntry) -> RebuilderError:
    words = _("%(name)s: this name or this key is here already. A new key is a new entry: revoke the old one first.")
    return RebuilderError(words % {"name": entry.name})


def refuse_entry(entry: RebuilderEntry) -> None:
    """Raise RebuilderError unless name, country and kind can stand in a row."""
    if not 0 < len(entry.name.strip()) <= LONGEST_NAME or CONTROL.search(entry.name):
        raise RebuilderError(
            _("Give the rebuilder a name of one line, of at most %(count)d characters.") % {"count": LONGEST_NAME}
        )
    if entry.jurisdiction.lower() not in COUNTRIES or not entry.jurisdiction.isupper():
        raise RebuilderError(
            _("%(name)s: “%(code)s” is no ISO 3166-1 country code in capitals. Write it like CA.")
            % {"name": entry.name, "code": entry.jurisdiction}
        )
    if entry.operator_kind not in Rebuilder.Operator.values:
        raise RebuilderError(_("%(name)s: who runs it is “person” or “institution”.") % {"name": entry.name})


def revoke_rebuilder(rebuilder: Rebuilder, *, by: Any, reason: str, now: datetime, channel: str) -> None:
    """Refuse a key from now on; what it signed stays on the pages and counts no more.

    Raises NotAllowedError; ReasonError; RebuilderError for one that is revoked already.
    """
    require_permission(by, "recognise", "rebuilder")
    move = RebuilderMove(Rebuilder.State.RECOGNISED, Rebuilder.State.REVOKED, by, clean_reason(reason), now, channel)
    if not Rebuilder.objects.move(rebuilder.pk, move):
        raise RebuilderError(_("%(name)s: its key is revoked already. There is nothing to do.") % {"name": rebuilder})
    rebuilder.refresh_from_db()
