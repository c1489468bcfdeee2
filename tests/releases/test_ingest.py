"""An ingest from its list to its ledger: probed, fetched, paused, retried, fetched again."""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils import timezone

from catalog.storage.connect import own_storage
from releases.errors import IngestUnknownError, ListingError, NotAllowedError, NotIngestibleError
from releases.ingest.ledger import csv_lines, ledger_keys, write_parquet
from releases.ingest.steer import (
    change_concurrency,
    fetch_again,
    find_ingest,
    pause_ingest,
    probe_again,
    retry_files,
    start_ingest,
)
from releases.jobs import engine, steering
from releases.jobs.context import stopping
from releases.models import Ingest, IngestFile, Job, Step
from tests.fakes.upstream import ALWAYS, Upstream, content_of, upstream
from tests.releases.ingests import begin, curator, fetched, job_of, later, listed, probed, run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(settings: Any, tmp_path: Path) -> Iterator[Upstream]:
    settings.DFC_STORAGE_DIR = tmp_path / "storage"
    settings.DFC_INGEST_BACKOFF_S = 0.05
    settings.DFC_INGEST_STALL_S = 0.5
    with upstream() as found:
        yield found


def states(ingest: Ingest) -> dict[str, str]:
    return dict(ingest.files.values_list("name", "state"))


def content(row: IngestFile) -> bytes:
    return b"".join(own_storage().read(row.storage_key))


def test_a_probe_says_what_is_there_and_stores_nothing(server: Upstream) -> None:
    good = server.add("/a/roads.zip", content_of(1, 5000), media_type="application/zip")
    same = server.add("/b/roads.zip", content_of(2, 7000))
    busy = server.add("/busy.zip", b"x", "500", ALWAYS)
    headless = server.add("/headless.zip", b"12345", "405", ALWAYS)
    urls = [good, same, f"{server.url}/gone.zip", busy, "http://10.0.0.1/inside.zip", headless]
    ingest = probed("\n".join(urls))
    assert ingest.state == Ingest.State.PROBED
    found = dict(ingest.files.values_list("url", "finding"))
    assert list(found.values()) == ["reachable", "reachable", "dead", "silent", "refused", "dead"]
    first = ingest.files.get(position=0)
    assert (first.announced_bytes, first.media_type, first.announced_etag) == (
        5000,
        "application/zip",
        server.files["/a/roads.zip"].etag,
    )
    assert "GET" not in {one.method for one in server.asked if one.path == "/a/roads.zip"}
    assert list(Path(settings.DFC_STORAGE_DIR).rglob("roads.zip")) == []
    kept = b"".join(own_storage().read(ingest.kept_key)).decode()
    assert kept == "\n".join(urls)
    assert ingest.listed_at is not None


def test_files_are_stored_once_each_and_two_of_one_name_lie_apart(server: Upstream) -> None:
    for number, path in enumerate(("/a/roads.zip", "/b/roads.zip", "/c%20d.zip")):
        server.add(path, content_of(number, 50_000 + number))
    ingest = fetched(listed(server))
    assert (ingest.state, set(states(ingest).values())) == ("done", {"stored"})
    rows = list(ingest.files.order_by("position"))
    assert [row.name for row in rows] == ["roads.zip", "roads.zip", "c_d.zip"]
    assert len({row.storage_key for row in rows}) == 3
    for row, file in zip(rows, server.files.values(), strict=True):
        assert row.sha256 == hashlib.sha256(file.content).hexdigest()
        assert (content(row), row.etag, row.http_status, row.attempts) == (bytes(file.content), file.etag, 200, 1)
        assert row.storage_key.startswith("d4c-datapkg-foundation/archive/")
    step = job_of(ingest).steps.get(function="releases.ingest.bring_in.fetch_files")
    assert (step.done_units, step.total_units) == (3, 3)
    assert (step.done_bytes, step.total_bytes) == (150_003, 150_003)


def test_faults_that_pass_are_outlived_and_those_that_do_not_are_named(server: Upstream) -> None:
    for fault in ("reset", "500", "truncate", "429:1", "stall", "slow:0.2"):
        server.add(f"/{fault.partition(':')[0]}.bin", content_of(len(fault), 90_000), fault)
    server.add("/lies.bin", content_of(1, 900), "wrong-length", ALWAYS)
    server.add("/inside.bin", b"", "redirect:http://169.254.169.254/", ALWAYS)
    ingest = fetched(listed(server))
    assert ingest.state == Ingest.State.INCOMPLETE
    found = states(ingest)
    assert {name for name, state in found.items() if state == "failed"} == {"lies.bin", "inside.bin"}
    for row in ingest.files.filter(state="stored"):
        assert row.sha256 == hashlib.sha256(server.files["/" + row.name].content).hexdigest()
    assert ingest.files.get(name="reset.bin").attempts == 2
    assert ingest.files.get(name="slow.bin").attempts == 1
    lies, inside = ingest.files.get(name="lies.bin"), ingest.files.get(name="inside.bin")
    assert ("900 of the 1900" in lies.error, lies.attempts) == (True, 5)
    assert ("no public address" in inside.error, inside.attempts) == (True, 1)


