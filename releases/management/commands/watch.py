"""`manage.py watch`: look upstream now, list what was found, dismiss it; as in the admin."""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from catalog.errors import StewardshipError
from catalog.models import Dataset
from releases.dismiss import dismiss_notice
from releases.management.acts import add_writing, user_of
from releases.models import UpstreamNotice
from releases.watch import look_upstream

Rows = list[dict[str, Any]]


class Command(BaseCommand):
    help = "Look whether sources and licences are as they were; list and dismiss what was found."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        look = acts.add_parser("look", help="look at the addresses of one dataset now")
        look.add_argument("dataset")
        for one in (look, acts.add_parser("list", help="show the open notices")):
            one.add_argument("--json", action="store_true")
        dismiss = acts.add_parser("dismiss", help="end a notice of which no new version is made")
        dismiss.add_argument("notice", type=int, metavar="NUMBER")
        add_writing(dismiss)

    def handle(self, *, act: str, **options: Any) -> None:
        try:
            rows: Rows = self.rehearse(options) if options.get("dry_run") else getattr(self, act)(options)
        except StewardshipError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(rows, ensure_ascii=False, indent=2))
        else:
            for row in rows:
                self.stdout.write("  ".join(str(value) for value in row.values()))

    def rehearse(self, options: dict[str, Any]) -> Rows:
        """Dismiss in a transaction that is undone."""
        with transaction.atomic():
            rows = self.dismiss(options)
            transaction.set_rollback(True)
        return rows

    def look(self, options: dict[str, Any]) -> Rows:
        dataset = Dataset.objects.filter(identifier=options["dataset"]).first()
        if dataset is None:
            raise CommandError(f"{options['dataset']}: there is no such dataset. Look at the list of datasets.")
        look_upstream(dataset)
        return self.list(options)

    def list(self, _options: dict[str, Any]) -> Rows:
        return [describe(one) for one in UpstreamNotice.objects.open().select_related("watched__dataset")]

    def dismiss(self, options: dict[str, Any]) -> Rows:
        notice = UpstreamNotice.objects.select_related("watched__dataset").filter(pk=options["notice"]).first()
        if notice is None:
            raise CommandError(f"Notice {options['notice']}: there is none of that number. Look at the list.")
        dismiss_notice(notice, by=user_of(options), now=timezone.now())
        return [describe(notice)]


def describe(notice: UpstreamNotice) -> dict[str, Any]:
    return {
        "notice": notice.pk,
        "dataset": notice.watched.dataset.identifier,
        "kind": notice.kind,
        "finding": notice.finding,
        "found_at": notice.found_at.isoformat(),
    }
