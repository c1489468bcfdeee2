"""`manage.py licences`: every installed distribution with the licence that it states."""

import argparse
from importlib.metadata import Distribution, distributions
from typing import Any

from django.core.management.base import BaseCommand

from catalog.management.rows import write_json, write_lines

PREFIX = "License :: "
LONGEST = 60


class Command(BaseCommand):
    help = "List every installed distribution with its version and licence."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        found = sorted({(one.metadata["Name"], one.version, licence(one)) for one in distributions()})
        rows = [{"name": name, "version": version, "licence": words} for name, version, words in found]
        if options["json"]:
            write_json(self.stdout, rows)
        else:
            write_lines(self.stdout, rows)


def licence(one: Distribution) -> str:
    """Give the SPDX expression, else the classifiers, else the first words of the free text."""
    metadata = one.metadata.json
    if expression := metadata.get("license_expression"):
        return str(expression)
    classified = [word.rpartition(" :: ")[2] for word in metadata.get("classifier", []) if word.startswith(PREFIX)]
    text = str(metadata.get("license") or "").strip().splitlines()
    return ", ".join(classified) or (text[0][:LONGEST] if text else "not stated")
