"""The Internet Archive's own rules: its queue, its three ways to say SlowDown, other people's items, lost answers."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mirrors.backends.base import Draft, Party, Record, Relation, Upload
from mirrors.backends.internet_archive import InternetArchiveMirror
from mirrors.backends.internet_archive_client import Account, ia_session, led_to
from mirrors.backends.internet_archive_metadata import identifier_of, metadata_of
from mirrors.errors import MirrorRefusedError, MirrorSettlingError, MirrorUnavailableError
from tests.fakes.faults import Answer
from tests.fakes.internet_archive import (
    GLOBAL,
    NODE_HOST,
    RATION,
    S3_NODE_HOST,
    SECRET,
    UPLOADER,
    InternetArchive,
    Item,
)
from tests.mirrors.archives import archive, mirror_at
from tests.mirrors.uploads import KEY, RAIL, RECORD, ROADS, Kept, Source, quiet, upload, whole

NAME = identifier_of(RECORD)
LOCATOR = f"{NAME}/roads.bin"
BILINGUAL = replace(
    RECORD,
    description_en="Roads of <Québec>",
    description_fr="Routes du Québec",
    keywords_en=("roads", "transport"),
    keywords_fr=("routes", "transport"),
    creators=(Party("Data for Canada"), Party("Ministère des Transports")),
    licence_url="https://example.org/licence",
    published_on=date(2026, 1, 15),
    bbox_wgs84=(-79.5, 45.0, -57.0, 62.5),
    starts_on=date(2021, 1, 1),
    concept_doi="10.5072/concept",
    relations=(Relation("IsIdenticalTo", "10.5072/other", "DOI"),),
    landing_url="https://portal.example.org/en/datasets/ca_roads/v1.0.0/",
)


@pytest.fixture
def server() -> InternetArchive:
    return archive()


@pytest.fixture
def mirror(server: InternetArchive) -> InternetArchiveMirror:
    return mirror_at(server)


def put(
    mirror: InternetArchiveMirror, one: Upload | None = None, checkpoint: Kept | None = None, record: Record = RECORD
) -> str:
    draft = mirror.prepare(KEY, record)
    return mirror.put(draft, one or upload(ROADS), checkpoint=checkpoint or Kept(), progress=quiet)


def puts(server: InternetArchive) -> int:
    return server.count(f"PUT /{NAME}/*")


@pytest.mark.parametrize("identifier", ["ca_roads", "x" * 300, "../É É", "ca_Sources.2021-a"])
def test_an_item_has_a_name_that_the_archive_takes_and_that_stays(identifier: str) -> None:
    record = replace(RECORD, identifier=identifier)
    name = identifier_of(record)
    assert name.isascii()
    assert len(name) <= 80
    assert name == name.lower()
    others = (replace(record, version="1.0.1"), replace(record, urn="urn:uuid:0"), replace(record, identifier="b"))
    assert len({name, *map(identifier_of, others)}) == 4
    assert identifier_of(replace(record, title_en="Another title")) == name


def test_nothing_is_made_before_the_first_file_and_then_with_both_languages(
    server: InternetArchive, mirror: InternetArchiveMirror
) -> None:
    mirror.prepare(KEY, BILINGUAL)
    assert (server.made, server.count("PUT *")) == ({}, 0)
    put(mirror, record=BILINGUAL)
    said = server.items[NAME].metadata
    assert said["title"] == "Roads / Routes"
    assert said["description"] == "<p>Roads of &lt;Québec&gt;</p><p>Routes du Québec</p>"
    assert said["language"] == ["eng", "fre"]
    assert said["subject"] == ["roads", "transport", "routes"]
    assert said["creator"] == ["Data for Canada", "Ministère des Transports"]
    assert said["external-identifier"] == [RECORD.urn, "doi:10.5072/roads", "doi:10.5072/concept"]
    assert said["coverage"] == ["bbox -79.5,45,-57,62.5", "2021-01-01/.."]
    assert (said["mediatype"], said["date"]) == ("data", "2026-01-15")
    assert said["relation"] == "IsIdenticalTo 10.5072/other"


def test_what_is_too_long_for_a_header_follows_when_the_item_is_described(
    server: InternetArchive, mirror: InternetArchiveMirror
) -> None:
    long = replace(RECORD, description_fr="é" * 5000)
    put(mirror, record=long)
    assert "description" not in server.items[NAME].metadata
    receipt = mirror.publish(mirror.prepare(KEY, long), long)
    assert server.items[NAME].metadata["description"] == metadata_of(long)["description"]
    assert receipt.landing_url == f"https://archive.org/details/{NAME}"


def test_what_waits_in_the_queue_is_neither_seen_nor_called_absent(
    server: InternetArchive, mirror: InternetArchiveMirror
) -> None:
    server.is_held = True
    draft = mirror.prepare(KEY, RECORD)
    assert put(mirror) == LOCATOR
    for look in (lambda: mirror.stat(LOCATOR), lambda: mirror.publish(draft, RECORD)):
        with pytest.raises(MirrorSettlingError, match="has accepted more than it shows yet") as found:
            look()
        assert found.value.facts["after_s"] == 7
    assert mirror.listing(draft) == {}
    server.drain()
    stat = mirror.stat(LOCATOR)
    assert stat is not None
    assert (stat.checksums["md5"], stat.is_settling) == (upload(ROADS).md5, False)
    assert mirror.publish(draft, RECORD).record_id == NAME


def test_a_put_that_is_done_again_while_the_queue_waits_sends_nothing(
    server: InternetArchive, mirror: InternetArchiveMirror
) -> None:
    server.is_held, checkpoint, draft = True, Kept(), mirror.prepare(KEY, RECORD)
    for _ in range(2):
        assert mirror.put(draft, upload(ROADS), checkpoint=checkpoint, progress=quiet) == LOCATOR
    assert puts(server) == 1


@pytest.mark.parametrize("fault", ["drop-after", "error-after:503"])
def test_after_a_lost_answer_the_queue_decides_and_nothing_is_sent_twice(
    server: InternetArchive, mirror: InternetArchiveMirror, fault: str
) -> None:
    server.is_held, checkpoint, draft = True, Kept(), mirror.prepare(KEY, RECORD)
    server.faults.plan("PUT *", fault)
    for error in (MirrorUnavailableError, MirrorSettlingError, MirrorSettlingError):
        with pytest.raises(error):
            mirror_at(server).put(draft, upload(ROADS), checkpoint=checkpoint, progress=quiet)
    server.drain()
    assert put(mirror_at(server), checkpoint=checkpoint) == LOCATOR
    assert puts(server) == 1
    assert whole(mirror, LOCATOR) == ROADS


@pytest.mark.parametrize("fault", ["drop-before", "error-before:502", "limit:5"])
def test_what_never_arrived_is_sent_again(server: InternetArchive, mirror: InternetArchiveMirror, fault: str) -> None:
    checkpoint = Kept()
    server.faults.plan("PUT *", fault)
    with pytest.raises(MirrorUnavailableError):
        put(mirror, checkpoint=checkpoint)
    assert put(mirror, checkpoint=checkpoint) == LOCATOR
    assert whole(mirror, LOCATOR) == ROADS


@pytest.mark.parametrize("fault", ["error-before:500", "drop-before", "drop-after", "error-after:504", "limit"])
@pytest.mark.parametrize("call", ["GET /metadata/*", "GET /services/*", "POST /metadata/*", "GET /"])
def test_whatever_call_fails_the_next_attempt_ends_right(
    server: InternetArchive, mirror: InternetArchiveMirror, fault: str, call: str
) -> None:
    server.faults.plan(call, fault)
    draft, changed = Draft(KEY, NAME, record=RECORD), replace(RECORD, title_en="Streets")
    for attempt in range(3):
        try:
            mirror.put(draft, upload(ROADS), checkpoint=Kept(), progress=quiet)
            mirror.publish(draft, changed)
            break
        except MirrorUnavailableError:
            assert attempt < 2
    assert server.faults.given.total() == 1
    assert server.items[NAME].metadata["title"] == "Streets / Routes"
    assert puts(server) == 1


def test_bytes_that_are_damaged_on_the_way_are_not_taken(
    server: InternetArchive, mirror: InternetArchiveMirror
) -> None:
    damaged = replace(upload(ROADS), md5=upload(RAIL).md5)
    with pytest.raises(MirrorUnavailableError, match="damaged on the way"):
        put(mirror, damaged)
    assert server.made == {}


@pytest.mark.parametrize(("reason", "after_s"), [(GLOBAL, 900), (RATION, 300)])
@pytest.mark.parametrize("is_sudden", [False, True])
def test_a_full_queue_is_waited_for_and_nothing_is_sent_in_vain(
    server: InternetArchive, mirror: InternetArchiveMirror, reason: str, after_s: int, *, is_sudden: bool
) -> None:
    server.slow_down = "" if is_sudden else reason

    def opened(start: int) -> Iterator[bytes]:
        server.slow_down = reason
        return Source(ROADS).open(start)

    with pytest.raises(MirrorUnavailableError) as found:
        put(mirror, replace(upload(ROADS), open=opened))
    assert found.value.facts["after_s"] == after_s
    assert (puts(server), server.made) == (int(is_sudden), {})


def test_being_taken_for_spam_is_told_to_a_person_and_never_tried_again(
    server: InternetArchive, mirror: InternetArchiveMirror
) -> None:
    server.spam_after_items = 0
    for _ in range(2):
        with pytest.raises(MirrorRefusedError, match=r"for spam, and no retry .* write to info@archive\.org"):
            put(mirror)
    assert server.made == {}


@pytest.mark.parametrize(
    "foreign",
    [
        {"uploader": "someone@example.org", "external-identifier": RECORD.urn},
        {"uploader": UPLOADER, "external-identifier": "urn:uuid:another"},
        {"uploader": UPLOADER, "external-identifier": [RECORD.urn, "urn:uuid:another"]},
        {},
    ],
)
def test_nothing_is_written_to_an_item_of_somebody_else(
    server: InternetArchive, mirror: InternetArchiveMirror, foreign: dict[str, Any]
) -> None:
    server.items[NAME] = Item({"title": "Theirs", **foreign})
    draft = Draft(KEY, NAME, record=RECORD)
    for act in (
        lambda: mirror.prepare(KEY, RECORD),
        lambda: mirror.put(draft, upload(ROADS), checkpoint=Kept(), progress=quiet),
        lambda: mirror.publish(draft, RECORD),
    ):
        with pytest.raises(MirrorRefusedError, match="is not this deposit's"):
            act()
    assert (server.count("PUT *"), server.count("POST *")) == (0, 0)


def test_an_item_that_our_account_made_and_nobody_claimed_is_ours(
    server: InternetArchive, mirror: InternetArchiveMirror
) -> None:
    server.made[NAME] = UPLOADER
    server.items[NAME] = Item({"title": "By hand", "uploader": UPLOADER})
    put(mirror)
    mirror.publish(mirror.prepare(KEY, RECORD), RECORD)
    assert RECORD.urn in server.items[NAME].metadata["external-identifier"]


def test_a_name_that_is_taken_and_not_shown_is_a_matter_for_a_person(
    server: InternetArchive, mirror: InternetArchiveMirror
) -> None:
    server.made[NAME] = "someone@example.org"
    with pytest.raises(MirrorRefusedError, match="that it shows to nobody"):
        mirror.prepare(KEY, RECORD)
    with pytest.raises(MirrorRefusedError, match="may not write there"):
        mirror.put(Draft(KEY, NAME, record=RECORD), upload(ROADS), checkpoint=Kept(), progress=quiet)


@pytest.mark.parametrize("wrong", [{"access_key": "nobody"}, {"secret_key": "not-the-secret"}])
def test_wrong_keys_are_told_by_the_names_of_their_variables_and_never_shown(
    server: InternetArchive, wrong: dict[str, str]
) -> None:
    mirror = mirror_at(server, **wrong)
    with pytest.raises(MirrorRefusedError, match="DFC_MIRROR_ARCHIVE_ACCESS_KEY_ID") as found:
        put(mirror)
    assert not {SECRET, "not-the-secret"} & set(f"{found.value} {mirror.account!r}".split())


def test_a_collection_that_is_not_ours_to_write_to_is_a_matter_for_a_person(server: InternetArchive) -> None:
    with pytest.raises(MirrorRefusedError, match=r"you may not write to museum\).*or leave the mirror's collection"):
        put(mirror_at(server, collection="museum"))
    assert server.made == {}


def test_only_what_changed_is_described_and_what_others_added_stays(
    server: InternetArchive, mirror: InternetArchiveMirror
) -> None:
    put(mirror, record=BILINGUAL)
    server.items[NAME].metadata["curation"] = "by the Archive"
    draft, changed = mirror.prepare(KEY, BILINGUAL), replace(BILINGUAL, title_fr="Chemins", relations=())
    mirror.describe(draft, changed)
    mirror.describe(draft, changed)
    assert server.count("POST *") == 1
    said = server.items[NAME].metadata
    assert (said["title"], said["curation"]) == ("Roads / Chemins", "by the Archive")
    assert "relation" not in said


def test_a_description_made_on_stale_metadata_overwrites_nobody(
    server: InternetArchive, mirror: InternetArchiveMirror
) -> None:
    put(mirror)
    stale = mirror.client.metadata(NAME)
    server.items[NAME].metadata["title"] = "Meanwhile"
    with pytest.raises(MirrorUnavailableError, match="did not take its new metadata"):
        mirror.client.describe(NAME, stale, {"title": "Ours"})
    server.items[NAME].metadata["rights"] = "Ours already"
    mirror.client.describe(NAME, stale, {"rights": "Ours already"})
    assert server.items[NAME].metadata["title"] == "Meanwhile"


def test_a_damaged_file_goes_into_the_history_and_can_be_put_again(
    server: InternetArchive, mirror: InternetArchiveMirror
) -> None:
    put(mirror)
    server.flip(NAME, "roads.bin", 1000)
    damaged = whole(mirror, LOCATOR)
    mirror.retire(LOCATOR)
    assert mirror.stat(LOCATOR) is None
    put(mirror)
    assert whole(mirror, LOCATOR) == ROADS != damaged
    kept = {name: file.content for name, file in server.items[NAME].files.items()}
    assert list(kept.values()) == [damaged, ROADS]
    assert list(mirror.listing(mirror.prepare(KEY, RECORD))) == ["roads.bin"]


def test_while_a_damaged_file_is_on_its_way_out_nothing_is_put_in_its_place(
    server: InternetArchive, mirror: InternetArchiveMirror
) -> None:
    put(mirror)
    server.flip(NAME, "roads.bin")
    server.is_held = True
    mirror.retire(LOCATOR)
    stat = mirror.stat(LOCATOR)
    assert stat is not None
    assert stat.is_settling
    for act in (lambda: put(mirror), lambda: mirror.retire(LOCATOR)):
        with pytest.raises(MirrorSettlingError):
            act()
    server.drain()
    assert whole(mirror, put(mirror)) == ROADS


def test_a_task_that_failed_is_told_to_a_person(server: InternetArchive, mirror: InternetArchiveMirror) -> None:
    server.is_held = True
    put(mirror)
    server.tasks[0].state = "error"
    with pytest.raises(MirrorRefusedError, match=rf"a task .* failed\. Look at https://archive\.org/history/{NAME}"):
        mirror.stat(LOCATOR)


@pytest.mark.parametrize(
    ("facts", "path"),
    [({"files": 10_001}, "roads.bin"), ({"size_bytes": 100 * 10**9 + 1}, "roads.bin"), ({}, f"{NAME}_meta.xml")],
)
def test_what_the_archive_does_not_want_is_refused_before_anything_is_sent(
    server: InternetArchive, mirror: InternetArchiveMirror, facts: Any, path: str
) -> None:
    draft = replace(mirror.prepare(KEY, RECORD), **facts)
    with pytest.raises(MirrorRefusedError, match=r"should have at most 10000 of 100 GB|uses that name itself"):
        mirror.put(draft, upload(ROADS, path=path), checkpoint=Kept(), progress=quiet)
    assert server.count("PUT *") == 0


def test_downloads_carry_no_keys_and_go_to_the_archives_hosts_only(
    server: InternetArchive, mirror: InternetArchiveMirror
) -> None:
    put(mirror)
    assert whole(mirror, LOCATOR) == ROADS
    asked = [one for one in server.asked if one.path.startswith(("/download", "/1/items"))]
    assert [one.headers["host"] for one in asked] == ["archive.org", NODE_HOST]
    assert not any("authorization" in one.headers for one in asked)
    for node in ("https://evilarchive.org", "https://archive.org.example.org", f"http://{NODE_HOST}"):
        server.node = node
        with pytest.raises(MirrorUnavailableError, match="none of its own hosts"):
            whole(mirror, LOCATOR)


def test_an_upload_that_is_sent_on_begins_again_at_the_other_host(
    server: InternetArchive, mirror: InternetArchiveMirror
) -> None:
    server.s3_node, seen = f"https://{S3_NODE_HOST}", list[int]()
    mirror.put(mirror.prepare(KEY, RECORD), upload(ROADS), checkpoint=Kept(), progress=seen.append)
    assert whole(mirror, LOCATOR) == ROADS
    assert seen == sorted(seen)
    assert [one.headers["host"] for one in server.asked if one.method == "PUT"] == ["s3.us.archive.org", S3_NODE_HOST]


def test_an_upload_that_is_sent_elsewhere_is_not_made_and_the_keys_stay_here(
    server: InternetArchive, mirror: InternetArchiveMirror
) -> None:
    server.s3_node = "https://evilarchive.org"
    with pytest.raises(MirrorUnavailableError, match="none of its own hosts"):
        put(mirror)
    assert (puts(server), server.made) == (1, {})


@pytest.mark.parametrize("fault", ["truncate", "drop-after", "error-before:503"])
def test_a_download_that_breaks_is_not_taken_for_the_whole(
    server: InternetArchive, mirror: InternetArchiveMirror, fault: str
) -> None:
    put(mirror)
    server.faults.plan("GET /1/items/*", fault)
    with pytest.raises(MirrorUnavailableError):
        whole(mirror, LOCATOR)


@pytest.mark.parametrize("length", [None, 70_000])
def test_a_host_that_ignores_ranges_gives_the_right_bytes_all_the_same(
    server: InternetArchive, mirror: InternetArchiveMirror, length: int | None
) -> None:
    put(mirror)
    server.has_ranges = False
    given = b"".join(mirror.read(LOCATOR, start=300_001, length=length))
    assert given == ROADS[300_001 : None if length is None else 300_001 + length]


@pytest.mark.parametrize("said", ["", "<html>", "[1]", "null", '{"value": {"summary": {"queued": "x"}}}'])
def test_an_answer_that_says_nothing_is_no_verdict(
    server: InternetArchive, mirror: InternetArchiveMirror, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(mirror)
    monkeypatch.setattr(InternetArchive, "count_tasks", lambda *_words: Answer(200, said.encode()))
    with pytest.raises(MirrorUnavailableError, match="gave no clear answer about"):
        mirror.stat(f"{NAME}/absent.bin")


@pytest.mark.parametrize("said", ['{"error": "later"}', '{"metadata": []}', '{"metadata": {}, "files": {"a": 1}}'])
def test_an_item_that_is_told_in_no_way_that_we_know_is_no_verdict(
    server: InternetArchive, mirror: InternetArchiveMirror, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InternetArchive, "read_metadata", lambda *_words: Answer(200, said.encode()))
    draft = Draft(KEY, NAME, record=RECORD)
    for act in (lambda: mirror.stat(LOCATOR), lambda: mirror.listing(draft), lambda: mirror.find(KEY, RECORD)):
        with pytest.raises(MirrorUnavailableError, match="gave no clear answer about"):
            act()


def test_a_source_is_read_as_it_is_sent_and_never_ahead(mirror: InternetArchiveMirror) -> None:
    source, sent = Source(ROADS), list[int]()

    def progress(done: int) -> None:
        sent.append(source.given_bytes - done)

    mirror.put(mirror.prepare(KEY, RECORD), upload(source), checkpoint=Kept(), progress=progress)
    assert len(sent) > 10
    assert max(sent) <= 10_000


def test_keys_are_given_and_never_found(
    server: InternetArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stray = tmp_path / "ia.ini"
    stray.write_text("[s3]\naccess = stray\nsecret = stray\n[general]\nhost = stray.archive.org\n")
    monkeypatch.setenv("IA_CONFIG_FILE", str(stray))
    monkeypatch.setenv("IA_ACCESS_KEY_ID", "stray")
    with pytest.raises(MirrorRefusedError, match="one of IA_ACCESS_KEY_ID and IA_SECRET_ACCESS_KEY is set"):
        mirror_at(server)
    monkeypatch.setenv("IA_SECRET_ACCESS_KEY", "stray")
    session = mirror_at(server).client.session
    assert (session.access_key, session.secret_key, session.host) == ("stand-in-access", SECRET, "archive.org")


def test_opening_a_session_leaves_the_sockets_of_the_process_alone() -> None:
    before = socket.socket.connect
    ia_session(Account("archive", "a", "b"))
    assert socket.socket.connect is before


def test_one_module_alone_imports_the_package() -> None:
    root = Path(__file__).parents[2]
    folders = ("catalog", "releases", "mirrors", "swarm", "dfc_site", "benchmarks", "tests")
    files = (path for folder in folders for path in (root / folder).rglob("*.py"))
    found = [path.name for path in files if "from internetarchive" in path.read_text(encoding="utf-8")]
    assert [name for name in found if name != Path(__file__).name] == ["internet_archive_client.py"]


@pytest.mark.parametrize("words", ["[" * 100_000, '{"files": 7}', '{"metadata": 7}', "[7]"])
def test_an_item_of_another_form_is_tried_later(
    mirror: InternetArchiveMirror, server: InternetArchive, words: str
) -> None:
    server.faults.plan("GET /metadata/*", f"say:{words}")
    with pytest.raises(MirrorUnavailableError, match="no clear answer"):
        mirror.stat(LOCATOR)


def test_a_size_of_endless_digits_is_no_size(mirror: InternetArchiveMirror, server: InternetArchive) -> None:
    row = f'{{"name": "roads.bin", "source": "original", "md5": "0", "size": "{"9" * 5000}"}}'
    server.faults.plan("GET /metadata/*", f'say:{{"metadata": {{}}, "files": [{row}]}}')
    stat = mirror.stat(LOCATOR)
    assert (stat and stat.size_bytes) == -1


@pytest.mark.parametrize(
    "place", ["http://[bad/", "https://[::1", "https://archive.org:x/y", "https://archive.org:22/"]
)
def test_a_redirect_of_the_archive_to_what_is_no_address_is_tried_later(place: str) -> None:
    with pytest.raises(MirrorUnavailableError, match="sent us"):
        led_to("https://archive.org/download/x", place)
