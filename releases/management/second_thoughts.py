"""The acts of `manage.py release` that are second thoughts: what is proposed and answered, and what comes next."""

import argparse
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from catalog.models import Version
from releases.drafts.texts import COLUMNS, read_texts
from releases.find import find_dataset, find_decision, find_release
from releases.management.acts import add_version, add_writing, user_of
from releases.models import Decision, Transition
from releases.propose import propose_deprecation, propose_rename, propose_revision, propose_withdrawal
from releases.renew import renewed_definition
from releases.request_changes import request_changes
from releases.second import refuse_decision, second_decision

CHANNEL = Transition.Channel.COMMAND
LISTED = 200
Options = dict[str, Any]
Adder = Any  # what `add_subparsers` gives


def add_acts(acts: Adder) -> None:
    for act, text in (
        ("deprecate", "Propose to deprecate a version: it stays public with a warning"),
        ("withdraw", "Propose to withdraw a version: a page with its digests is all that remains"),
    ):
        one = acts.add_parser(act, help=text)
        add_version(one)
        one.add_argument("--instead", default="", metavar="VERSION", help="the version to use instead")
        add_proposing(one)
    add_dataset_acts(acts)
    add_answers(acts)
    one = acts.add_parser("request-changes", help="Send a release in review back to its author")
    add_version(one)
    one.add_argument("--reason", required=True)
    add_writing(one)
    one = acts.add_parser("next", help="Print the release.toml of a published version with the next number")
    add_version(one)
    one.add_argument("--number", dest="wanted", default="", help="default: the next minor number that is free")
    one.add_argument("--json", action="store_true")


def add_dataset_acts(acts: Adder) -> None:
    one = acts.add_parser("rename", help="Propose another identifier for a dataset")
    one.add_argument("dataset")
    one.add_argument("new", metavar="new-identifier")
    add_proposing(one)
    one = acts.add_parser("revise", help="Propose other texts for a dataset; what is not given stays")
    one.add_argument("dataset")
    one.add_argument(
        "--from", dest="texts", type=Path, metavar="revision.toml", help="title, description, … and reason"
    )
    for column in COLUMNS:
        one.add_argument(
            f"--{column.replace('_', '-')}", help="one a line" if column.startswith("keywords") else None
        )
    add_proposing(one, is_required=False)


def add_answers(acts: Adder) -> None:
    for act, text in (
        ("second", "Take what somebody else proposed"),
        ("refuse", "Refuse what somebody proposed; take back what you proposed"),
    ):
        one = acts.add_parser(act, help=text)
        one.add_argument("decision", type=int)
        if act == "refuse":
            one.add_argument("--reason", default="")
        add_writing(one)
    one = acts.add_parser("decisions", help="List decisions, the newest first")
    one.add_argument("dataset", nargs="?")
    one.add_argument("--all", action="store_true", help="also those that are answered")
    one.add_argument("--json", action="store_true")


def add_proposing(parser: argparse.ArgumentParser, *, is_required: bool = True) -> None:
    for language in ("en", "fr"):
        parser.add_argument(f"--reason-{language}", required=is_required, default="", help="the public reads it")
    add_writing(parser)


def proposing(options: Options) -> dict[str, Any]:
    """Give what every proposal has."""
    return {
        "by": user_of(options),
        "channel": CHANNEL,
        "reason_en": options["reason_en"],
        "reason_fr": options["reason_fr"],
        "now": timezone.now(),
    }


def version_of(options: Options) -> Version:
    return find_release(options["dataset"], options["number"]).version


def replacement_of(options: Options) -> Version | None:
    return find_release(options["dataset"], options["instead"]).version if options["instead"] else None


def deprecate(options: Options) -> dict[str, Any]:
    return described(
        propose_deprecation(version_of(options), replacement=replacement_of(options), **proposing(options))
    )


def withdraw(options: Options) -> dict[str, Any]:
    return described(
        propose_withdrawal(version_of(options), replacement=replacement_of(options), **proposing(options))
    )


def rename(options: Options) -> dict[str, Any]:
    return described(propose_rename(find_dataset(options["dataset"]), options["new"], **proposing(options)))


def revise(options: Options) -> dict[str, Any]:
    texts = read_file(options) | {column: options[column] for column in COLUMNS if options[column] is not None}
    return described(propose_revision(find_dataset(options["dataset"]), texts, **proposing(options)))


def read_file(options: Options) -> dict[str, str]:
    """Read the texts of a revision.toml; its reasons stand in where no flag has them."""
    path: Path | None = options["texts"]
    if path is None:
        return {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: cannot be read ({error}). Name a revision.toml.") from error
    reason = document.pop("reason", {})
    for language in ("en", "fr"):
        given = reason.get(language, "") if isinstance(reason, dict) else ""
        options[f"reason_{language}"] = options[f"reason_{language}"] or str(given)
    return read_texts(document)


def second(options: Options) -> dict[str, Any]:
    decision = find_decision(options["decision"])
    second_decision(decision, by=user_of(options), channel=CHANNEL, now=timezone.now())
    return described(decision)


def refuse(options: Options) -> dict[str, Any]:
    decision = find_decision(options["decision"])
    refuse_decision(decision, by=user_of(options), channel=CHANNEL, reason=options["reason"], now=timezone.now())
    return described(decision)


def decisions(options: Options) -> dict[str, Any]:
    found = Decision.objects.select_related("dataset", "version__dataset", "proposer", "seconder")
    if not options["all"]:
        found = found.proposed()
    if options["dataset"]:
        found = found.filter(dataset=find_dataset(options["dataset"]))
    return {"decisions": [described(decision) for decision in found[:LISTED]]}


def send_back(options: Options) -> dict[str, Any]:
    release = find_release(options["dataset"], options["number"])
    request_changes(release, by=user_of(options), channel=CHANNEL, reason=options["reason"], now=timezone.now())
    return {"release": str(release.version), "state": release.state}


def renew(options: Options) -> dict[str, Any]:
    return {"definition": renewed_definition(find_release(options["dataset"], options["number"]), options["wanted"])}


def described(decision: Decision) -> dict[str, Any]:
    return {
        "decision": decision.pk,
        "kind": decision.kind,
        "subject": str(decision.subject),
        "state": decision.state,
        "proposer": str(decision.proposer),
        "seconder": str(decision.seconder) if decision.seconder else None,
    }


ACTS: dict[str, Callable[[Options], dict[str, Any]]] = {
    "deprecate": deprecate,
    "withdraw": withdraw,
    "rename": rename,
    "revise": revise,
    "second": second,
    "refuse": refuse,
    "decisions": decisions,
    "request-changes": send_back,
    "next": renew,
}
