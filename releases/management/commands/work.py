"""`manage.py work`: the workers and the reconciler, in one supervised process group."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from releases.jobs import engine
from releases.jobs.cluster import run_cluster
from releases.jobs.supervise import Supervisor


class Command(BaseCommand):
    help = "Run the workers until stopped. Ctrl-C lets running steps yield at their next checkpoint."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--once", type=float, metavar="SECONDS", help="run what is due in this process, then end")
        parser.add_argument("--cluster", action="store_true", help=argparse.SUPPRESS)

    def handle(self, *, once: float | None, cluster: bool, **_: Any) -> None:
        if cluster:
            run_cluster()
        elif once is not None:
            self.stdout.write(f"{engine.drain(once)} steps run")
        else:
            Supervisor().run()
