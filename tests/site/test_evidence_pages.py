"""The pages of evidence and of mirrors: what they say, in both languages, with and without anything to say."""

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import Version
from catalog.templatetags.amounts import plain_size
from mirrors.checks.incidents import mirror_answers, mirror_is_silent
from mirrors.models import Check, Incident, Mirror, MirrorDay, MirrorProbe, Replica
from releases.models import Job
from tests import factories
from tests.mirrors.local_copies import Kept, keep, mend

pytestmark = pytest.mark.django_db

VERSION = "/datasets/ca_roads/v1.0.0"
EVIDENCE = f"/en{VERSION}/evidence/"


@pytest.fixture
def kept(settings: Any, tmp_path: Path) -> Kept:
    settings.DFC_STORAGE_DIR = tmp_path / "storage"
    settings.DFC_BACKOFF_S = 0.001
    return keep(settings.DFC_STORAGE_DIR, tmp_path)


def text(client: Client, address: str) -> str:
    """Give the words of a page, tags and repeated blanks left out."""
    answer = client.get(address)
    assert answer.status_code == 200, address
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as caught:
        assert client.get(address).status_code == 200
    return len(caught)


def history_of(kept: Kept, slug: str) -> str:
    return f"{EVIDENCE}{kept.copies[slug].pk}/"


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("page", [f"{VERSION}/evidence/", "/mirrors/"])
def test_each_page_exists_in_both_languages_and_leads_to_the_other(
    kept: Kept, client: Client, language: str, page: str
) -> None:
    body = client.get(f"/{language}{page}").content.decode()
    other = "fr" if language == "en" else "en"
    assert f'<html lang="{language}">' in body
    assert f'href="/{other}{page}"' in body
    assert bool(re.search(r"il y a \d+\xa0s", body)) == (language == "fr")
    assert bool(re.search(r"\d+\xa0s ago", body)) == (language == "en")


def test_each_file_at_each_mirror_says_state_level_age_and_checker(kept: Kept, client: Client) -> None:
    kept.look("second")
    words = text(client, EVIDENCE)
    assert "2 of 2 copies of its files are verified." in words
    assert re.search(r"Verified L4 · Re-read by us in full \d+ s ago , \S+ History", words)
    assert "2 mirrors, 2 operators." in words


def test_a_damaged_copy_is_named_with_both_events_when_it_is_good_again(kept: Kept, client: Client) -> None:
    kept.lose("second")
    assert client.get(EVIDENCE).content.decode().count("cell-bad") == 1
    words = text(client, EVIDENCE)
    assert "1 of 2 copies of its files are verified." in words
    assert "Second: one copy was damaged" in words
    assert "taken out of every list at once. A repair is under way." in words
    mend()
    words = text(client, EVIDENCE)
    assert "2 of 2 copies of its files are verified." in words
    assert "Put again from Origin and read back whole:" in words
    assert words.index("Found by a check (L4: Re-read by us in full)") < words.index("Put again from Origin")


def test_a_repair_that_needs_a_person_says_so(kept: Kept, client: Client) -> None:
    kept.lose("second")
    kept.lose("origin")
    mend()
    words = text(client, EVIDENCE)
    assert words.count("The repair needs a person; curators have been told.") == 2
    assert "1 file has no verified copy at this moment." in words


def test_a_proof_older_than_the_policy_is_marked_as_due(kept: Kept, client: Client, settings: Any) -> None:
    settings.DFC_RECHECK_DAYS = 30
    Replica.objects.filter(mirror__slug="second").update(verified_at=timezone.now() - timedelta(days=31))
    body = client.get(EVIDENCE).content.decode()
    assert body.count("cell-due") == 1
    assert "Check due" in body
    assert "at the latest every 30 days" in " ".join(body.split())


