"""`manage.py rebuilder`: recognise, revoke and list the keys of those who rebuild."""

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction
from django.utils import timezone

from catalog.management.rows import ActsCommand, Rows
from releases.management.acts import add_writing, user_of
from releases.models import Rebuilder
from releases.models.attestation import Channel
from releases.statements.recognise import RebuilderEntry, recognise_rebuilder, revoke_rebuilder


class Command(ActsCommand):
    help = "Recognise, revoke and list rebuilders' keys."
    would_be = "Would be: "

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        add = acts.add_parser("add", help="recognise a key")
        add.add_argument("name", help="shown in public")
        add.add_argument("--key", type=Path, required=True, metavar="FILE", help="public key in PEM")
        add.add_argument("--kind", choices=Rebuilder.Operator.values, default=Rebuilder.Operator.PERSON)
        add.add_argument("--jurisdiction", required=True, help="ISO 3166-1 country code, such as CA")
        add.add_argument("--contact", default="", help="e-mail address, never shown in public")
        revoke = acts.add_parser("revoke", help="refuse a key from now on")
        revoke.add_argument("keyid")
        for one in (add, revoke):
            one.add_argument("--reason", required=True)
            add_writing(one)
        acts.add_parser("list", help="show all rebuilders").add_argument("--json", action="store_true")

    def carry_out(self, act: str, options: dict[str, Any]) -> Rows:
        """Carry an act out in a transaction, which a rehearsal undoes."""
        with transaction.atomic():
            rows = super().carry_out(act, options)
            transaction.set_rollback(bool(options.get("dry_run")))
        return rows

    def act_add(self, options: dict[str, Any]) -> Rows:
        try:
            key = options["key"].read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(
                f"{options['key']}: cannot be read ({error}). Name a file with a public key."
            ) from error
        entry = RebuilderEntry(options["name"], options["kind"], options["jurisdiction"], key, options["contact"])
        by, reason = user_of(options), options["reason"]
        made = recognise_rebuilder(entry, by=by, reason=reason, now=timezone.now(), channel=Channel.COMMAND)
        return [described(made)]

    def act_revoke(self, options: dict[str, Any]) -> Rows:
        found = Rebuilder.objects.filter(keyid=options["keyid"]).first()
        if found is None:
            raise CommandError(f"{options['keyid']}: no rebuilder has that key. Try rebuilder list.")
        by, reason = user_of(options), options["reason"]
        revoke_rebuilder(found, by=by, reason=reason, now=timezone.now(), channel=Channel.COMMAND)
        return [described(found)]

    def act_list(self, _options: dict[str, Any]) -> Rows:
        return [described(one) for one in Rebuilder.objects.all()]


def described(one: Rebuilder) -> dict[str, Any]:
    return {"rebuilder": one.name, "state": one.state, "jurisdiction": one.jurisdiction, "keyid": one.keyid}
