"""Many files at once, within one step of the durable engine: threads ask, and this thread alone writes rows.

- Rows are the truth: what became of a file is committed as soon as it is known, under the fence of the step, so that
  a killed worker costs what was under way and a worker that lost its lease writes nothing.
- What a server announces is committed before the bytes that it belongs to; so they are never taken for others.
- A pause, another concurrency and a file that a person sends again are seen within a second.
- How often and when a file is tried again is decided here and nowhere else.
"""

import queue
import random
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from catalog.errors import PersonMustActError, StewardshipError, TryLaterError
from releases.errors import UpstreamUnavailableError
from releases.ingest.ask import Caller, Manners
from releases.ingest.duty import Duty, Facts, announced_facts
from releases.ingest.errand import Announced, Errand
from releases.ingest.hosts import Hosts, Waiting
from releases.jobs.context import StepContext, stopping
from releases.jobs.errors import StepYielded
from releases.models import Ingest, IngestFile
from releases.models.ingest import MOST_AT_ONCE

LOOK_EVERY_S = 0.5
AT_ONE_TIME = 200
LONGEST_PAUSE_S = 60.0
OVERLOADED = {429, 503}


@dataclass(frozen=True)
class Said:
    """A server announced something other than the row says; `durable` is set once the row says it too."""

    row: int
    announced: Announced
    durable: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Ended:
    """One try is over: with the facts of the row and the bytes of the file, or with an error."""

    row: int
    facts: Facts = field(default_factory=dict)
    size_bytes: int = 0
    error: Exception | None = None


@dataclass
class UnderWay:
    waiting: Waiting
    attempts: int
    expected_bytes: int


