"""The first page of the admin says what needs this person, worst first, and where to do it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from catalog.models import CatalogueChange
from dfc_site import dashboard, demo
from mirrors.connect import connect
from mirrors.models import Check, Replica
from mirrors.verify import check_replica
from releases.jobs import engine
from releases.models import Job, Release, Step
from tests.swarm.factories import node

pytestmark = pytest.mark.django_db(transaction=True)


def labels(name: str) -> list[str]:
    return [str(task.label) for task in dashboard.tasks(demo.person(name), now=timezone.now())]


def page(client: Client, name: str) -> str:
    client.force_login(demo.person(name))
    answer = client.get("/admin/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_nothing_to_do_is_said_in_both_languages(published: Release, client: Client) -> None:
    assert labels("reviewer") == []
    assert "Nothing needs a person at this moment." in page(client, "reviewer")
    client.cookies["django_language"] = "fr"
    assert "Nothing needs a person" not in client.get("/admin/").content.decode()


def test_a_review_waits_for_the_reviewer_and_only_informs_the_author(in_review: Release, client: Client) -> None:
    for name, verb in (("reviewer", "Review"), ("author", "Open")):
        (task,) = dashboard.tasks(demo.person(name), now=timezone.now())
        assert (str(task.label), str(task.verb)) == ("Review waits", verb)
        assert task.href in page(client, name)
        assert client.get(task.href).status_code == 200


def test_bad_news_stands_first_and_each_row_leads_to_its_page(published: Release, client: Client) -> None:
    replica = Replica.objects.filter(mirror__slug="second").select_related("mirror", "asset")[0]
    path = connect(replica.mirror)
    path.retire(replica.locator)
    check_replica(replica, backend=connect(replica.mirror), level=Check.Level.FULL, now=timezone.now())
    Replica.objects.filter(mirror__slug="origin").update(verified_at=timezone.now() - timedelta(days=200))
    CatalogueChange.objects.create(what="late", at=timezone.now() - timedelta(hours=2))
    found = dashboard.tasks(demo.person("reviewer"), now=timezone.now())
    kinds = [task.kind for task in found]
    assert kinds == sorted(kinds, key=["bad", "warn", "idle"].index)
    assert {"Damaged copy", "Check overdue", "Catalogue is late"} <= {str(task.label) for task in found}
    shown = page(client, "reviewer")
    for task in found:
        assert task.href.replace("&", "&amp;") in shown
        assert client.get(task.href).status_code == 200, task.href


def failed_step(published: Release) -> Step:
    job = engine.start("catalogue:999999", "catalogue", 999_999)
    step = job.steps.get()
    Step.objects.filter(pk=step.pk).update(
        state=Step.State.FAILED, error="The disk is full.", ended_at=timezone.now()
    )
    Job.objects.filter(pk=job.pk).update(state=Job.State.FAILED, ended_at=timezone.now())
    return step


def test_failed_steps_are_retried_in_bulk_after_a_preview(published: Release, client: Client) -> None:
    step = failed_step(published)
    assert labels("reviewer") == ["Step failed"]
    client.force_login(demo.person("reviewer"))
    words = {"action": "retry_failed", "_selected_action": [str(step.job_id)]}
    preview = client.post("/admin/releases/job/", words).content.decode()
    assert "The disk is full." in preview
    step.refresh_from_db()
    assert step.state == Step.State.FAILED
    client.post("/admin/releases/job/", words | {"sure": "1"})
    step.refresh_from_db()
    assert step.state == Step.State.DUE
    assert step.events.filter(kind="retried", by=demo.person("reviewer")).exists()


def test_who_may_not_act_sees_no_task(published: Release, client: Client, django_user_model: Any) -> None:
    failed_step(published)
    nobody = django_user_model.objects.create_user("nobody", is_staff=True)
    assert dashboard.tasks(nobody, now=timezone.now()) == []
    client.force_login(nobody)
    assert client.get("/admin/").status_code == 200
    assert client.post("/admin/releases/job/", {"action": "retry_failed"}).status_code == 403


def test_nobody_reaches_the_queue_through_the_admin(published: Release, client: Client) -> None:
    for name in ("reviewer", "admin"):
        client.force_login(demo.person(name))
        for address in ("schedule", "ormq", "success", "failure"):
            assert client.get(f"/admin/django_q/{address}/").status_code == 404


def test_a_volunteer_waits_for_who_may_approve(published: Release) -> None:
    volunteer = node("verified", display_name="Library")
    (task,) = dashboard.tasks(demo.person("reviewer"), now=timezone.now())
    assert (str(task.label), task.what) == ("Volunteer waits", "Library")
    assert task.href.endswith(f"/{volunteer.pk}/change/")


def test_the_page_needs_few_queries(published: Release, client: Client, django_assert_max_num_queries: Any) -> None:
    client.force_login(demo.person("reviewer"))
    client.get("/admin/")
    with django_assert_max_num_queries(40):
        client.get("/admin/")


def test_a_french_list_has_accented_names_beside_the_plain_ones(installation: dict[str, str], client: Client) -> None:
    client.cookies["django_language"] = "fr"
    shown = page(client, "admin")
    places = [
        shown.index(f">{name}</a>") for name in ("Changements du catalogue", "Éditions du catalogue", "Fichiers")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_stock_list_writes_instants_as_every_page_does(
    installation: dict[str, str], client: Client, language: str
) -> None:
    registered_at = node("approved").registered_at
    client.force_login(demo.person("admin"))
    client.cookies["django_language"] = language
    assert f"{registered_at:%Y-%m-%d %H:%M} UTC" in client.get("/admin/swarm/node/").content.decode()
