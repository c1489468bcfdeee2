"""`manage.py doctor`: say whether this machine has what the settings ask for."""

import argparse
import dataclasses
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

import catalog.checkup
import mirrors.checkup
import releases.checkup
from catalog.management.rows import write_json


class Command(BaseCommand):
    help = "Look at what this installation needs of its machine; exit code 1 if what the settings ask for is absent."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        found = [*catalog.checkup.checks(), *releases.checkup.checks(), *mirrors.checkup.checks()]
        if options["json"]:
            write_json(self.stdout, [dataclasses.asdict(one) for one in found])
        else:
            for one in found:
                self.stdout.write(f"{one.state:<8} {one.name:<12} {one.found}")
                if one.remedy:
                    self.stdout.write(f"{'':<21} {one.remedy}")
        absent = [one.name for one in found if one.state == catalog.checkup.ABSENT]
        if absent:
            raise CommandError(_("Absent: %s.") % ", ".join(absent))
