"""`manage.py serve`: everything that ./run runs, until Ctrl-C."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand

from dfc_site.serve import Group, programs


class Command(BaseCommand):
    help = "Run web server, mirror server, workers, seeder and demonstration on this machine."

    def handle(self, **_: Any) -> None:
        wanted = programs(os.environ.get("DFC_MIRROR_PORT", "8001"))
        sys.exit(Group(wanted, self.stdout.write).run())
