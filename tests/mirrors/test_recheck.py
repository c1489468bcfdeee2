"""Which copies are looked at again, when, who may ask for it, and what is found of a whole directory."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from catalog.models import Version
from catalog.templatetags.amounts import plain_size
from mirrors.checks.due import answering, due_copies
from mirrors.checks.recheck import request_recheck, start_recheck
from mirrors.errors import MirrorUnavailableError, NotQueueableError
from mirrors.models import Check, Incident, Mirror, Replica
from releases.errors import NotAllowedError
from releases.jobs import engine
from releases.models import Job, Step
from tests import factories
from tests.mirrors.local_copies import Kept, keep, mend

pytestmark = pytest.mark.django_db

LIST = "admin:mirrors_replica_changelist"


@pytest.fixture
def kept(own_storage_dir: Path, tmp_path: Path) -> Kept:
    return keep(own_storage_dir, tmp_path)


def aged(days: dict[str, int]) -> None:
    for slug, age in days.items():
        Replica.objects.filter(mirror__slug=slug).update(verified_at=timezone.now() - timedelta(days=age))


def due() -> list[str]:
    return [one.mirror.slug for mirror in answering() for one in due_copies(mirror, now=timezone.now())]


def test_only_what_was_proved_too_long_ago_is_due_the_oldest_first(kept: Kept, settings: Any) -> None:
    settings.DFC_RECHECK_DAYS = 30
    kept.add("third")
    aged({"origin": 40, "second": 50, "third": 29})
    assert due() == ["origin", "second"]
    younger = many(kept, 1)[0]
    Replica.objects.filter(pk=younger.pk).update(verified_at=timezone.now() - timedelta(days=45))
    waiting = due_copies(younger.mirror, now=timezone.now())
    assert list(waiting) == [kept.copies["second"], younger]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: Mirror.objects.update(state=Mirror.State.SILENT),
        lambda: Mirror.objects.update(state=Mirror.State.PAUSED),
        lambda: Mirror.objects.update(is_enabled=False),
        lambda: Mirror.objects.update(kind="unopened"),
        lambda: Version.objects.update(state=Version.State.DRAFT),
        lambda: Version.objects.update(state=Version.State.WITHDRAWN),
        lambda: Replica.objects.update(state=Replica.State.DAMAGED),
    ],
)
def test_what_cannot_or_need_not_be_kept_good_is_not_due(kept: Kept, spoil: Any) -> None:
    aged({"origin": 99, "second": 99})
    spoil()
    assert due() == []


def test_what_is_due_is_re_read_in_full_once(kept: Kept) -> None:
    aged({"origin": 40, "second": 50})
    kept.flip("second")
    for number in (1, 2):
        engine.start(f"recheck:{number}", "recheck", number)
        for step in Step.objects.filter(job__key=f"recheck:{number}"):
            engine.run_step(step.pk, has_heartbeat=False)
    assert Job.objects.filter(pipeline="recheck-copy").count() == 2
    mend()
    assert kept.history("origin") == [(4, "passed"), (4, "passed")]  # the second as the source of the repair
    assert kept.history("second") == [(4, "damaged"), (4, "passed")]
    assert due() == []


def test_a_copy_at_a_mirror_that_does_not_answer_keeps_its_state_and_waits(kept: Kept) -> None:
    kept.directory("second").rename(kept.folder / "away")
    start_recheck(kept.copies["second"], now=timezone.now())
    mend()
    assert Job.objects.get(pipeline="recheck-copy").state == Job.State.DONE
    assert (kept.states()["second"], kept.history("second")) == ("verified", [])
    assert Mirror.objects.get(slug="second").state == Mirror.State.SILENT
    with pytest.raises(MirrorUnavailableError):
        kept.look("second")
    assert Incident.objects.get().kind == Incident.Kind.SILENT


def many(kept: Kept, count: int) -> list[Replica]:
    """Keep more files at the second mirror and in our own storage."""
    made = []
    for number in range(count):
        asset = factories.asset(kept.asset.item, f"{number}.csv", b"file %d" % number, key=f"data-{number + 2}")
        for slug in ("origin", "second"):
            copy = factories.proved(asset, kept.copies[slug].mirror)
            (kept.directory(slug) / copy.locator).write_bytes(b"file %d" % number)
            made.append(copy)
    return [one for one in made if one.mirror.slug == "second"]


def test_one_missing_copy_lets_all_of_its_mirror_be_looked_for_once(kept: Kept) -> None:
    copies = many(kept, 5)
    shutil.rmtree(kept.directory("second"))
    kept.directory("second").mkdir()
    kept.look("second")
    mend()
    assert Job.objects.filter(pipeline="sweep").count() == 1
    assert Job.objects.filter(pipeline="repair", state=Job.State.DONE).count() == 6
    for copy in copies:
        found = copy.checks.exclude(result="passed").get()
        assert (found.level, found.result) == (Check.Level.SIZE, "missing")
        assert (kept.directory("second") / copy.locator).read_bytes() == b"file %s" % copy.asset.path[:1].encode()
    assert set(Replica.objects.values_list("state", flat=True)) == {"verified"}


def test_a_sweep_that_was_killed_goes_on_behind_the_last_copy_it_looked_at(kept: Kept) -> None:
    copies = many(kept, 4)
    engine.start("sweep:test", "sweep", kept.copies["second"].mirror_id)
    Step.objects.filter(job__key="sweep:test").update(checkpoint=f'{{"after": {copies[1].pk}}}')
    before = Check.objects.count()
    mend()
    assert Check.objects.count() == before + 2


def curator(*, may: bool = True) -> Any:
    person = get_user_model().objects.create_user("curator", is_staff=True)
    for name in ("view_replica", *(["verify_replica"] if may else [])):
        person.user_permissions.add(Permission.objects.get(codename=name))
    return person


def test_a_curator_queues_a_copy_once_until_it_was_looked_at(kept: Kept) -> None:
    copy, by = kept.copies["second"], curator()
    request_recheck(copy, by=by, now=timezone.now())
    with pytest.raises(NotQueueableError, match=r"roads\.geojson · Second: it is queued already"):
        request_recheck(copy, by=by, now=timezone.now())
    mend()
    assert kept.history("second") == [(4, "passed")]
    request_recheck(copy, by=by, now=timezone.now())
    assert Job.objects.filter(pipeline="recheck-copy").count() == 2


def test_what_cannot_be_looked_at_is_refused_with_a_sentence(kept: Kept) -> None:
    copy, by = kept.copies["second"], curator()
    copy.state = Replica.State.PENDING
    with pytest.raises(NotQueueableError, match="nothing is stored there yet"):
        request_recheck(copy, by=by, now=timezone.now())
    Mirror.objects.filter(slug="second").update(is_enabled=False)
    with pytest.raises(NotQueueableError, match="the mirror is out of service"):
        request_recheck(kept.fresh("second"), by=by, now=timezone.now())


def test_without_the_permission_nothing_is_queued(kept: Kept, client: Client) -> None:
    stranger = curator(may=False)
    with pytest.raises(NotAllowedError, match="curator: may not queue copies"):
        request_recheck(kept.copies["second"], by=stranger, now=timezone.now())
    client.force_login(stranger)
    assert "Queue for re-verification" not in client.get(reverse(LIST)).content.decode()
    choose(client, kept, sure="1")
    assert not Job.objects.exists()


def choose(client: Client, kept: Kept, **more: str) -> str:
    """Choose both copies and the action, as the admin's list does; gives the page that follows."""
    chosen = [copy.pk for copy in kept.copies.values()]
    words = {"action": "reverify", "_selected_action": chosen, **more}
    return client.post(reverse(LIST), words, follow=True).content.decode()


def test_the_admin_queues_what_was_chosen_and_reports_each_refusal(kept: Kept, client: Client) -> None:
    client.force_login(curator())
    start_recheck(kept.copies["second"], now=timezone.now())
    preview = choose(client, kept)
    assert "geojson · Second" in preview
    assert f"{plain_size(sum(one.asset.size_bytes for one in kept.copies.values()))} would be read" in preview
    assert Job.objects.filter(pipeline="recheck-copy").count() == 1
    page = choose(client, kept, sure="1")
    assert "geojson · Second: it is queued already" in page
    assert "Queued: 1" in page
    assert Job.objects.filter(pipeline="recheck-copy").count() == 2
