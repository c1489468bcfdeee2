"""`manage.py policy`: list, add and remove policies, with what each change would do."""

import argparse
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction
from django.utils import timezone

from catalog.management.rows import ActsCommand, Rows
from catalog.models import DataPackage, Dataset
from mirrors.models import Mirror, Policy
from mirrors.policies import Outcome, Scope, keep_policy, remove_policy


class Command(ActsCommand):
    help = "List, add and remove policies: which datasets a mirror keeps."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("list", help="show all policies")
        for name, words in (("add", "let a mirror keep something"), ("remove", "let it keep that no more")):
            one = acts.add_parser(name, help=words)
            one.add_argument("mirror", help="short name of the mirror")
            scope = one.add_mutually_exclusive_group(required=True)
            scope.add_argument("--all", action="store_true", help="every dataset")
            scope.add_argument("--package", help="the datasets of one package, by its short name")
            scope.add_argument("--dataset", help="one dataset, by its identifier")
            one.add_argument("--dry-run", action="store_true", help="say what it would do, and write nothing")
        acts.choices["add"].add_argument(
            "--best-effort", action="store_true", help="publication does not wait for it"
        )
        for one in acts.choices.values():
            one.add_argument("--json", action="store_true")

    def act_list(self, _options: dict[str, Any]) -> Rows:
        policies = Policy.objects.select_related("mirror", "package", "dataset")
        return [
            {
                "mirror": one.mirror.slug,
                "covers": str(one.dataset or one.package or "all"),
                "required": one.is_required,
            }
            for one in policies
        ]

    def act_add(self, options: dict[str, Any]) -> Rows:
        mirror, scope = found(options), scope_of(options)
        with transaction.atomic():
            outcome = keep_policy(mirror, scope, now=timezone.now())
            transaction.set_rollback(options["dry_run"])
        return rows_of(outcome)

    def act_remove(self, options: dict[str, Any]) -> Rows:
        mirror, scope = found(options), scope_of(options)
        policy = Policy.objects.filter(mirror=mirror, package=scope.package, dataset=scope.dataset).first()
        if policy is None:
            raise CommandError(f"{mirror.slug}: it has no such policy. Try policy list.")
        with transaction.atomic():
            outcome = remove_policy(policy, now=timezone.now())
            transaction.set_rollback(options["dry_run"])
        return rows_of(outcome)


def found(options: dict[str, Any]) -> Mirror:
    mirror = Mirror.objects.filter(slug=options["mirror"]).first()
    if mirror is None:
        raise CommandError(f"Mirror {options['mirror']!r}: none is registered under that name. Try mirror list.")
    return mirror


def scope_of(options: dict[str, Any]) -> Scope:
    package = dataset = None
    if options["package"]:
        package = DataPackage.objects.filter(slug=options["package"]).first()
    if options["dataset"]:
        dataset = Dataset.objects.filter(identifier=options["dataset"]).first()
    if not (options["all"] or package or dataset):
        raise CommandError(f"{options['package'] or options['dataset']}: there is nothing of that name. Look it up.")
    return Scope(package, dataset, is_required=not options.get("best_effort", False))


def rows_of(outcome: Outcome) -> Rows:
    """Say what comes, goes, stays and is left out, a line a version, and the sum."""
    parts = (("comes", outcome.added), ("goes", outcome.dropped), ("stays for ever", outcome.kept))
    rows: Rows = [
        {"what": what, "version": line.name, "files": line.files, "bytes": line.size_bytes}
        for what, lines in parts
        for line in lines
    ]
    rows += [{"what": "left out", "finding": note} for note in outcome.notes]
    summed = {"what": "then lie there", "copies": outcome.added_copies - outcome.dropped_copies}
    return [*rows, {**summed, "bytes": outcome.bytes_after, "cost a month": str(outcome.monthly_cost or "unknown")}]
