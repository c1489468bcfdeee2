"""Whether upstream is as it was: asked on condition, one notice for each finding, dismissed or ended by itself."""

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from catalog.models import Dataset, Licence
from dfc_site import dashboard
from releases.dismiss import dismiss_notice
from releases.errors import NotAllowedError, NotDismissableError
from releases.jobs import engine, recurring
from releases.jobs.clock import clock
from releases.models import Job, SourceFile, UpstreamNotice
from releases.watch import GONE_AFTER, look_upstream
from tests import factories
from tests.fakes.upstream import ALWAYS, File, Upstream, upstream
from tests.releases.ingests import curator

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = b"<html><script>nonce(1)</script><p>Open licence, 2.0</p></html>"


@pytest.fixture
def server(settings: Any) -> Iterator[Upstream]:
    settings.DFC_INGEST_STALL_S = 0.5
    with upstream() as found:
        found.add("/roads.zip", b"roads")
        found.add("/licence", PAGE, media_type="text/html", has_validators=False)
        yield found


@pytest.fixture
def dataset(server: Upstream) -> Dataset:
    """A public dataset whose one source and licence page lie at the server."""
    licence = Licence.objects.create(spdx_id="LicenseRef-x", url=f"{server.url}/licence")
    release = factories.release(
        factories.version(factories.dataset("ca_roads", licence=licence)),
        state="published",
        submitter=curator(),
        approved_at=timezone.now(),
        reviewed_digest="0" * 64,
    )
    SourceFile.objects.create(
        release=release,
        name="roads.zip",
        url=f"{server.url}/roads.zip",
        size_bytes=5,
        sha256="0" * 64,
        media_type="application/zip",
        storage_key="x",
        stored_at=timezone.now(),
    )
    return release.version.dataset


def look(dataset: Dataset) -> list[tuple[str, str]]:
    """Look at every address once; gives the open notices."""
    look_upstream(dataset)
    return list(UpstreamNotice.objects.open().order_by("kind").values_list("kind", "finding"))


def kinds(dataset: Dataset) -> list[str]:
    return [kind for kind, _finding in look(dataset)]


def test_what_is_as_it_was_gives_no_notice_and_is_asked_on_condition(server: Upstream, dataset: Dataset) -> None:
    assert look(dataset) == []
    server.add("/licence", PAGE.replace(b"nonce(1)", b"nonce(2)"), has_validators=False)
    assert look(dataset) == []
    asked = [one for one in server.asked if one.path == "/roads.zip"]
    assert asked[1].headers["if-none-match"] == server.files["/roads.zip"].etag
    assert server.count("GET", "/roads.zip") == 0


def test_a_changed_source_gives_one_notice_which_can_be_dismissed(server: Upstream, dataset: Dataset) -> None:
    look(dataset)
    server.add("/roads.zip", b"other")
    assert kinds(dataset) == ["changed"]
    assert kinds(dataset) == ["changed"]
    notice = UpstreamNotice.objects.get()
    with pytest.raises(NotAllowedError):
        dismiss_notice(notice, by=get_user_model().objects.create_user("stranger"), now=timezone.now())
    dismiss_notice(notice, by=curator(), now=timezone.now())
    assert kinds(dataset) == []
    with pytest.raises(NotDismissableError):
        dismiss_notice(notice, by=curator(), now=timezone.now())
    server.add("/roads.zip", b"third")
    assert kinds(dataset) == ["changed"]


def test_a_change_that_is_taken_back_ends_its_notice(server: Upstream, dataset: Dataset) -> None:
    look(dataset)
    server.add("/roads.zip", b"other")
    assert kinds(dataset) == ["changed"]
    server.add("/roads.zip", b"roads")
    assert kinds(dataset) == []
    assert UpstreamNotice.objects.get().dismissed_by is None


