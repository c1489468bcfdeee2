"""Commands whose acts give rows: how an act is carried out or refused, and how rows are shown. The same for all."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, OutputWrapper

from catalog.errors import StewardshipError
from catalog.say import say

Rows = list[dict[str, Any]]


class ActsCommand(BaseCommand):
    """A command of which `act_<name>(options)` gives rows; a refusal ends it with its sentence.

    `would_be` stands before each line of a `--dry-run`.
    """

    would_be = ""

    def handle(self, *, act: str, **options: Any) -> None:
        self.shown(act, options)

    def shown(self, act: str, options: dict[str, Any]) -> Rows:
        """Carry an act out and show its rows, as lines or with `--json`; gives them."""
        try:
            rows = self.carry_out(act, options)
        except StewardshipError as error:
            raise CommandError(say(error)) from error
        if options["json"]:
            write_json(self.stdout, rows)
        else:
            write_lines(self.stdout, rows, self.would_be if options.get("dry_run") else "")
        return rows

    def carry_out(self, act: str, options: dict[str, Any]) -> Rows:
        rows: Rows = getattr(self, f"act_{act}")(options)
        return rows


def write_json(out: OutputWrapper, found: Any) -> None:
    out.write(json.dumps(found, ensure_ascii=False, indent=2))


def write_lines(out: OutputWrapper, rows: Iterable[Mapping[str, Any]], before: str = "") -> None:
    """Write a line a row: its values without their names, two blanks between them, and nothing for None."""
    for row in rows:
        out.write(before + "  ".join(str(value) for value in row.values() if value is not None))