def test_one_operator_of_all_copies_is_said_where_copies_are_counted(kept: Kept, client: Client) -> None:
    assert "What happens to one operator" not in text(client, EVIDENCE)
    Mirror.objects.update(operator="Data for Canada")
    words = text(client, EVIDENCE)
    assert "2 mirrors, 1 operator." in words
    assert "What happens to one operator can happen to all of these copies." in words
    assert "2 copies, 1 operator: every mirror is run by Data for Canada, and" in text(client, "/en/mirrors/")


@pytest.mark.parametrize(
    ("state", "words"), [("silent", "does not answer at this moment"), ("paused", "is paused by its operator")]
)
def test_a_mirror_that_nobody_is_sent_to_is_named(kept: Kept, client: Client, state: str, words: str) -> None:
    Mirror.objects.filter(slug="second").update(state=state)
    assert f"Second {words}: nobody is sent there, and its copies keep their state." in text(client, EVIDENCE)


def test_a_file_that_a_mirror_does_not_keep_is_said_to_be_not_kept(kept: Kept, client: Client) -> None:
    factories.proved(
        factories.asset(kept.asset.item, "rail.csv", b"rail", key="data-2"), kept.copies["origin"].mirror
    )
    assert text(client, EVIDENCE).count("Not kept") == 1


def test_a_version_without_copies_says_what_comes_next(client: Client) -> None:
    factories.asset()
    words = text(client, EVIDENCE)
    assert "No mirror keeps a copy of this version yet." in words
    assert "There is nothing to show until the first mirror holds a file of this version." in words
    assert "No copy of this version was ever found damaged or missing." in words


@pytest.mark.parametrize("end", ["evidence/", "evidence.csv"])
def test_drafts_have_no_evidence_and_withdrawn_versions_their_tombstone(kept: Kept, client: Client, end: str) -> None:
    Version.objects.update(state=Version.State.DRAFT)
    assert client.get(f"/en{VERSION}/{end}").status_code == 404
    Version.objects.update(state=Version.State.WITHDRAWN)
    assert client.get(f"/en{VERSION}/{end}").status_code == 410
    assert client.get(history_of(kept, "second")).status_code == 404


def test_the_history_of_a_copy_has_every_check_the_newest_first(kept: Kept, client: Client) -> None:
    kept.look("second", Check.Level.SIZE)
    kept.lose("second")
    mend()
    words = text(client, history_of(kept, "second"))
    levels = re.findall(r"(Passed|Bytes differ) L(\d) · ", words)
    assert levels == [("Passed", "4"), ("Bytes differ", "4"), ("Passed", "1"), ("Passed", "4")]
    assert "sha256 of every byte" in words
    assert kept.asset.sha256 in words.replace(" ", "")


def test_a_long_history_is_paged(kept: Kept, client: Client) -> None:
    copy, now = kept.copies["second"], timezone.now()
    Check.objects.bulk_create(
        Check(replica=copy, level=1, method="size", result="passed", checker="test", at=now - timedelta(hours=number))
        for number in range(150)
    )
    address = history_of(kept, "second")
    assert client.get(address).content.decode().count('role="rowheader"') == 100
    assert client.get(f"{address}?page=2").content.decode().count('role="rowheader"') == 51
    assert client.get(f"{address}?page=999").status_code == 200


def test_a_copy_of_another_version_has_no_history_here(kept: Kept, client: Client) -> None:
    other = factories.asset(factories.item(factories.version(kept.asset.item.version.dataset, "2.0.0")))
    copy = factories.proved(other, kept.copies["second"].mirror)
    assert client.get(f"{EVIDENCE}{copy.pk}/").status_code == 404
    assert client.get(f"{EVIDENCE}{copy.pk + 1000}/").status_code == 404


def test_all_checks_are_one_csv_that_says_who_saw_what(kept: Kept, client: Client) -> None:
    kept.lose("second")
    mend()
    answer = client.get(f"/en{VERSION}/evidence.csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="ca_roads_v1.0.0_checks.csv"'
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode(), newline="")))  # type: ignore[attr-defined]
    assert len(rows) == Check.objects.count()
    second = [row for row in rows if row["mirror"] == "second"]
    assert [row["result"] for row in second] == ["passed", "damaged", "passed"]
    assert second[2]["checksum_seen"] == second[2]["sha256"] == kept.asset.sha256
    assert (second[1]["file"], second[1]["level"], second[1]["operator"]) == ("roads.geojson", "4", "second operator")


