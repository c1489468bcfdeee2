"""One public file kept at real directories: our own storage and as many others as a test names."""

from dataclasses import dataclass, field
from pathlib import Path

from django.utils import timezone

from catalog.models import Asset
from mirrors.checks.recheck import look_again
from mirrors.models import Check, Replica
from releases.jobs import engine
from releases.models import Step
from tests import factories
from tests.factories import CONTENT

OURS = ("repair", "sweep", "recheck", "recheck-copy", "reread")


@dataclass
class Kept:
    """The file and its verified copies, by the mirror's slug."""

    folder: Path
    asset: Asset
    copies: dict[str, Replica] = field(default_factory=dict)

    def add(self, slug: str, directory: Path | None = None) -> Replica:
        """Keep one more verified copy, in a directory of its own."""
        place = directory or self.folder / slug
        copy = factories.proved(self.asset, factories.mirror(slug, endpoint=str(place)))
        path = place / copy.locator
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)
        self.copies[slug] = copy
        return copy

    def directory(self, slug: str) -> Path:
        return Path(self.copies[slug].mirror.endpoint)

    def path(self, slug: str) -> Path:
        return self.directory(slug) / self.copies[slug].locator

    def flip(self, slug: str, position: int = 77) -> None:
        """Damage one byte on disk; a negative position counts from the end."""
        content = bytearray(self.path(slug).read_bytes())
        content[position] ^= 0xFF
        self.path(slug).write_bytes(bytes(content))

    def look(self, slug: str, level: int = Check.Level.FULL) -> Check:
        return look_again(self.fresh(slug), level, now=timezone.now())

    def lose(self, slug: str) -> None:
        """Flip a byte and find it; its repair is owed and not begun."""
        self.flip(slug)
        self.look(slug)

    def fresh(self, slug: str) -> Replica:
        return Replica.objects.select_related("asset", "mirror").get(pk=self.copies[slug].pk)

    def states(self) -> dict[str, str]:
        return {slug: self.fresh(slug).state for slug in self.copies}

    def history(self, slug: str) -> list[tuple[int, str]]:
        """Give level and result of what was found since the first proof, the oldest first, without sizes that fit."""
        checks = self.copies[slug].checks.exclude(level=Check.Level.SIZE, result=Check.Result.PASSED)
        return list(checks.order_by("at", "pk").values_list("level", "result"))[1:]


def keep(storage: Path, folder: Path) -> Kept:
    """Keep a public file in our own storage and at a second mirror."""
    kept = Kept(folder, factories.asset())
    kept.add("origin", storage)
    kept.add("second")
    return kept


def mend() -> int:
    """Run what mirrors owe until nothing of it is due; gives how many attempts were made. Nothing else is run."""
    runs = 0
    while due := owed():
        runs += sum(engine.run_step(pk, has_heartbeat=False) for pk in due)
    return runs


def owed() -> list[int]:
    """Give the steps of mirrors' jobs that a worker could claim now."""
    ours = Step.objects.filter(job__pipeline__in=OURS, pk__in=engine.due_steps())
    return list(ours.order_by("pk").values_list("pk", flat=True))
