"""Examinations of mirrors are kept: when they are made, which of them stay, and where they are shown."""

import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from dfc_site.dashboard import tasks
from dfc_site.schedules import FORGOTTEN, RECURRING
from mirrors.backends.s3_doctor import S3Doctor, Symptom
from mirrors.connect import open_s3
from mirrors.errors import NotQueueableError
from mirrors.models import Examination, Mirror
from mirrors.registry.add_mirror import add_mirror
from mirrors.registry.doctor import examine
from mirrors.registry.examinations import (
    examine_mirror,
    expand_all,
    keep_examination,
    request_examination,
    start_examination,
)
from mirrors.registry.mirror_entry import MirrorEntry
from releases.errors import NotAllowedError
from releases.jobs import engine
from releases.models import Job, Step
from tests import factories
from tests.fakes.internet_archive import ACCESS, SECRET, InternetArchive
from tests.mirrors.archives import archive
from tests.mirrors.s3_mirrors import new_mirror
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY, S3Server

pytestmark = pytest.mark.django_db

LIST = "/admin/mirrors/mirror/"


@pytest.fixture
def server(settings: Any) -> InternetArchive:
    settings.DFC_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    settings.DFC_MIRROR_SECRETS = {
        "DFC_MIRROR_ARCHIVE_ACCESS_KEY_ID": ACCESS,
        "DFC_MIRROR_ARCHIVE_SECRET_ACCESS_KEY": SECRET,
    }
    return archive()


@pytest.fixture
def mirror(server: InternetArchive) -> Mirror:
    return factories.mirror(
        "archive", kind="internet_archive", endpoint=server.url, public_url=f"{server.url}/download"
    )


def run() -> None:
    for step_id in engine.due_steps():
        engine.run_step(step_id, has_heartbeat=False)


def day(number: int) -> datetime:
    return timezone.now() + timedelta(days=number)


def found(text: str, result: str = "good") -> list[Symptom]:
    return [Symptom("enter", "good", text), Symptom("write", result, text)]


def kept(mirror: Mirror) -> list[tuple[str, str]]:
    """Give result and the last sentence of what is kept, the oldest first."""
    sentences = {one.pk: one.findings.values_list("finding", flat=True).last() for one in mirror.examinations.all()}
    return [(one.result, str(sentences[one.pk])) for one in mirror.examinations.reverse()]


def test_the_newest_stays_and_each_that_was_not_like_the_one_before() -> None:
    mirror = factories.mirror()
    for number, result in enumerate(("good", "good", "good", "bad", "bad", "weak", "weak", "good")):
        keep_examination(mirror, found(f"day {number}", result), now=day(number))
    assert kept(mirror) == [("good", "day 0"), ("bad", "day 3"), ("weak", "day 5"), ("good", "day 7")]
    keep_examination(mirror, found("day 8"), now=day(8))
    keep_examination(mirror, found("day 9"), now=day(9))
    assert kept(mirror)[-2:] == [("good", "day 7"), ("good", "day 9")]


def test_a_change_of_one_try_is_kept_though_the_worst_is_the_same() -> None:
    mirror = factories.mirror()
    for number, (one, other) in enumerate((("bad", "weak"), ("bad", "good"), ("weak", "bad"), ("weak", "bad"))):
        symptoms = [Symptom("enter", one), Symptom("write", other)]
        keep_examination(mirror, symptoms, now=day(number))
    assert [one.outcome()["write"] for one in mirror.examinations.reverse()] == ["weak", "good", "bad", "bad"]


def test_each_mirror_has_its_own_newest() -> None:
    for number, slug in enumerate(("north", "south")):
        mirror = factories.mirror(slug)
        keep_examination(mirror, found("first", "bad"), now=day(number))
        keep_examination(mirror, found("second"), now=day(number + 1))
    newest = Examination.objects.newest()
    assert sorted((one.mirror.slug, one.result) for one in newest) == [("north", "good"), ("south", "good")]