def test_many_files_cost_no_more_queries_than_one(kept: Kept, client: Client) -> None:
    kept.lose("second")
    one = queries(client, EVIDENCE)
    for number in range(40):
        asset = factories.asset(kept.asset.item, f"{number}.csv", b"x", key=f"data-{number + 2}")
        for copy in kept.copies.values():
            factories.proved(asset, copy.mirror)
    assert queries(client, EVIDENCE) == one
    assert one <= 14
    assert client.get(EVIDENCE).content.decode().count('role="rowheader"') == 41


def test_files_are_paged(kept: Kept, client: Client) -> None:
    for number in range(120):
        factories.asset(kept.asset.item, f"{number}.csv", b"x", key=f"data-{number + 2}")
    assert client.get(EVIDENCE).content.decode().count('role="rowheader"') == 100
    assert client.get(f"{EVIDENCE}?page=2").content.decode().count('role="rowheader"') == 21


def probed(slug: str, day: int, probes: int, passed: int) -> None:
    on = timezone.now().date() - timedelta(days=day)
    MirrorDay.objects.create(mirror=Mirror.objects.get(slug=slug), on=on, probes=probes, passed=passed)


def answered(slug: str, latency_ms: int) -> None:
    mirror = Mirror.objects.get(slug=slug)
    MirrorProbe.objects.create(
        mirror=mirror, result="passed", latency_ms=latency_ms, checker="test", at=timezone.now()
    )


def test_a_mirror_that_was_never_asked_is_not_said_to_answer(kept: Kept, client: Client) -> None:
    MirrorProbe.objects.create(
        mirror=Mirror.objects.get(slug="second"), result="unasked", checker="test", at=timezone.now()
    )
    assert "No mirror has been asked yet whether it answers." in text(client, "/en/mirrors/")
    assert text(client, "/en/mirrors/").count("Not asked yet") == 2
    answered("second", 12)
    words = text(client, "/en/mirrors/")
    assert "1 of 2 mirrors answers." in words
    assert "Mirrors 1 of 2 answer now" in words


def test_the_mirrors_page_says_first_what_is_true_of_all(kept: Kept, client: Client) -> None:
    answered("origin", 12)
    answered("second", 12)
    words = text(client, "/en/mirrors/")
    assert "All 2 mirrors answer. Every published file can be downloaded." in words
    assert (
        "Mirrors 2 of 2 answer now Copies of files 2 2 verified within policy Operators 2 in 1 country: CA" in words
    )
    assert "Nothing: every copy that was looked at was good" in words


def test_a_silent_mirror_is_counted_named_and_dated(kept: Kept, client: Client) -> None:
    answered("origin", 12)
    answered("second", 12)
    second = Mirror.objects.get(slug="second")
    mirror_is_silent(second, "The disk is gone.", now=timezone.now())
    words = text(client, "/en/mirrors/")
    assert "1 of 2 mirrors answers. Every published file can be downloaded. 1 incident is open." in words
    assert "Second did not answer" in words
    assert "Nobody is sent there until it answers a probe" in words
    mirror_answers(second, "", now=timezone.now())
    assert "It answers again since" in text(client, "/en/mirrors/")


def test_files_that_nobody_can_get_are_counted(kept: Kept, client: Client) -> None:
    Mirror.objects.update(state=Mirror.State.SILENT)
    assert "1 file cannot be downloaded at this moment." in text(client, "/en/mirrors/")
    Mirror.objects.update(state=Mirror.State.ANSWERS)
    Replica.objects.update(verified_at=timezone.now() - timedelta(days=91))
    assert "1 file cannot be downloaded at this moment." in text(client, "/en/mirrors/")


