"""`manage.py node forget`: delete what volunteers' registrations leave behind and nobody needs any more."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from swarm.forget import forget


class Command(BaseCommand):
    help = "Work on volunteers' nodes."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("forget", help="erase what is due by the rules of swarm/forget.py; call it once a day")

    def handle(self, **_: Any) -> None:
        self.stdout.write(f"{forget(timezone.now())} nodes erased")