def test_a_mirror_is_examined_from_the_admin_and_its_page_shows_what_was_found(desk: Client, mirror: Mirror) -> None:
    chosen = {"action": "examine_there", "_selected_action": str(mirror.pk)}
    assert "at the Internet Archive nothing is written" in " ".join(desk.post(LIST, chosen).content.decode().split())
    assert not Job.objects.exists()
    page = desk.post(LIST, {**chosen, "sure": "1"}, follow=True).content.decode()
    assert "It is being examined now." in page
    run()
    assert mirror.examinations.get().outcome() == {"keys": "good", "queue": "good", "collection": "good"}
    page = desk.get(f"{LIST}{mirror.pk}/change/").content.decode()
    assert "The Internet Archive knows the account of the keys." in page
    assert "It is being examined now." not in page
    assert (
        "It would take files now."
        in desk.get(f"/admin/mirrors/examination/{mirror.examinations.get().pk}/change/").content.decode()
    )


def test_a_mirror_that_cannot_be_opened_is_bad_and_says_why(mirror: Mirror, settings: Any) -> None:
    settings.DFC_MIRROR_SECRETS = {}
    start_examination(mirror, now=timezone.now())
    run()
    (finding,) = mirror.examinations.get().findings.all()
    assert (finding.what, finding.result) == ("open", "bad")
    assert "DFC_MIRROR_ARCHIVE_ACCESS_KEY_ID: it is not set" in finding.finding
    assert Job.objects.get().state == Job.State.DONE


def entry(server: InternetArchive, **fields: Any) -> MirrorEntry:
    facts = {"slug": "archive", "kind": "internet_archive", "operator": "Internet Archive", "jurisdiction": "US"}
    place = {"endpoint": server.url, "public_url": f"{server.url}/download"}
    return MirrorEntry(**{**facts, **place, **fields})


def test_a_mirror_that_was_added_is_examined_by_itself(server: InternetArchive, tmp_path: Path) -> None:
    mirror = add_mirror(entry(server), now=timezone.now())
    run()
    assert mirror.examinations.get().result == "good"
    add_mirror(entry(server, slug="disk", kind="local", endpoint=str(tmp_path)), now=timezone.now())
    assert Job.objects.get().subject == mirror.pk, "a directory has no doctor"


def typed(mirror: Mirror, **fields: str) -> dict[str, str]:
    names = ("name", "operator", "jurisdiction", "tier", "endpoint", "public_url")
    return {**{name: getattr(mirror, name) for name in names}, "is_enabled": "on", **fields}


@pytest.mark.parametrize(("field", "value", "jobs"), [("collection", "museum", 1), ("name", "Archive of old", 0)])
def test_a_mirror_is_examined_again_where_its_place_was_changed_and_only_then(
    desk: Client, mirror: Mirror, field: str, value: str, jobs: int
) -> None:
    answer = desk.post(f"{LIST}{mirror.pk}/change/", typed(mirror, **{field: value}))
    assert answer.status_code == 302, answer.content.decode()
    assert Job.objects.filter(pipeline="examine", subject=mirror.pk).count() == jobs
    run()
    assert mirror.examinations.count() == jobs


def test_what_was_found_at_the_place_of_before_is_not_kept(mirror: Mirror, monkeypatch: Any) -> None:
    def moved_meanwhile(at: Mirror, *, folder: str) -> list[Symptom]:
        Mirror.objects.update(collection="elsewhere")
        return examine(at, folder=folder)

    monkeypatch.setattr("mirrors.registry.examinations.examine", moved_meanwhile)
    start_examination(mirror, now=timezone.now())
    run()
    assert Job.objects.get().state == Job.State.DONE
    assert not mirror.examinations.exists()


def test_once_a_week_all_in_service_that_can_be_are_examined(server: InternetArchive, mirror: Mirror) -> None:
    factories.mirror("north")
    factories.mirror("off", kind="s3", is_enabled=False)
    factories.mirror("paused", kind="s3", state=Mirror.State.PAUSED)
    assert [(one.subject, one.is_required) for one in expand_all(1)] == [(mirror.pk, False)]
    assert [one.every_s for one in RECURRING if one.pipeline == "examine-all"] == [7 * 86_400]
    assert {"examine", "examine-all"} <= set(FORGOTTEN)


def command(*words: str) -> list[dict[str, str]]:
    out = io.StringIO()
    call_command("mirror", "doctor", *words, "--json", stdout=out)
    said: list[dict[str, str]] = json.loads(out.getvalue())
    return said