def test_each_mirror_has_a_state_in_words(kept: Kept, client: Client) -> None:
    states: dict[str, Callable[[], object]] = {
        "Not asked yet": lambda: None,
        "Answers": lambda: answered("second", 12),
        "Slow": lambda: answered("second", 2500),
        "Filling": lambda: Replica.objects.filter(mirror__slug="second").update(state="stored"),
        "1 bad copy": lambda: Replica.objects.filter(mirror__slug="second").update(state="damaged"),
        "No answer": lambda: Mirror.objects.filter(slug="second").update(state="silent"),
        "Paused by operator": lambda: Mirror.objects.filter(slug="second").update(state="paused"),
    }
    for words, happen in states.items():
        happen()
        assert f"Community {words} " in text(client, "/en/mirrors/").replace("Primary", "Community")


def test_thirty_days_are_bars_and_the_same_in_words(kept: Kept, client: Client) -> None:
    for day, probes, passed in ((0, 288, 288), (1, 288, 287), (2, 288, 0), (29, 1, 1), (30, 5, 0)):
        probed("second", day, probes, passed)
    body = client.get("/en/mirrors/").content.decode()
    assert "30 days: every probe answered on 2, some on 1, none on 1, unasked on 26" in body
    assert re.findall(r'<rect class="(c\d)" x="(\d+)"', body) == [
        ("c5", "0"),
        ("c0", "108"),
        ("c1", "112"),
        ("c5", "116"),
    ]
    assert "66.5% answered" in text(client, "/en/mirrors/")
    assert "66,5\xa0%" in client.get("/fr/mirrors/").content.decode()


def test_each_mirror_says_how_long_reading_all_of_it_takes_at_its_budget(kept: Kept, client: Client) -> None:
    size_bytes = kept.asset.size_bytes
    for budget, words in (
        (size_bytes, f"all can be read again in 1 day ({plain_size(size_bytes)} a day)"),
        (size_bytes // 2, f"all can be read again in 2 days ({plain_size(size_bytes // 2)} a day)"),
        (0, "nothing is read again by itself"),
    ):
        Mirror.objects.filter(slug="second").update(daily_read_bytes=budget)
        assert " ".join(words.split()) in text(client, "/en/mirrors/")
    assert "all can be read again in 1 day (250" in text(client, "/en/mirrors/")


def test_an_installation_without_mirrors_says_what_comes_next(client: Client) -> None:
    words = text(client, "/en/mirrors/")
    assert "No mirror is registered yet." in words
    assert "For operators" in words
    assert client.get("/fr/mirrors/").status_code == 200


def test_a_mirror_out_of_service_is_not_on_the_page(kept: Kept, client: Client) -> None:
    answered("origin", 12)
    Mirror.objects.filter(slug="second").update(is_enabled=False)
    assert "The one mirror answers." in text(client, "/en/mirrors/")


def test_what_happened_is_paged_and_drafts_are_not_named(kept: Kept, client: Client) -> None:
    kept.lose("second")
    incident = Incident.objects.get()
    for number in range(25):
        at = timezone.now() - timedelta(days=number + 1)
        Incident.objects.create(mirror=incident.mirror, kind="silent", found_at=at, ended_at=at + timedelta(hours=1))
    assert text(client, "/en/mirrors/").count("did not answer") == 19
    assert text(client, "/en/mirrors/?page=2").count("did not answer") == 6
    Version.objects.update(state=Version.State.DRAFT)
    assert "roads.geojson" not in text(client, "/en/mirrors/")


def test_many_mirrors_cost_no_more_queries_than_two(kept: Kept, client: Client) -> None:
    kept.lose("second")
    two = queries(client, "/en/mirrors/")
    for number in range(12):
        copy = factories.proved(kept.asset, factories.mirror(f"m{number}"))
        Incident.objects.create(
            mirror=copy.mirror,
            replica=copy,
            kind="damaged",
            found_by=copy.checks.first(),
            found_at=timezone.now(),
        )
    assert queries(client, "/en/mirrors/") == two
    assert two <= 14
    assert Job.objects.exists()
