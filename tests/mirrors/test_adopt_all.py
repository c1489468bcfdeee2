"""A whole mirror is adopted from the admin: first what it would cost, then a durable job, then its findings."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from catalog.models import Dataset, Version
from mirrors.deposits.adopt_all import adopt_version, request_adoption
from mirrors.errors import NotQueueableError
from mirrors.models import Adoption, AdoptionFinding, Check, Deposit, Mirror, Replica
from mirrors.replicate import deposit_key
from releases.errors import NotAllowedError
from releases.jobs import engine
from releases.jobs.clock import clock
from releases.jobs.context import StepContext
from releases.jobs.errors import LeaseLost
from releases.models import Job, Step
from tests import factories
from tests.factories import CONTENT

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_storage_dir")]

LIST, FINDINGS = "/admin/mirrors/mirror/", "/admin/mirrors/adoptionfinding/"
RAIL = b"rail" * 500


@pytest.fixture
def north(tmp_path: Path) -> Mirror:
    (tmp_path / "north").mkdir()
    return factories.mirror("north", endpoint=str(tmp_path / "north"))


def published(number: str, path: str = "roads.geojson", content: bytes = CONTENT) -> Version:
    version = factories.version(Dataset.objects.first(), number=number)
    factories.asset(factories.item(version), path, content)
    return version


def lay(mirror: Mirror, version: Version, path: str = "roads.geojson", content: bytes = CONTENT) -> Path:
    """Let a file lie at a mirror that somebody else put there."""
    place = Path(mirror.endpoint) / deposit_key(version) / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def choose(desk: Client, mirror: Mirror, **more: str) -> str:
    page = desk.post(LIST, {"action": "adopt_there", "_selected_action": mirror.pk, **more}, follow=True)
    assert page.status_code == 200
    return page.content.decode()


def opened(by: Any, mirror: Mirror) -> None:
    """Ask for an adoption, and let its first step be done: the mirror was opened, and the versions are owed."""
    request_adoption(mirror, by=by, now=timezone.now())
    assert engine.run_step(Step.objects.get().pk, has_heartbeat=False)


def results(mirror: Mirror) -> list[tuple[str, str, str]]:
    """Give what the newest adoption of a mirror found, by version and file."""
    findings = Adoption.objects.filter(mirror=mirror)[0].findings
    return sorted(findings.values_list("version__number", "path", "result"))


def test_first_it_is_said_how_much_is_looked_for_and_where_and_nothing_is_read(desk: Client, operator: Any) -> None:
    published("1.0.0")
    published("1.1.0", "rail.bin", RAIL)
    factories.version(Dataset.objects.get(), number="2.0.0", state=Version.State.DRAFT)
    absent = factories.mirror("absent", endpoint="/no/such/directory")
    page = choose(desk, absent)
    assert "/no/such/directory" in page
    cells = re.findall(r'<td role="cell" data-l="(.*?)">(.*?)</td>', page)
    assert cells[1:3] == [("Public versions", "2"), ("Files", "2")]
    assert "Nothing was read yet." in page
    assert not Adoption.objects.exists()
    assert not Job.objects.exists()


def test_what_is_ours_is_taken_and_other_bytes_are_left_alone_and_named(desk: Client, north: Mirror) -> None:
    lay(north, published("1.0.0"))
    other = lay(north, published("1.1.0"), content=CONTENT[:-1] + b"x")
    published("1.2.0", "rail.bin", RAIL)
    assert "what is there is being adopted" in choose(desk, north, sure="1")
    engine.drain(20)
    assert results(north) == [
        ("1.0.0", "roads.geojson", "adopted"),
        ("1.1.0", "roads.geojson", "other bytes"),
        ("1.2.0", "", "nothing there"),
    ]
    copy = Replica.objects.get()
    assert (copy.state, copy.asset.item.version.number) == (Replica.State.VERIFIED, "1.0.0")
    assert other.read_bytes()[-1:] == b"x"
    assert Deposit.objects.get().version.number == "1.0.0"


def test_the_findings_are_listed_and_lead_from_the_page_of_the_mirror(desk: Client, north: Mirror) -> None:
    lay(north, published("1.0.0"))
    lay(north, published("1.1.0"), content=CONTENT[:-1] + b"x")
    choose(desk, north, sure="1")
    engine.drain(20)
    page = desk.get(f"{LIST}{north.pk}/change/").content.decode()
    (link,) = re.findall(rf'href="({FINDINGS}[^"]*other%20bytes)"', page)
    listed = desk.get(link.replace("&amp;", "&")).content.decode()
    assert "v1.1.0" in listed
    assert "v1.0.0" not in listed
    for query in ("?result__exact=adopted", f"?adoption__mirror__id__exact={north.pk}&result__exact=adopted"):
        listed = desk.get(f"{FINDINGS}{query}").content.decode()
        assert "v1.0.0" in listed
        assert "v1.1.0" not in listed
    (finding,) = AdoptionFinding.objects.filter(result="adopted")
    assert desk.post(f"{FINDINGS}{finding.pk}/change/", {"result": "other bytes"}).status_code == 403


def test_adopting_twice_changes_nothing_but_says_that_all_was_known(desk: Client, north: Mirror) -> None:
    lay(north, published("1.0.0"))
    choose(desk, north, sure="1")
    engine.drain(20)
    tables = (Deposit, Replica, Check)
    before = [list(table.objects.order_by("pk").values()) for table in tables]
    choose(desk, north, sure="1")
    engine.drain(20)
    assert [list(table.objects.order_by("pk").values()) for table in tables] == before
    assert results(north) == [("1.0.0", "roads.geojson", "known before")]
    assert Job.objects.filter(pipeline="recheck-copy").count() == 1


def test_a_job_whose_worker_is_killed_goes_on_and_says_the_same(operator: Any, north: Mirror, settings: Any) -> None:
    for number in ("1.0.0", "1.1.0", "1.2.0"):
        lay(north, published(number))
    opened(operator, north)
    first, second, _third = Step.objects.filter(stage=1).order_by("position")
    assert engine.run_step(first.pk, has_heartbeat=False)
    claimed = engine.claim(second.pk)
    assert claimed is not None
    Step.objects.filter(pk=second.pk).update(lease_until_at=clock.now() - timedelta(seconds=1))
    assert engine.claim(second.pk) is not None, "another worker has it now"
    with pytest.raises(LeaseLost):
        adopt_version(StepContext(claimed), second.subject)
    assert results(north) == [("1.0.0", "roads.geojson", "adopted")]
    assert Replica.objects.count() == 1, "the worker that lost its lease took nothing"
    Step.objects.filter(pk=second.pk).update(lease_until_at=clock.now() - timedelta(seconds=1))
    engine.drain(20)
    assert results(north) == [(number, "roads.geojson", "adopted") for number in ("1.0.0", "1.1.0", "1.2.0")]
    assert set(Replica.objects.values_list("state", flat=True)) == {Replica.State.VERIFIED}


def test_a_mirror_that_does_not_answer_is_tried_again(operator: Any, north: Mirror, settings: Any) -> None:
    settings.DFC_BACKOFF_S = 0
    lay(north, published("1.0.0"))
    place = Path(north.endpoint)
    away = place.rename(place.with_name("away"))
    opened(operator, north)
    step = Step.objects.get(stage=1)
    engine.run_step(step.pk, has_heartbeat=False)
    step.refresh_from_db()
    assert "Is its disk mounted?" in step.error
    assert not AdoptionFinding.objects.exists()
    away.rename(place)
    engine.drain(20)
    assert results(north) == [("1.0.0", "roads.geojson", "adopted")]


def test_keys_that_are_not_set_are_told_once(operator: Any) -> None:
    far = factories.mirror("far", kind="s3", endpoint="https://s3.example.org", bucket="data")
    for number in ("1.0.0", "1.1.0"):
        published(number)
    request_adoption(far, by=operator, now=timezone.now())
    engine.drain(20)
    assert "DFC_MIRROR_FAR_ACCESS_KEY_ID: it is not set" in Step.objects.get().error
    assert Job.objects.get().state == Job.State.FAILED


def test_a_version_that_was_withdrawn_meanwhile_is_left_out(operator: Any, north: Mirror) -> None:
    lay(north, published("1.0.0"))
    opened(operator, north)
    Version.objects.update(state=Version.State.WITHDRAWN)
    engine.drain(20)
    assert Job.objects.get().state == Job.State.DONE
    assert not Replica.objects.exists()
    assert results(north) == []


def test_a_name_that_no_database_holds_is_kept_escaped(operator: Any, north: Mirror) -> None:
    place = lay(north, published("1.0.0"))
    Path(os.fsdecode(os.fsencode(place.parent) + b"/\xe9.bin")).write_bytes(b"by hand")
    request_adoption(north, by=operator, now=timezone.now())
    engine.drain(20)
    assert ("1.0.0", "\\udce9.bin", "unknown file") in results(north)


def test_findings_outlive_their_job(operator: Any, north: Mirror) -> None:
    lay(north, published("1.0.0"))
    request_adoption(north, by=operator, now=timezone.now())
    engine.drain(20)
    Job.objects.filter(pipeline="adopt").delete()
    assert results(north) == [("1.0.0", "roads.geojson", "adopted")]
    assert Adoption.objects.get().job is None


def test_what_makes_no_sense_is_refused(operator: Any, north: Mirror) -> None:
    now = timezone.now()
    with pytest.raises(NotQueueableError, match="no version is public yet"):
        request_adoption(north, by=operator, now=now)
    published("1.0.0")
    request_adoption(north, by=operator, now=now)
    with pytest.raises(NotQueueableError, match="is being adopted already"):
        request_adoption(north, by=operator, now=now + timedelta(seconds=1))
    paused = factories.mirror("south", state=Mirror.State.PAUSED)
    with pytest.raises(NotQueueableError, match="out of service"):
        request_adoption(paused, by=operator, now=now)
    assert Adoption.objects.count() == 1


def test_who_may_only_look_is_not_offered_it_and_cannot_do_it(north: Mirror) -> None:
    published("1.0.0")
    viewer = get_user_model().objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_mirror"))
    client = Client()
    client.force_login(viewer)
    assert "adopt_there" not in client.get(f"{LIST}{north.pk}/change/").content.decode()
    choose(client, north, sure="1")
    assert not Adoption.objects.exists()
    with pytest.raises(NotAllowedError, match="adopt_mirror"):
        request_adoption(north, by=viewer, now=timezone.now())


def test_the_page_of_a_mirror_has_the_button_of_the_list(desk: Client, north: Mirror) -> None:
    published("1.0.0")
    page = desk.get(f"{LIST}{north.pk}/change/").content.decode()
    (form,) = re.findall(rf'<form method="post" action="{LIST}">(.*?)</form>', page, re.DOTALL)
    sent = dict(re.findall(r'name="(action|_selected_action)" value="(\w+)"', form))
    assert sent == {"action": "adopt_there", "_selected_action": str(north.pk)}
    assert "Look and adopt" in desk.post(LIST, sent).content.decode()