def test_the_command_keeps_what_it_found_unless_it_only_tries(mirror: Mirror, settings: Any) -> None:
    assert {row["result"] for row in command("archive", "--dry-run")} == {"good"}
    assert not Examination.objects.exists()
    rows = command("archive")
    assert mirror.examinations.get().outcome() == {row["check"]: row["result"] for row in rows}
    settings.DFC_MIRROR_SECRETS = {}
    with pytest.raises(CommandError, match="Something is wrong; nothing was written"):
        command("archive", "--dry-run")
    with pytest.raises(CommandError, match="At least one thing that a mirror needs is missing"):
        command("archive")
    assert [one.result for one in mirror.examinations.all()] == ["bad", "good"]


def test_the_desk_names_a_mirror_in_service_that_cannot_be_used(desk: Client, operator: Any, mirror: Mirror) -> None:
    keep_examination(mirror, [*found("fine"), Symptom("cors", "bad", "No browser may read.")], now=day(-2))
    off = factories.mirror("off", is_enabled=False)
    keep_examination(off, found("out of service", "bad"), now=day(-1))
    (task,) = tasks(operator, now=timezone.now())
    assert (str(task.label), task.what, task.finding) == ("Mirror cannot be used", "Archive", "No browser may read.")
    assert desk.get(task.href).status_code == 200
    keep_examination(mirror, found("fine again"), now=day(0))
    assert tasks(operator, now=timezone.now()) == []


def test_people_see_the_result_and_its_age(mirror: Mirror, client: Client) -> None:
    assert "examined" not in client.get("/en/mirrors/").content.decode()
    keep_examination(mirror, found("text", "weak"), now=day(-3))
    page = " ".join(client.get("/en/mirrors/").content.decode().replace("\u00a0", " ").split())
    assert "3 days ago</time>: Works, with less" in page
    assert "text" not in Examination.objects.newest().get().get_result_display()


def test_what_makes_no_sense_is_refused(operator: Any, mirror: Mirror) -> None:
    now = timezone.now()
    with pytest.raises(NotQueueableError, match="“Local directory” are not examined"):
        request_examination(factories.mirror("north"), by=operator, now=now)
    request_examination(mirror, by=operator, now=now)
    with pytest.raises(NotQueueableError, match="it is being examined already"):
        request_examination(mirror, by=operator, now=now + timedelta(seconds=1))
    assert Job.objects.count() == 1


def test_who_may_only_look_is_not_offered_it_and_cannot_do_it(mirror: Mirror) -> None:
    viewer = get_user_model().objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_mirror"))
    client = Client()
    client.force_login(viewer)
    assert "examine_there" not in client.get(f"{LIST}{mirror.pk}/change/").content.decode()
    client.post(LIST, {"action": "examine_there", "_selected_action": mirror.pk, "sure": "1"})
    assert not Job.objects.exists()
    with pytest.raises(NotAllowedError, match="examine_mirror"):
        request_examination(mirror, by=viewer, now=timezone.now())


@pytest.mark.s3
def test_what_a_killed_examination_left_is_removed_by_the_next_attempt(
    s3: S3Server, settings: Any, tmp_path: Path
) -> None:
    settings.DFC_DATA_DIR = tmp_path
    settings.DFC_MIRROR_SECRETS = {
        "DFC_MIRROR_FAR_ACCESS_KEY_ID": ACCESS_KEY,
        "DFC_MIRROR_FAR_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    prefix = new_mirror(s3, tmp_path).place.prefix
    place = {"endpoint": s3.endpoint, "bucket": "mirrors", "prefix": prefix, "region": "us-east-1"}
    far = factories.mirror("far", kind="s3", addressing="path", **place)
    step = factories.step("mirrors.registry.examinations.examine_mirror", far.pk)
    step.save({"folder": "dfc-doctor-killed"})
    S3Doctor(open_s3(far).objects, "dfc-doctor-killed").write()
    assert open_s3(far).objects.names_below(prefix) == [f"{prefix}dfc-doctor-killed/file.txt"]
    examine_mirror(step, far.pk)
    assert Step.objects.get().state == Step.State.DONE
    assert far.examinations.get().outcome()["clean"] == "good"
    assert open_s3(far).objects.names_below(prefix) == []