def test_a_server_that_asks_for_patience_is_left_alone_so_long(server: Upstream) -> None:
    server.add("/first.bin", b"first", "429:1")
    server.add("/second.bin", b"second")
    ingest = fetched(listed(server), concurrency=1)
    assert ingest.state == Ingest.State.DONE
    asked = [one.at_s for one in server.asked if one.method == "GET"]
    assert len(asked) == 3
    assert asked[1] - asked[0] >= 1


def test_a_server_that_asks_for_too_much_patience_is_left_to_a_person(server: Upstream, settings: Any) -> None:
    settings.DFC_INGEST_PATIENCE_S = 10
    server.add("/first.bin", b"first", "503:11", ALWAYS)
    ingest = probed(listed(server))
    assert ingest.files.get().finding == "silent"
    start_ingest(ingest, by=curator())
    row = run(ingest).files.get()
    assert ("11 s of patience" in row.error, row.attempts, row.state) == (True, 1, "failed")


def test_one_failed_file_is_tried_again_by_itself(server: Upstream) -> None:
    server.add("/one.bin", b"one", "404")
    server.add("/two.bin", b"two", "404")
    ingest = fetched(listed(server))
    assert set(states(ingest).values()) == {"failed"}
    assert retry_files(ingest, by=curator(), position=1) == 1
    assert states(run(ingest)) == {"one.bin": "failed", "two.bin": "stored"}
    assert retry_files(ingest, by=curator()) == 1
    assert run(ingest).state == Ingest.State.DONE
    with pytest.raises(NotIngestibleError, match="no failed file"):
        retry_files(ingest, by=curator())


def test_fetching_again_changes_nothing_where_nothing_changed(server: Upstream) -> None:
    server.add("/same.bin", b"same")
    server.add("/other.bin", b"before")
    ingest = fetched(listed(server))
    before = {row.name: row for row in ingest.files.all()}
    files = set(Path(settings.DFC_STORAGE_DIR).rglob("*.bin"))
    server.add("/other.bin", b"after")
    fetch_again(ingest, by=curator(), is_forced=False)
    run(ingest)
    after = {row.name: row for row in ingest.files.all()}
    same, other = after["same.bin"], after["other.bin"]
    assert (same.http_status, same.sha256, same.storage_key) == (
        304,
        before["same.bin"].sha256,
        before["same.bin"].storage_key,
    )
    assert (other.http_status, other.edition, content(other)) == (200, 2, b"after")
    assert content(before["other.bin"]) == b"before"
    fetch_again(ingest, by=curator(), is_forced=True)
    run(ingest)
    assert {one.headers.get("if-none-match") for one in server.asked[-2:]} == {None}
    assert len(set(Path(settings.DFC_STORAGE_DIR).rglob("*.bin")) - files) == 1
    assert ingest.state == Ingest.State.DONE


def test_a_pause_is_seen_at_once_and_what_came_is_kept(server: Upstream, settings: Any) -> None:
    settings.DFC_INGEST_STALL_S = 30
    server.add("/long.bin", content_of(1, 400_000), "stall")
    server.add("/short.bin", b"short")
    ingest = probed(listed(server))
    start_ingest(ingest, by=curator())
    timer = later(1.0, lambda: Ingest.objects.filter(pk=ingest.pk).update(state="paused"))
    run(ingest)
    timer.join()
    assert (ingest.state, states(ingest)) == ("paused", {"long.bin": "waiting", "short.bin": "stored"})
    assert (ingest.files.get(name="long.bin").attempts, job_of(ingest).state) == (0, Job.State.DONE)
    start_ingest(ingest, by=curator())
    assert run(ingest).state == Ingest.State.DONE
    assert server.asked[-1].headers["range"] == "bytes=200000-"


def test_no_more_files_than_wanted_are_fetched_at_once(server: Upstream) -> None:
    for number in range(12):
        server.add(f"/{number}.bin", content_of(number, 10), "slow:0.05")
    assert fetched(listed(server), concurrency=3).state == Ingest.State.DONE
    assert server.most_at_once == 3


def test_another_concurrency_is_seen_while_it_runs(server: Upstream) -> None:
    for number in range(40):
        server.add(f"/{number}.bin", content_of(number, 10), "slow:0.2")
    ingest = probed(listed(server), concurrency=1)
    start_ingest(ingest, by=curator())
    timer = later(0.5, lambda: Ingest.objects.filter(pk=ingest.pk).update(concurrency=10))
    assert run(ingest).state == Ingest.State.DONE
    timer.join()
    assert 3 < server.most_at_once <= 10


def test_a_job_that_is_stopped_leaves_the_ingest_paused(server: Upstream) -> None:
    server.add("/one.bin", b"one")
    ingest = probed(listed(server))
    start_ingest(ingest, by=curator())
    steering.cancel(job_of(ingest), by=curator())
    ingest.refresh_from_db()
    assert ingest.state == Ingest.State.PAUSED
    start_ingest(ingest, by=curator())
    assert run(ingest).state == Ingest.State.DONE


