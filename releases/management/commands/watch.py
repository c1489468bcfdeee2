"""`manage.py watch`: look upstream now, list what was found, dismiss it; as in the admin."""

import argparse
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction
from django.utils import timezone

from catalog.management.rows import ActsCommand, Rows
from catalog.models import Dataset
from releases.dismiss import dismiss_notice
from releases.management.acts import add_writing, user_of
from releases.models import UpstreamNotice
from releases.watch import look_upstream


class Command(ActsCommand):
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

    def act_look(self, options: dict[str, Any]) -> Rows:
        dataset = Dataset.objects.filter(identifier=options["dataset"]).first()
        if dataset is None:
            raise CommandError(f"{options['dataset']}: there is no such dataset. Look at the list of datasets.")
        look_upstream(dataset)
        return self.act_list(options)

    def act_list(self, _options: dict[str, Any]) -> Rows:
        return [describe(one) for one in UpstreamNotice.objects.open().select_related("watched__dataset")]

    def act_dismiss(self, options: dict[str, Any]) -> Rows:
        notice = UpstreamNotice.objects.select_related("watched__dataset").filter(pk=options["notice"]).first()
        if notice is None:
            raise CommandError(f"Notice {options['notice']}: there is none of that number. Look at the list.")
        with transaction.atomic():
            dismiss_notice(notice, by=user_of(options), now=timezone.now())
            transaction.set_rollback(options["dry_run"])
        return [describe(notice)]


def describe(notice: UpstreamNotice) -> dict[str, Any]:
    return {
        "notice": notice.pk,
        "dataset": notice.watched.dataset.identifier,
        "kind": notice.kind,
        "finding": notice.finding,
        "found_at": notice.found_at.isoformat(),
    }
