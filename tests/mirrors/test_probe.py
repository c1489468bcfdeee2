"""Whether a mirror answers: asked as a client asks, noted by the day, and what follows for who is sent where."""

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from catalog.models import CatalogueChange
from mirrors.checks.knock import knock
from mirrors.checks.probe import expand_probes, probe_mirror
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError, NotPausableError
from mirrors.models import Incident, Mirror, MirrorDay, MirrorProbe, MirrorTransition, Replica
from mirrors.offer import lasting_offers, offers
from mirrors.registry.pause import pause_mirror, resume_mirror
from releases.errors import NotAllowedError
from releases.models import Job
from tests import factories
from tests.mirrors.local_copies import Kept, keep, mend
from tests.mirrors.serving import served

pytestmark = pytest.mark.django_db

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
DOOR = "/d/ca_roads/v1.0.0/roads.geojson"


@pytest.fixture
def kept(own_storage_dir: Path, tmp_path: Path) -> Kept:
    return keep(own_storage_dir, tmp_path)


@pytest.fixture
def online(kept: Kept) -> Iterator[Kept]:
    """Serve both directories, and name their real addresses in the registry."""
    with served({slug: kept.directory(slug) for slug in kept.copies}) as server:
        for slug in kept.copies:
            Mirror.objects.filter(slug=slug).update(public_url=f"{server.url}/{slug}")
        yield kept


def probe(slug: str) -> MirrorProbe:
    return probe_mirror(Mirror.objects.get(slug=slug), now=timezone.now())


def state(slug: str) -> str:
    return Mirror.objects.get(slug=slug).state


def offered(kept: Kept) -> set[str]:
    return {one.mirror for one in offers([kept.asset], now=timezone.now())[kept.asset.pk].offered}


def test_a_mirror_that_serves_its_copies_passes_and_changes_nothing(online: Kept) -> None:
    seen = probe("second")
    assert (seen.result, seen.finding) == ("passed", "")
    assert seen.url.endswith("/second/" + online.copies["second"].locator)
    assert seen.latency_ms is not None
    assert state("second") == "answers"
    assert not MirrorTransition.objects.exists()


def test_probes_are_counted_by_day_and_old_ones_are_forgotten(online: Kept) -> None:
    long_ago = factories_probe(at=timezone.now() - timedelta(days=8))
    for _ in range(2):
        probe("second")
    online.directory("second").rename(online.folder / "away")
    probe("second")
    day = MirrorDay.objects.get()
    assert (day.mirror.slug, day.on, day.probes, day.passed) == ("second", timezone.now().date(), 3, 2)
    assert not MirrorProbe.objects.filter(pk=long_ago.pk).exists()


def factories_probe(at: Any) -> MirrorProbe:
    return MirrorProbe.objects.create(
        mirror=Mirror.objects.get(slug="second"), result="passed", checker="test", at=at
    )


def test_a_removed_directory_is_silence_and_no_verdict_on_any_copy(online: Kept, client: Client) -> None:
    online.directory("second").rename(online.folder / "away")
    seen = probe("second")
    assert (seen.result, "Is its disk mounted?" in seen.finding) == ("failed", True)
    assert (state("second"), online.states()) == ("silent", {"origin": "verified", "second": "verified"})
    assert online.history("second") == []
    assert offered(online) == {"origin"}
    assert "/origin/" in client.get(f"{DOOR}?mirror=second")["Location"]
    excluded = client.get(f"{DOOR}.mirrors.json").json()["not_offered"]
    assert [(one["mirror"], one["code"], one["reason"]) for one in excluded] == [
        ("second", "silent", "the mirror does not answer")
    ]
    incident = Incident.objects.get()
    assert (incident.kind, incident.replica, incident.finding) == ("silent", None, seen.finding)
    assert not Job.objects.filter(pipeline__in=["repair", "recheck-copy"]).exists()


def test_it_is_offered_again_after_a_probe_that_passes_and_not_before(online: Kept) -> None:
    away = online.folder / "away"
    online.directory("second").rename(away)
    for _ in range(2):
        probe("second")
    away.rename(online.directory("second"))
    assert offered(online) == {"origin"}
    probe("second")
    assert offered(online) == {"origin", "second"}
    assert [(one.source, one.to) for one in MirrorTransition.objects.order_by("pk")] == [
        ("answers", "silent"),
        ("silent", "answers"),
    ]
    assert Incident.objects.get().ended_at is not None