class Crew:
    """Does its duty to every row, until none is left or the ingest leaves the state of the duty."""

    def __init__(self, step: StepContext, ingest: Ingest, duty: Duty, manners: Manners) -> None:
        self.step, self.ingest, self.duty, self.manners = step, ingest, duty, manners
        self.hosts = Hosts(settings.DFC_INGEST_PER_HOST)
        self.in_hand: set[int] = set()
        self.under_way: dict[int, UnderWay] = {}
        self.moved: dict[int, int] = {}
        self.unwritten: list[tuple[int, Facts]] = []
        self.events: queue.SimpleQueue[Said | Ended] = queue.SimpleQueue()
        self.pool = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="ingest")
        self.callers: list[Caller] = []
        self.own = threading.local()
        self.is_ending = threading.Event()
        self.looked_s = float("-inf")
        self.concurrency = ingest.concurrency
        self.tally: dict[str, int] = {"files": 0, "bytes": 0, **step.load()}

    def run(self) -> None:
        """Return when nothing is left to do, or when all that was under way has been called back."""
        try:
            self.take_stock()
            while self.under_way or (self.hosts and not self.is_ending.is_set()):
                self.look()
                self.send_out()
                self.note(self.heard())
                self.show()
            self.step.save(self.tally)  # a worker that is being stopped goes no further
        finally:
            self.call_back()
            self.pool.shutdown(wait=True, cancel_futures=True)
            for caller in self.callers:
                caller.close()

    # What there is to do

    def take_stock(self) -> None:
        """Find the rows that are owed; the first attempt of a step counts them, for the progress."""
        rows = list(self.duty.rows().order_by("position").values_list("position", "pk", "url", "announced_bytes"))
        for position, row, url, _bytes in rows:
            if row not in self.in_hand:
                self.in_hand.add(row)
                self.hosts.add(Waiting(position, row, urlsplit(url).netloc))
        self.tally["of"] = max(self.tally.get("of", 0), self.tally["files"] + len(rows))
        self.tally.setdefault("of_bytes", sum(one[3] or 0 for one in rows))
        self.keep([])

    def look(self) -> None:
        """See what people have changed meanwhile, now and then."""
        now_s = time.monotonic()
        if self.is_ending.is_set() or now_s - self.looked_s < LOOK_EVERY_S:
            return
        self.looked_s = now_s
        state, self.concurrency = Ingest.objects.values_list("state", "concurrency").get(pk=self.ingest.pk)
        if state != self.duty.state or stopping.is_set():
            self.call_back()
        elif self.duty.rows().count() > len(self.in_hand):
            self.take_stock()

    def send_out(self) -> None:
        """Begin as many files as may be under way."""
        chosen: dict[int, Waiting] = {}
        while not self.is_ending.is_set() and len(self.under_way) + len(chosen) < self.concurrency:
            waiting = self.hosts.next(time.monotonic())
            if waiting is None:
                break
            chosen[waiting.row] = waiting
        for row in IngestFile.objects.filter(pk__in=list(chosen)).order_by("position") if chosen else ():
            self.send(chosen[row.pk], row)

    def send(self, waiting: Waiting, row: IngestFile) -> None:
        self.under_way[row.pk] = UnderWay(waiting, row.attempts, row.announced_bytes or 0)
        if sent := self.duty.sent():
            self.unwritten.append((row.pk, sent))
        self.pool.submit(self.try_once, self.duty.errand(row))

    # In the threads

    def try_once(self, errand: Errand) -> None:
        try:
            result = self.duty.work(
                errand,
                self.caller(),
                lambda announced: self.say(errand.row, announced),
                lambda done: self.moved.__setitem__(errand.row, done),
            )
        except Exception as error:  # noqa: BLE001  a worker's top: the step's own thread raises what is no refusal
            self.events.put(Ended(errand.row, error=error))
        else:
            self.events.put(Ended(errand.row, result.facts, result.size_bytes))

    def caller(self) -> Caller:
        """Give this thread's own caller."""
        if not hasattr(self.own, "caller"):
            self.own.caller = Caller(self.manners)
            self.callers.append(self.own.caller)
            if self.is_ending.is_set():
                self.own.caller.hang_up()
        found: Caller = self.own.caller
        return found

    def say(self, row: int, announced: Announced) -> None:
        """Return when the row says what was announced; raises UpstreamUnavailableError when all is called back."""
        said = Said(row, announced)
        self.events.put(said)
        while not said.durable.wait(LOOK_EVERY_S):
            if self.is_ending.is_set():
                raise UpstreamUnavailableError(f"File {row}: this work is being stopped.")

    # What became of it

    def heard(self) -> list[Said | Ended]:
        """Wait a moment for news and give all that there are."""
        found: list[Said | Ended] = []
        with suppress(queue.Empty):
            found.append(self.events.get(timeout=self.patience_s()))
            while len(found) < AT_ONE_TIME:
                found.append(self.events.get_nowait())
        return found

    def patience_s(self) -> float:
        change_s = self.hosts.next_change_s()
        if change_s is None or len(self.under_way) >= self.concurrency:
            return LOOK_EVERY_S
        return min(LOOK_EVERY_S, max(0.01, change_s - time.monotonic()))

    def note(self, news: Iterable[Said | Ended]) -> None:
        news = list(news)
        writes, self.unwritten = self.unwritten, []
        writes += [(one.row, announced_facts(one.announced)) for one in news if isinstance(one, Said)]
        writes += [(one.row, self.outcome(one)) for one in news if isinstance(one, Ended)]
        if writes:
            self.keep(writes, is_headway=any(isinstance(one, Ended) and one.error is None for one in news))
        for one in news:
            if isinstance(one, Said):
                one.durable.set()

    def outcome(self, ended: Ended) -> Facts:
        """Give what a row says after a try, and decide about the next one."""
        task = self.under_way.pop(ended.row)
        self.moved.pop(ended.row, None)
        if ended.error is None:
            self.hosts.answered(task.waiting.host)
            self.count(task, ended.size_bytes)
            return {**ended.facts, "attempts": task.attempts + 1}
        if self.is_ending.is_set() and isinstance(ended.error, TryLaterError):
            self.hosts.failed(task.waiting.host)
            return self.duty.put_back(None)
        if isinstance(ended.error, TryLaterError):
            return self.later(task, ended.error)
        if isinstance(ended.error, PersonMustActError):
            self.hosts.answered(task.waiting.host)
            return self.give_up(task, ended.error)
        raise ended.error

    def later(self, task: UnderWay, error: TryLaterError) -> Facts:
        """Put a file back for a while, as long as its server asks for; or give it up after the last try."""
        asked_s = float(str(error.facts.get("after_s") or 0))
        due_s = time.monotonic() + max(asked_s, backoff_s(task.attempts + 1))
        if error.facts.get("status") in OVERLOADED:
            self.hosts.overloaded(task.waiting.host, due_s)
        else:
            self.hosts.failed(task.waiting.host)
        if task.attempts + 1 >= settings.DFC_INGEST_ATTEMPTS or asked_s > settings.DFC_INGEST_PATIENCE_S:
            return self.give_up(task, error)
        self.hosts.add_later(task.waiting, due_s)
        return {**self.duty.put_back(error), "attempts": task.attempts + 1}

    def give_up(self, task: UnderWay, error: StewardshipError) -> Facts:
        self.count(task, 0)
        return {**self.duty.given_up(error), "attempts": task.attempts + 1}

    def count(self, task: UnderWay, size_bytes: int) -> None:
        """Count a file that needs no other try; the bytes in all follow what they really were."""
        self.in_hand.discard(task.waiting.row)
        self.tally["files"] += 1
        self.tally["bytes"] += size_bytes
        self.tally["of_bytes"] += size_bytes - task.expected_bytes

    def keep(self, writes: Iterable[tuple[int, Facts]], *, is_headway: bool = False) -> None:
        """Write rows and progress in one transaction under the fence of the step."""
        with transaction.atomic():
            with suppress(StepYielded):  # seen by `look`, when all that was under way has been written
                self.step.save(self.tally, is_headway=is_headway)
            for row, facts in writes:
                IngestFile.objects.filter(pk=row).update(**facts)

    def show(self) -> None:
        if not self.is_ending.is_set():
            with suppress(StepYielded):
                self.step.progress(
                    done_bytes=self.tally["bytes"] + sum(self.moved.copy().values()),
                    total_bytes=self.tally["of_bytes"],
                    done_units=self.tally["files"],
                    total_units=self.tally["of"],
                )

    def call_back(self) -> None:
        """End every conversation; what came is kept for the next try."""
        self.is_ending.set()
        for caller in self.callers:
            caller.hang_up()


def backoff_s(attempts: int) -> float:
    """Double with each attempt, between half and one and a half of it so that many do not come back at once."""
    longest = min(settings.DFC_INGEST_BACKOFF_S * 2.0 ** (attempts - 1), LONGEST_PAUSE_S)
    return longest * random.uniform(0.5, 1.5)  # noqa: S311  jitter, not a secret