def test_another_length_is_a_change_where_a_server_says_no_more(server: Upstream, dataset: Dataset) -> None:
    server.add("/roads.zip", b"longer roads", has_validators=False)
    assert "12 bytes, it had 5" in look(dataset)[0][1]


def test_a_source_is_gone_after_three_looks_and_back_when_it_is_back(server: Upstream, dataset: Dataset) -> None:
    file: File = server.files.pop("/roads.zip")
    found = [kinds(dataset) for _ in range(GONE_AFTER)]
    assert found == [[], [], ["gone"]]
    server.files["/roads.zip"] = file
    assert kinds(dataset) == []


def test_a_source_that_moved_for_good_says_where_to(server: Upstream, dataset: Dataset) -> None:
    target = server.add("/new.zip", b"roads")
    server.add("/roads.zip", b"", f"moved:{target}", ALWAYS)
    assert look(dataset) == [("moved", f"{server.url}/roads.zip: it moved for good to {target}.")]


def test_an_altered_licence_is_told(server: Upstream, dataset: Dataset) -> None:
    look(dataset)
    server.add("/licence", PAGE.replace(b"2.0", b"3.0"), has_validators=False)
    assert kinds(dataset) == ["licence"]


def test_silence_is_no_verdict(server: Upstream, dataset: Dataset) -> None:
    for path in ("/roads.zip", "/licence"):
        server.add(path, b"", "503", ALWAYS)
    assert [kinds(dataset) for _ in range(GONE_AFTER + 1)] == [[]] * (GONE_AFTER + 1)


def test_it_comes_back_every_day_and_its_findings_stand_on_the_dashboard(server: Upstream, dataset: Dataset) -> None:
    server.add("/roads.zip", b"longer roads", has_validators=False)
    recurring.start_owed()
    engine.drain(20)
    assert Job.objects.get(pipeline="watch").state == Job.State.DONE
    person = curator()
    person.is_superuser = True
    person.save()
    task = next(one for one in dashboard.tasks(person, now=timezone.now()) if one.what == "ca_roads")
    assert (str(task.label), str(task.verb)) == ("Source changed", "New version from this")
    assert task.href.endswith("/next/")
    door = Client()
    door.force_login(person)
    notice = UpstreamNotice.objects.get()
    chosen = {"action": "dismiss", "_selected_action": [notice.pk]}
    asked = door.post("/admin/releases/upstreamnotice/", chosen).content.decode()
    assert "Dismiss notices" in asked
    notice.refresh_from_db()
    assert notice.ended_at is None
    door.post("/admin/releases/upstreamnotice/", {**chosen, "sure": "1"})
    notice.refresh_from_db()
    assert notice.dismissed_by == person


def test_by_command_it_is_looked_listed_and_dismissed(server: Upstream, dataset: Dataset) -> None:
    def act(*words: object) -> str:
        out = io.StringIO()
        call_command("watch", *map(str, words), stdout=out)
        return out.getvalue()

    curator()
    server.add("/roads.zip", b"longer roads", has_validators=False)
    assert "12 bytes, it had 5" in act("look", "ca_roads")
    notice = json.loads(act("list", "--json"))[0]
    act("dismiss", notice["notice"], "--by", "curator", "--dry-run")
    assert "ca_roads" in act("list")
    act("dismiss", notice["notice"], "--by", "curator")
    assert act("list") == ""
    for words, finding in (
        (("look", "none"), "no such dataset"),
        (("dismiss", 999, "--by", "curator"), "none of that"),
    ):
        with pytest.raises(CommandError, match=finding):
            act(*words)


def test_the_watch_is_due_once_a_day(moment: Any) -> None:
    recurring.start_owed()
    assert Job.objects.filter(pipeline="watch").count() == 1
    Job.objects.update(state=Job.State.DONE, ended_at=clock.now())
    moment.forward(timedelta(hours=25).total_seconds())
    recurring.start_owed()
    assert Job.objects.filter(pipeline="watch").count() == 2
