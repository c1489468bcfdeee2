"""`manage.py translations compile | collect | check`."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dfc_site import translations


class Command(BaseCommand):
    help = "Compile the French catalogue, collect new strings, or check that it is whole."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("act", choices=["compile", "collect", "check"])

    def handle(self, *, act: str, **_: Any) -> None:
        if act == "compile":
            translations.compile_catalogue()
        elif act == "collect":
            translations.collect()
        elif found := list(translations.findings()):
            raise CommandError("\n".join(found))
