"""What tests of ingests share: a person who may, an ingest of a list, and the engine run until all is done."""

import threading
from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.utils import timezone

from catalog.storage.connect import own_storage
from releases.ingest.begin import IngestEntry, begin_ingest
from releases.ingest.run import newest_job
from releases.ingest.steer import start_ingest
from releases.jobs import engine
from releases.models import Ingest, Job
from tests.fakes.upstream import Upstream
from tests.releases.recipes import IDENTIFIER


def curator(name: str = "curator") -> Any:
    """Give the person of that name, who may bring files in and see them."""
    person, is_new = get_user_model().objects.get_or_create(username=name, defaults={"is_staff": True})
    if is_new:
        names = ["ingest_release", "view_ingest", "view_ingestfile"]
        person.user_permissions.add(*Permission.objects.filter(codename__in=names))
    return person


def begin(text: str, **facts: Any) -> Ingest:
    """Begin an ingest of a list, not yet probed."""
    given = {"identifier": IDENTIFIER, "origin": Ingest.Origin.URLS, "text": text}
    entry = IngestEntry(**{**given, **facts})
    return begin_ingest(entry, by=curator(), storage=own_storage(), now=timezone.now())


def probed(text: str, **facts: Any) -> Ingest:
    return run(begin(text, **facts))


def run(ingest: Ingest) -> Ingest:
    """Let the engine run until the job of an ingest has ended; gives the ingest as it is then."""
    engine.drain(30)
    ingest.refresh_from_db()
    return ingest


def fetched(text: str, **facts: Any) -> Ingest:
    """Begin, probe, start and fetch."""
    ingest = probed(text, **facts)
    start_ingest(ingest, by=curator())
    return run(ingest)


def job_of(ingest: Ingest) -> Job:
    job = newest_job(ingest)
    assert job is not None
    return job


def later(seconds: float, change: Callable[[], object]) -> threading.Timer:
    """Change rows in a while from a thread of its own, which leaves no connection open."""

    def change_and_leave() -> None:
        change()
        connection.close()

    timer = threading.Timer(seconds, change_and_leave)
    timer.start()
    return timer


def listed(server: Upstream) -> str:
    """Give the list of all that a server has."""
    return "\n".join(server.url + path for path in server.files)
