"""Watch upstream: ask the servers of a dataset's sources and licence whether all is as it was. Nothing is fetched.

1. Watched are the sources of the newest published version, and the page of the licence.
2. A source is asked for on condition. It changed if its ETag, or else its date, or else its length is another one.
3. It moved if only lasting redirects lead elsewhere. It is gone after GONE_AFTER looks in a row that found nothing.
4. A licence's page is compared by the words that people read in it.
5. Silence is no verdict. One notice stands for one finding; it ends by itself when the finding is true no longer, and
   what a person dismissed does not come back until something else is found.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from html.parser import HTMLParser

from django.db import transaction
from django.utils import timezone

from catalog.errors import StewardshipError
from catalog.models import Dataset, Version
from releases.errors import UpstreamRefusedError
from releases.ingest.ask import Answer, Caller
from releases.ingest.errand import OK, PARTIAL, UNCHANGED, Announced, announced, refuse_busy
from releases.ingest.manners import manners
from releases.ingest.probe import NO_HEAD
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import IngestFile, SourceFile, UpstreamNotice, WatchedAddress

GONE = {404, 410}
GONE_AFTER = 3
PAGE_BYTES = 8 << 20
Kind = UpstreamNotice.Kind
SILENT_TAGS = {"script", "style", "template", "noscript"}


@dataclass(frozen=True)
class Look:
    """What a look at an address gave: notices by kind, as what was seen and words; and what is known from now on."""

    found: dict[str, tuple[str, str]]
    known: dict[str, object]


def expand_watch(_period: int) -> Sequence[StepSpec]:
    """One step a dataset that the public can see."""
    datasets = Dataset.objects.filter(versions__state=Version.State.PUBLISHED).distinct().order_by("pk")
    return [StepSpec("releases.watch.watch_once", one.pk, one.identifier, is_required=False) for one in datasets]


def watch_once(step: StepContext, dataset_id: int) -> None:
    """Look at every address of one dataset. Safe to run twice."""
    look_upstream(
        Dataset.objects.get(pk=dataset_id),
        progress=lambda done, total: step.progress(done_units=done, total_units=total),
    )


def ignore(_done: int, _total: int) -> None:
    """Take progress that nobody asked for."""


def look_upstream(dataset: Dataset, *, progress: Callable[[int, int], None] = ignore) -> None:
    """Look at every address of one dataset now, one after another; `progress` is told how many are done."""
    watched = watched_addresses(dataset, now=timezone.now())
    with closing(Caller(manners(dataset.identifier))) as caller:
        for done, one in enumerate(watched, 1):
            watch_address(one, caller, now=timezone.now())
            progress(done, len(watched))


def watched_addresses(dataset: Dataset, *, now: datetime) -> list[WatchedAddress]:
    """Bring the rows to what the newest published version and its licence name, and give them.

    Notices about what is named no longer end.
    """
    version = Version.objects.latest_of(dataset)
    if version is None:
        return []
    rows = [source_row(dataset, one) for one in SourceFile.objects.filter(release__version=version)]
    if dataset.licence.url:
        kind = WatchedAddress.Kind.LICENCE
        rows.append(WatchedAddress.objects.get_or_create(dataset=dataset, kind=kind, url=dataset.licence.url)[0])
    left = UpstreamNotice.objects.open().filter(watched__dataset=dataset).exclude(watched__in=rows)
    left.update(ended_at=now)
    return rows


def source_row(dataset: Dataset, source: SourceFile) -> WatchedAddress:
    """Give the row of a source; for other bytes than before it begins anew, from what the ingest kept of them."""
    row, _new = WatchedAddress.objects.get_or_create(dataset=dataset, kind=WatchedAddress.Kind.SOURCE, url=source.url)
    if row.about != source.sha256:
        kept = IngestFile.objects.kept().filter(url=source.url, sha256=source.sha256).order_by("-finished_at").first()
        row.about, row.size_bytes, row.gone_times = source.sha256, source.size_bytes, 0
        row.etag, row.last_modified = (kept.etag, kept.last_modified) if kept else ("", "")
        row.save()
    return row


def watch_address(watched: WatchedAddress, caller: Caller, *, now: datetime) -> None:
    """Look at one address and note what follows; a server that does not answer changes nothing."""
    look_at = look_at_licence if watched.kind == WatchedAddress.Kind.LICENCE else look_at_source
    try:
        look = look_at(watched, caller, now)
    except StewardshipError as error:
        status = error.facts.get("status")
        if not isinstance(error, UpstreamRefusedError) or status not in GONE:
            return
        look = missing(watched, int(str(status)))
    note(watched, look, now=now)


def missing(watched: WatchedAddress, status: int) -> Look:
    times = watched.gone_times + 1
    words = f"{watched.url}: status {status}, {times} times in a row."
    return Look({Kind.GONE: (str(status), words)} if times >= GONE_AFTER else {}, {"gone_times": times})


def look_at_source(watched: WatchedAddress, caller: Caller, now: datetime) -> Look:
    known = Announced(watched.size_bytes, watched.etag, watched.last_modified)
    conditions = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    headers = {name: text for name, text in conditions.items() if text}
    with caller.ask("HEAD", watched.url, headers) as answer:
        if answer.status not in NO_HEAD:
            return compare(watched, answer, known, now)
    with caller.ask("GET", watched.url, {**headers, "Range": "bytes=0-0"}) as answer:
        return compare(watched, answer, known, now)


def compare(watched: WatchedAddress, answer: Answer, known: Announced, now: datetime) -> Look:
    """Say whether an answer is about the content that we know, and whether it came from another address."""
    refuse_other(answer, {OK, PARTIAL, UNCHANGED}, now)
    found = moved(watched, answer)
    if answer.status == UNCHANGED:
        return Look(found, {"gone_times": 0})
    said = announced(answer)
    difference = difference_of(known, said)
    if difference:
        found[Kind.CHANGED] = (difference, f"{watched.url}: {difference}.")
        return Look(found, {"gone_times": 0})
    fresh = {"etag": known.etag or said.etag, "last_modified": known.last_modified or said.last_modified}
    return Look(found, {"gone_times": 0, **fresh})


def moved(watched: WatchedAddress, answer: Answer) -> dict[str, tuple[str, str]]:
    words = f"{watched.url}: it moved for good to {answer.url}."
    return {Kind.MOVED: (answer.url, words)} if answer.is_moved else {}


def difference_of(known: Announced, said: Announced) -> str:
    """Say in what two announcements differ, by the strongest sign that both have; nothing if they do not."""
    if known.etag and said.etag:
        return "" if weak(known.etag) == weak(said.etag) else f"its ETag is {said.etag}, it was {known.etag}"
    if known.last_modified and said.last_modified:
        is_same = known.last_modified == said.last_modified
        return "" if is_same else f"it is of {said.last_modified}, it was of {known.last_modified}"
    if known.size_bytes is not None and said.size_bytes is not None and known.size_bytes != said.size_bytes:
        return f"it has {said.size_bytes} bytes, it had {known.size_bytes}"
    return ""


def weak(etag: str) -> str:
    return etag.removeprefix("W/")


def refuse_other(answer: Answer, expected: set[int], now: datetime) -> None:
    refuse_busy(answer, now=now)
    if answer.status not in expected:
        raise UpstreamRefusedError(f"{answer.url}: it answered with status {answer.status}.", status=answer.status)


def look_at_licence(watched: WatchedAddress, caller: Caller, now: datetime) -> Look:
    with caller.ask("GET", watched.url) as answer:
        refuse_other(answer, {OK}, now)
        digest = words_digest(page(answer))
        found = moved(watched, answer)
    if watched.about and watched.about != digest:
        found[Kind.LICENCE] = (digest, f"{watched.url}: its words are others than at the look before. Read it again.")
        return Look(found, {"gone_times": 0})
    return Look(found, {"gone_times": 0, "about": digest})


def page(answer: Answer) -> bytes:
    """Read a page, as far as it is of a page's length."""
    content = b""
    for block in answer.blocks():
        content += block
        if len(content) > PAGE_BYTES:
            break
    return content[:PAGE_BYTES]


class Words(HTMLParser):
    """Collects the words of a page that people read."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.silent += tag in SILENT_TAGS

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in SILENT_TAGS and self.silent > 0

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.found += data.split()


def words_digest(content: bytes) -> str:
    """Give the SHA-256 of the words of a page: what its machinery changes with every answer is left out."""
    parser = Words()
    parser.feed(content.decode("utf-8", "replace"))
    return hashlib.sha256(" ".join(parser.found).encode()).hexdigest()


def note(watched: WatchedAddress, look: Look, *, now: datetime) -> None:
    """Write what a look gave: one notice a finding, and the end of those that are true no longer."""
    with transaction.atomic():
        WatchedAddress.objects.filter(pk=watched.pk).update(checked_at=now, **look.known)
        watched.notices.open().exclude(kind__in=look.found).update(ended_at=now)
        for kind, (seen, words) in look.found.items():
            is_known = watched.notices.filter(kind=kind, seen=seen[:1000], dismissed_by__isnull=False).exists()
            is_open = watched.notices.open().filter(kind=kind).update(seen=seen[:1000], finding=words)
            if not is_open and not is_known:
                UpstreamNotice.objects.create(
                    watched=watched, kind=kind, seen=seen[:1000], finding=words, found_at=now
                )