def test_a_directory_that_comes_back_empty_is_filled_again(online: Kept) -> None:
    online.directory("second").rename(online.folder / "away")
    probe("second")
    online.directory("second").mkdir()
    assert "not there as it should be" in probe("second").finding
    mend()
    assert online.path("second").read_bytes() == factories.CONTENT
    assert online.history("second") == [(4, "missing"), (4, "passed")]
    assert probe("second").result == "passed"
    assert offered(online) == {"origin", "second"}


def test_silence_does_not_take_a_mirror_out_of_what_is_kept_for_long(online: Kept) -> None:
    online.directory("second").rename(online.folder / "away")
    probe("second")
    lasting = lasting_offers([online.asset], now=timezone.now())[online.asset.pk].offered
    assert {one.mirror for one in lasting} == {"origin", "second"}
    assert not CatalogueChange.objects.exists()


def test_a_server_that_is_down_or_does_not_find_the_file_has_not_answered(online: Kept) -> None:
    Mirror.objects.filter(slug="second").update(public_url=Mirror.objects.get(slug="origin").public_url + "/absent")
    assert "it answered with status 404" in probe("second").finding
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    Mirror.objects.filter(slug="origin").update(public_url=f"http://127.0.0.1:{port}")
    assert f"127.0.0.1:{port}: " in probe("origin").finding
    assert (state("origin"), state("second")) == ("silent", "silent")
    assert not Job.objects.filter(pipeline="recheck-copy").exists()


def test_a_mirror_without_a_verified_copy_is_not_judged(kept: Kept) -> None:
    Replica.objects.filter(mirror__slug="second").update(state=Replica.State.STORED)
    seen = probe("second")
    assert (seen.result, seen.finding) == ("unasked", "It holds no verified copy of a public file to ask for.")
    assert state("second") == "answers"
    assert not MirrorDay.objects.exists()


@pytest.mark.parametrize("is_up", [True, False])
def test_a_silent_mirror_without_a_verified_copy_comes_back_when_its_service_answers(
    tmp_path: Path, *, is_up: bool
) -> None:
    mirror = factories.mirror("local", endpoint=str(tmp_path / "disk"), state=Mirror.State.SILENT)
    factories.replica(factories.asset(), mirror, state=Replica.State.MISSING)
    if is_up:
        (tmp_path / "disk").mkdir()
    assert probe("local").result == ("passed" if is_up else "failed")
    assert Mirror.objects.get().state == (Mirror.State.ANSWERS if is_up else Mirror.State.SILENT)


def test_an_address_that_our_rules_forbid_is_not_asked_and_not_blamed(online: Kept, settings: Any) -> None:
    settings.DFC_PRIVATE_NETWORKS = []
    seen = probe("second")
    assert seen.result == "unasked"
    assert (
        "127.0.0.1 is no public address. If it is meant, allow its network in DFC_PRIVATE_NETWORKS." in seen.finding
    )
    assert state("second") == "answers"


def test_an_empty_file_is_enough_to_ask_for(online: Kept) -> None:
    for copy in online.copies.values():
        copy.checks.all().delete()
        copy.delete()
    online.asset = factories.asset(online.asset.item, "empty.csv", b"", key="data-2")
    copy = online.add("second-2", online.directory("second"))
    online.path("second-2").write_bytes(b"")
    Mirror.objects.filter(slug="second-2").update(public_url=Mirror.objects.get(slug="second").public_url)
    assert copy.asset.size_bytes == 0
    assert probe("second-2").result == "passed"


@contextmanager
def answering(reply: bytes | Callable[[socket.socket], object], times: int = 8) -> Iterator[str]:
    """Serve one raw answer to whoever connects; gives the address."""

    def serve() -> None:
        for _ in range(times):
            try:
                connection, _ = door.accept()
            except OSError:
                return
            with connection:
                connection.recv(65_536)
                connection.sendall(reply) if isinstance(reply, bytes) else reply(connection)

    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
        door.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


