"""`manage.py doi`: list DOIs, and bring records and DOIs to what our rows say."""

import argparse
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from catalog.management.rows import ActsCommand, Rows
from catalog.models import Dataset
from mirrors.deposits.stale import stale_rows
from mirrors.models import Doi
from releases.descriptions import request_descriptions


class Command(ActsCommand):
    help = "List DOIs, and describe again what mirrors and registrars have otherwise than we do."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("list", help="show all DOIs, their state and when they were registered")
        describing = acts.add_parser("describe", help="queue what is not up to date, as after a move of this site")
        describing.add_argument("--dry-run", action="store_true", help="show it, and queue nothing")
        for one in acts.choices.values():
            one.add_argument("dataset", nargs="?", help="identifier; all datasets if left out")
            one.add_argument("--json", action="store_true")

    def act_list(self, options: dict[str, Any]) -> Rows:
        dois = Doi.objects.filter(dataset__in=chosen(options)).select_related("dataset", "version__dataset")
        return [
            {
                "doi": one.name,
                "names": str(one.subject),
                "provider": one.provider,
                "state": one.state,
                "registered": one.registered_at.isoformat() if one.registered_at else "",
            }
            for one in dois.order_by("dataset__identifier", "name")
        ]

    def act_describe(self, options: dict[str, Any]) -> Rows:
        now, rows = timezone.now(), []
        for dataset in chosen(options):
            stale = [str(one) for one in stale_rows(dataset.pk)]
            rows += [{"dataset": dataset.identifier, "describes": one} for one in stale]
            if stale and not options["dry_run"]:
                with transaction.atomic():
                    request_descriptions(dataset.pk, cause=f"command:{dataset.pk}:{now:%Y%m%dT%H%M%S%f}", now=now)
        return rows


def chosen(options: dict[str, Any]) -> "QuerySet[Dataset]":
    datasets = Dataset.objects.order_by("identifier")
    if not options["dataset"]:
        return datasets
    datasets = datasets.filter(identifier=options["dataset"])
    if not datasets:
        raise CommandError(f"{options['dataset']}: no dataset has that identifier. Look at the list of them.")
    return datasets
