"""`manage.py doi`: list DOIs, and bring records and DOIs to what our rows say."""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from catalog.models import Dataset
from mirrors.deposits.stale import stale_rows
from mirrors.models import Doi
from releases.descriptions import request_descriptions

Rows = list[dict[str, Any]]


class Command(BaseCommand):
    help = "List DOIs, and describe again what mirrors and registrars have otherwise than we do."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("list", help="show all DOIs, their state and when they were registered")
        describing = acts.add_parser("describe", help="queue what is not up to date, as after a move of this site")
        describing.add_argument("--dry-run", action="store_true", help="show it, and queue nothing")
        for one in acts.choices.values():
            one.add_argument("dataset", nargs="?", help="identifier; all datasets if left out")
            one.add_argument("--json", action="store_true")

    def handle(self, *, act: str, **options: Any) -> None:
        datasets = Dataset.objects.order_by("identifier")
        if options["dataset"]:
            datasets = datasets.filter(identifier=options["dataset"])
            if not datasets:
                raise CommandError(f"{options['dataset']}: no dataset has that identifier. Look at the list of them.")
        rows: Rows = getattr(self, f"act_{act}")(datasets, options)
        if options["json"]:
            self.stdout.write(json.dumps(rows, ensure_ascii=False, indent=2))
        else:
            for row in rows:
                self.stdout.write("  ".join(str(value) for value in row.values()))

    def act_list(self, datasets: Any, _options: dict[str, Any]) -> Rows:
        dois = Doi.objects.filter(dataset__in=datasets).select_related("dataset", "version__dataset")
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

    def act_describe(self, datasets: Any, options: dict[str, Any]) -> Rows:
        now, rows = timezone.now(), []
        for dataset in datasets:
            stale = [str(one) for one in stale_rows(dataset.pk)]
            rows += [{"dataset": dataset.identifier, "describes": one} for one in stale]
            if stale and not options["dry_run"]:
                with transaction.atomic():
                    request_descriptions(dataset.pk, cause=f"command:{dataset.pk}:{now:%Y%m%dT%H%M%S%f}", now=now)
        return rows