@pytest.mark.parametrize(
    ("reply", "finding"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "it says 5 bytes instead of 102400"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "it says no bytes instead of 102400"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 102400\r\n\r\n", "answered a range of 65536 bytes with status 200"),
        (b"HTTP/1.1 503 No\r\n\r\n", "it answered with status 503"),
        (b"nonsense\r\n\r\n", "nonsense"),
        (b"", "closed connection without response"),
    ],
)
def test_an_answer_that_is_not_as_it_should_be_says_what_came(kept: Kept, reply: bytes, finding: str) -> None:
    with answering(reply) as url:
        Mirror.objects.filter(slug="second").update(public_url=url)
        seen = probe("second")
    assert (seen.result, state("second")) == ("failed", "silent")
    assert finding in seen.finding


def drip(words: bytes) -> Callable[[socket.socket], None]:
    """Say something, and then a byte now and then for as long as anybody listens."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(words)
        with suppress(OSError):
            while True:
                connection.sendall(b"x")
                time.sleep(0.02)

    return talk


@pytest.mark.parametrize(
    "talk",
    [
        lambda connection: connection.recv(1),
        drip(b"HTTP/1.1 200 OK\r\nX-Endless: "),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
        drip(b"HTTP/1.0 200 OK\r\n\r\n"),
    ],
    ids=["nothing", "headers", "a body", "a body without end"],
)
def test_a_server_that_never_ends_its_answer_is_left_in_time(talk: Any) -> None:
    with answering(talk) as url, pytest.raises(MirrorUnavailableError, match="no answer in time"):
        knock("GET", url, most_bytes=1_000_000, allowed=LOOPBACK, timeout_s=0.3)


def test_no_more_is_read_than_was_asked_for() -> None:
    body = b"x" * 1_000_000
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + body) as url:
        assert len(knock("GET", url, most_bytes=100, allowed=LOOPBACK).body) == 100


def test_a_redirect_is_followed_by_the_same_rules(online: Kept) -> None:
    target = f"{Mirror.objects.get(slug='second').public_url}/{online.copies['second'].locator}"
    with answering(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()) as url:
        assert knock("HEAD", url, allowed=LOOPBACK).headers["content-length"] == "102400"
    for inside in ("http://10.0.0.1/x", "http://[::ffff:10.0.0.1]/", "http://169.254.169.254/", "ftp://127.0.0.1/x"):
        reply = f"HTTP/1.1 302 Found\r\nLocation: {inside}\r\nContent-Length: 0\r\n\r\n".encode()
        with (
            answering(reply) as url,
            pytest.raises(MirrorUnavailableError, match=r"no public address|no web address"),
        ):
            knock("HEAD", url, allowed=LOOPBACK)


STRANGE = ["/données".encode(), b"http://[bad/", b"http://[::1", b"/a b\tc", b"http://127.0.0.1:99999/", b"\x00\xff"]


@pytest.mark.parametrize("place", STRANGE)
def test_a_redirect_to_what_is_no_address_is_a_failure_of_the_mirror(kept: Kept, place: bytes) -> None:
    reply = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + place + b"\r\n\r\n"
    with answering(reply) as url:
        Mirror.objects.filter(slug="second").update(public_url=url)
        assert probe("second").result == MirrorProbe.Result.FAILED
    assert state("second") == Mirror.State.SILENT


def test_a_mirror_that_sends_people_to_a_private_address_is_offered_to_nobody(kept: Kept) -> None:
    with answering(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://10.0.0.1/x\r\n\r\n") as url:
        Mirror.objects.filter(slug="second").update(public_url=url)
        assert "10.0.0.1 is no public address" in probe("second").finding
    assert state("second") == Mirror.State.SILENT


def test_redirects_end() -> None:
    reply = b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
    with answering(reply) as url, pytest.raises(MirrorUnavailableError, match="redirects more than 3 times"):
        knock("HEAD", url, allowed=LOOPBACK)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "10.1.2.3", "192.168.1.1", "169.254.1.1", "[fe80::1]", "0.0.0.1"]
)
def test_no_private_address_is_asked_unless_its_network_is_allowed(host: str) -> None:
    with pytest.raises(MirrorRefusedError, match="no public address"):
        knock("HEAD", f"http://{host}/x")


def operator() -> Any:
    person = get_user_model().objects.create_user("operator")
    person.user_permissions.add(Permission.objects.get(codename="pause_mirror"))
    return person


def test_a_paused_mirror_is_left_alone_until_it_is_brought_back(kept: Kept) -> None:
    second, by = Mirror.objects.get(slug="second"), operator()
    pause_mirror(second, by=by, reason="New disks.", now=timezone.now())
    assert offered(kept) == {"origin"}
    assert [one.label for one in expand_probes(0)] == ["Origin"]
    assert CatalogueChange.objects.get().what == "second: paused"
    row = MirrorTransition.objects.get()
    assert (row.source, row.to, row.why, row.by) == ("answers", "paused", "New disks.", by)
    with pytest.raises(NotPausableError, match="Second: its state is “Paused by operator”"):
        pause_mirror(second, by=by, reason="", now=timezone.now())
    resume_mirror(second, by=by, reason="", now=timezone.now())
    assert offered(kept) == {"origin", "second"}
    with pytest.raises(NotPausableError, match="Second: its state is “Answers”"):
        resume_mirror(second, by=by, reason="", now=timezone.now())


def test_the_admin_shows_what_a_pause_would_take_away_before_it_does_it(kept: Kept, client: Client) -> None:
    by = operator()
    by.is_staff = by.is_superuser = True
    by.save()
    client.force_login(by)
    for act, button, after in (("pause", "Pause", "paused"), ("resume", "Bring back", "answers")):
        before = state("second")
        words = {
            "action": act,
            "_selected_action": [str(Mirror.objects.get(slug="second").pk)],
            "reason": "New  disks.",
        }
        preview = client.post("/admin/mirrors/mirror/", words).content.decode()
        assert f'<button class="btn btn--main" type="submit">{button}</button>' in preview
        assert '<td role="cell" data-l="Verified copies">1</td>' in preview
        assert state("second") == before
        client.post("/admin/mirrors/mirror/", words | {"sure": "1"})
        assert state("second") == after
        assert MirrorTransition.objects.latest("pk").why == "New disks."


def test_a_stranger_pauses_nothing(kept: Kept) -> None:
    stranger = get_user_model().objects.create_user("stranger")
    for act in (pause_mirror, resume_mirror):
        with pytest.raises(NotAllowedError, match="stranger: may not pause mirrors"):
            act(Mirror.objects.get(slug="second"), by=stranger, reason="", now=timezone.now())
    assert not MirrorTransition.objects.exists()


def test_silence_does_not_undo_a_pause(kept: Kept) -> None:
    pause_mirror(Mirror.objects.get(slug="second"), by=operator(), reason="", now=timezone.now())
    kept.directory("second").rename(kept.folder / "away")
    probe("second")
    assert state("second") == "paused"


def test_the_command_probes_and_says_what_it_found(online: Kept, capsys: Any) -> None:
    call_command("mirror", "probe")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[:2] for line in lines] == [["passed", "origin"], ["passed", "second"]]
    online.directory("second").rename(online.folder / "away")
    with pytest.raises(CommandError, match="Something is wrong; nothing was written"):
        call_command("mirror", "probe", "second", "--dry-run")
    assert state("second") == "answers"
    with pytest.raises(CommandError, match="taken out of every list until a probe passes"):
        call_command("mirror", "probe", "second", "--json")
    assert state("second") == "silent"
    with pytest.raises(CommandError, match="none is registered under that name"):
        call_command("mirror", "probe", "third")


def test_the_command_pauses_and_resumes(kept: Kept, capsys: Any) -> None:
    operator()
    call_command("mirror", "pause", "second", "--by", "operator", "--dry-run")
    assert state("second") == "answers"
    call_command("mirror", "pause", "second", "--by", "operator", "--reason", "New disks.")
    assert state("second") == "paused"
    call_command("mirror", "resume", "second", "--by", "operator")
    assert state("second") == "answers"
    with pytest.raises(CommandError, match="nobody: nobody has that user name"):
        call_command("mirror", "pause", "second", "--by", "nobody")
