"""What tests of second thoughts share: a public dataset without files, reasons, and the words of a proposal."""

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.utils import timezone

from catalog import naming
from catalog.errors import StewardshipError
from catalog.models import Dataset, Version
from releases.models import Decision
from releases.second import second_decision
from tests import factories
from tests.releases.recipes import IDENTIFIER

NEW_NAME = "ca_example-2021A000011124_d4c-datapkg-foundation_2022_other-words"
ENGLISH, FRENCH = "The licence text was wrong.", "Le texte de licence était faux."
TEXTS = {
    "title_en": "Words",
    "title_fr": "Mots",
    "description_en": "Words, one a line.",
    "description_fr": "Des mots, un par ligne.",
    "attribution_en": "Made with words.",
    "attribution_fr": "Fait avec des mots.",
}


def dataset(identifier: str = IDENTIFIER) -> Dataset:
    parts = naming.parse(identifier)
    columns = {name: getattr(parts, name) for name in ("region", "source", "dguid", "vintage", "variant")}
    return factories.dataset(
        identifier, grade=Dataset.Grade.STRICT, package=factories.package(parts.package), **columns, **TEXTS
    )


def public(number: str = "1.0.0", of: Dataset | None = None, **fields: Any) -> Version:
    """Give a published version with its item."""
    version = factories.version(of or dataset(), number, **fields)
    factories.item(version)
    return version


def words(by: Any, **others: Any) -> dict[str, Any]:
    """Give what every proposal has."""
    return {
        "by": by,
        "channel": "command",
        "reason_en": ENGLISH,
        "reason_fr": FRENCH,
        "now": timezone.now(),
        **others,
    }


def second(decision: Decision, by: Any) -> None:
    second_decision(decision, by=by, channel="command", now=timezone.now())


def state_of(version: Version) -> str:
    return Version.objects.get(pk=version.pk).state


def at_once(*acts: Callable[[], object]) -> list[str]:
    """Run acts in threads that begin together; gives for each `done`, or the name of the error that refused it."""
    together, ends = threading.Barrier(len(acts)), []

    def attempt(act: Callable[[], object]) -> None:
        together.wait(30)
        try:
            act()
            ends.append("done")
        except StewardshipError as error:
            ends.append(type(error).__name__)
        connection.close()

    threads = [threading.Thread(target=attempt, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return sorted(ends)
