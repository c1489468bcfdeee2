"""What a crew does with each file of an ingest: probe it, or fetch it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from catalog.errors import StewardshipError
from releases.ingest.ask import Caller
from releases.ingest.errand import Announced, Errand
from releases.models import IngestFile, IngestFileQuerySet

Facts = dict[str, Any]


@dataclass(frozen=True)
class Result:
    facts: Facts
    size_bytes: int = 0


class Duty(Protocol):
    """What is done with each file. `work` runs in a thread and touches no rows."""

    state: str  # the state of the ingest while this goes on

    def rows(self) -> IngestFileQuerySet: ...
    def errand(self, row: IngestFile) -> Errand: ...
    def sent(self) -> Facts: ...
    def work(
        self, errand: Errand, caller: Caller, begun: Callable[[Announced], None], moved: Callable[[int], None]
    ) -> Result: ...
    def put_back(self, error: StewardshipError | None) -> Facts: ...
    def given_up(self, error: StewardshipError) -> Facts: ...


def announced_facts(said: Announced) -> Facts:
    return {
        "announced_bytes": said.size_bytes,
        "announced_etag": said.etag,
        "announced_last_modified": said.last_modified,
    }