def test_the_ledger_says_all_in_both_forms_and_lies_beside_the_data(server: Upstream) -> None:
    server.add("/good.bin", b"good")
    server.add("/bad.bin", b"bad", "404", ALWAYS)
    ingest = fetched(listed(server))
    buffer = io.BytesIO()
    write_parquet(ingest, buffer)
    file = pq.ParquetFile(buffer)
    assert file.metadata.row_group(0).column(1).compression == "ZSTD"
    rows = file.read().to_pylist()
    as_csv = list(csv.DictReader(io.StringIO("".join(csv_lines(ingest)))))
    assert [row["url"] for row in rows] == [row["url"] for row in as_csv] == listed(server).split("\n")
    assert (rows[0]["sha256"], rows[0]["state"]) == (hashlib.sha256(b"good").hexdigest(), "stored")
    assert (rows[1]["sha256"], rows[1]["http_status"], as_csv[1]["http_status"]) == (None, 404, "404")
    assert rows[0]["finished_at"].tzinfo is not None
    stored = [b"".join(own_storage().read(key)) for key in ledger_keys(ingest)]
    assert pq.read_table(io.BytesIO(stored[0])).to_pylist() == rows
    assert stored[1].decode() == "".join(csv_lines(ingest))


def test_a_list_with_errors_is_refused_whole_with_its_lines(server: Upstream) -> None:
    with pytest.raises(ListingError, match=r"line 2: .*ftp.*line 4: .*user name") as refusal:
        begin("https://a.example.org/x\nftp://b.example.org/y\n# c\nhttps://u:p@d.example.org/z")
    assert "lines to correct: 2" in str(refusal.value)
    with pytest.raises(ListingError, match="no address"):
        begin("# nothing\n\n")
    assert not Ingest.objects.exists()


def test_who_may_not_and_what_cannot_be_is_refused(server: Upstream) -> None:
    server.add("/one.bin", b"one")
    ingest = probed(listed(server))
    stranger = get_user_model().objects.create_user("stranger")
    acts: list[Callable[[Any], object]] = [
        lambda by: start_ingest(ingest, by=by),
        lambda by: pause_ingest(ingest, by=by),
        lambda by: retry_files(ingest, by=by),
        lambda by: fetch_again(ingest, by=by, is_forced=False),
        lambda by: probe_again(ingest, by=by),
        lambda by: change_concurrency(ingest, 3, by=by),
    ]
    for act in acts:
        with pytest.raises(NotAllowedError, match="ingest_release"):
            act(stranger)
    for refused in (acts[1], acts[2], acts[3], lambda by: change_concurrency(ingest, 65, by=by)):
        with pytest.raises(NotIngestibleError):
            refused(curator())
    with pytest.raises(IngestUnknownError):
        find_ingest(999_999)
    start_ingest(ingest, by=curator())
    pause_ingest(ingest, by=curator())
    with pytest.raises(NotIngestibleError, match="coming to its end"):
        start_ingest(ingest, by=curator())


def test_a_probe_can_be_made_again(server: Upstream) -> None:
    server.add("/late.bin", b"late")
    file = server.files.pop("/late.bin")
    ingest = probed(f"{server.url}/late.bin")
    assert ingest.files.get().finding == "dead"
    server.files["/late.bin"] = file
    probe_again(ingest, by=curator())
    assert (run(ingest).state, ingest.files.get().finding) == ("probed", "reachable")


def test_a_worker_that_is_stopped_gives_the_step_back_with_what_came(server: Upstream, settings: Any) -> None:
    settings.DFC_INGEST_STALL_S = 30
    server.add("/long.bin", content_of(1, 400_000), "stall")
    ingest = probed(listed(server))
    start_ingest(ingest, by=curator())
    timer = later(0.5, stopping.set)
    try:
        engine.run_step(job_of(ingest).steps.get().pk, has_heartbeat=False)
    finally:
        timer.join()
        stopping.clear()
    step = job_of(ingest).steps.get()
    assert (step.state, step.attempts, step.error, states(ingest)) == ("due", 0, "", {"long.bin": "waiting"})
    assert run(ingest).state == Ingest.State.DONE
    assert server.asked[-1].headers["range"] == "bytes=200000-"


def test_a_worker_that_lost_its_lease_writes_nothing_more(server: Upstream) -> None:
    for number in range(8):
        server.add(f"/{number}.bin", content_of(number, 10), "slow:0.2")
    ingest = probed(listed(server), concurrency=1)
    start_ingest(ingest, by=curator())
    step = job_of(ingest).steps.get()
    seen: list[int] = []

    def take_away() -> None:
        Step.objects.filter(pk=step.pk).update(fence=40, attempts=0)
        seen.append(ingest.files.filter(state="stored").count())

    timer = later(0.7, take_away)
    engine.run_step(step.pk, has_heartbeat=False)
    timer.join()
    assert 0 < ingest.files.filter(state="stored").count() == seen[0] < 8
    Step.objects.filter(pk=step.pk).update(lease_until_at=timezone.now())
    assert run(ingest).state == Ingest.State.DONE
    assert max(ingest.files.values_list("attempts", flat=True)) == 1
