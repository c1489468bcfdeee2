"""What the acts of `manage.py release` share: their arguments, who acts, and how an act is rehearsed and shown."""

import argparse
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError


def add_version(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    parser.add_argument("dataset", nargs=nargs)
    parser.add_argument("number", nargs=nargs, metavar="version")


def add_writing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", required=True, metavar="USER")
    parser.add_argument("--dry-run", action="store_true", help="check everything, change nothing")
    parser.add_argument("--json", action="store_true")


def user_of(options: dict[str, Any]) -> Any:
    """Give the person of `--by`; raises CommandError unless there is one who is active."""
    found = get_user_model().objects.filter(username=options["by"], is_active=True).first()
    if found is None:
        raise CommandError(f"--by {options['by']}: no active user of that name. Make one with createsuperuser.")
    return found
