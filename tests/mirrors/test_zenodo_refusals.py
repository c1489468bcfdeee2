"""What Zenodo may refuse, and what of its answers is believed: each a clear sentence, nothing half done."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from mirrors.backends.zenodo import ZenodoMirror
from mirrors.backends.zenodo_client import Reply
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError
from tests.fakes.zenodo import ACTIONS, WRITE, Client, FakeZenodo
from tests.mirrors.uploads import KEY, Kept, quiet, upload, whole
from tests.mirrors.zenodo_deposits import BYTES, CREATE, PUBLISH, PUT, RAILS, ROADS, fill, states
from tests.mirrors.zenodos import mirror_at, zenodo


@pytest.fixture
def server() -> FakeZenodo:
    return zenodo()


@pytest.fixture
def mirror(server: FakeZenodo) -> ZenodoMirror:
    return mirror_at(server)


def test_a_licence_is_never_left_to_zenodo(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    with pytest.raises(MirrorRefusedError, match="it has no licence"):
        mirror.prepare(KEY, replace(ROADS, licence=""))
    assert server.deposits == {}
    own = replace(
        ROADS, licence="LicenseRef-City", licence_title_en="City licence", licence_url="https://city.example.org"
    )
    kept = server.deposits[int(mirror.prepare(KEY, own).record_id)].draft or {}
    assert kept["license"] == "other-open"
    assert "City licence (LicenseRef-City) https://city.example.org" in kept["notes"]


def test_a_licence_that_zenodo_refuses_is_named(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    with pytest.raises(MirrorRefusedError, match=r"Invalid license provided: cc-by-1\.0"):
        mirror.prepare(KEY, replace(ROADS, licence="CC-BY-1.0"))
    assert server.deposits == {}


@pytest.mark.parametrize("name", ["version", "license", "creators", "related_identifiers"])
def test_a_draft_that_zenodo_keeps_otherwise_is_not_made_public(
    mirror: ZenodoMirror, server: FakeZenodo, name: str
) -> None:
    draft = fill(mirror)
    server.loses = {name}
    (server.deposits[int(draft.record_id)].draft or {}).pop("title")
    with pytest.raises(MirrorRefusedError, match=f"keeps .*{name}.* otherwise than we sent it"):
        mirror.publish(draft, ROADS)
    assert states(server) == ["unsubmitted"]


def test_an_unknown_community_is_refused_before_anything_is_made(server: FakeZenodo) -> None:
    with pytest.raises(MirrorRefusedError, match="Zenodo knows no such community"):
        mirror_at(server, community="nobody").prepare(KEY, ROADS)
    assert server.deposits == {}


def test_a_community_that_takes_nothing_of_ours_needs_a_person(server: FakeZenodo) -> None:
    server.communities["closed"] = {"somebody-else"}
    mirror = mirror_at(server, community="closed")
    draft = fill(mirror)
    with pytest.raises(MirrorRefusedError, match="the community closed did not take it"):
        mirror.publish(draft, ROADS)
    server.deposits[int(draft.record_id)].communities = ["closed"]
    assert mirror.publish(draft, ROADS).record_id == draft.record_id


def test_a_community_of_ours_has_the_record(server: FakeZenodo) -> None:
    server.communities["data-for-canada"] = {"steward"}
    mirror = mirror_at(server, community="data-for-canada")
    receipt = mirror.publish(fill(mirror), ROADS)
    assert server.deposits[int(receipt.record_id)].communities == ["data-for-canada"]


def test_more_files_than_a_record_takes_are_refused_before_a_byte_is_sent(
    mirror: ZenodoMirror, server: FakeZenodo
) -> None:
    mirror.traits = replace(mirror.traits, most_files=1)
    draft = fill(mirror)
    with pytest.raises(MirrorRefusedError, match="takes 1 files, and this one has as many"):
        mirror.put(draft, upload(BYTES, path="rails.bin"), checkpoint=Kept(), progress=quiet)
    assert server.count(PUT) == 1


def test_more_bytes_than_a_record_takes_are_refused_before_a_byte_is_sent(
    mirror: ZenodoMirror, server: FakeZenodo
) -> None:
    mirror.traits = replace(mirror.traits, most_bytes=len(BYTES) + 1)
    draft = fill(mirror)
    with pytest.raises(MirrorRefusedError, match=f"would have {2 * len(BYTES)}, and Zenodo takes {len(BYTES) + 1}"):
        mirror.put(draft, upload(BYTES, path="rails.bin"), checkpoint=Kept(), progress=quiet)
    assert server.count(PUT) == 1


def test_a_quota_that_is_smaller_than_we_know_is_told_in_zenodos_words(
    mirror: ZenodoMirror, server: FakeZenodo
) -> None:
    server.most_bytes = 10
    with pytest.raises(MirrorRefusedError, match=r"roads\.bin \(400 Bucket quota exceeded\.\)"):
        fill(mirror)


@pytest.mark.parametrize(
    ("token", "scopes", "act"),
    [
        ("no-such-token", {WRITE, ACTIONS}, "prepare"),
        ("a-reader", set(), "prepare"),
        ("a-writer", {WRITE}, "publish"),
    ],
)
def test_a_token_that_does_not_do_is_named_and_not_told(
    server: FakeZenodo, token: str, scopes: set[str], act: str
) -> None:
    if token != "no-such-token":
        server.clients[token] = Client("steward", frozenset(scopes))
    mirror = mirror_at(server, token=token)
    acts: dict[str, Callable[[], Any]] = {
        "prepare": lambda: mirror.prepare(KEY, ROADS),
        "publish": lambda: mirror.publish(fill(mirror), ROADS),
    }
    with pytest.raises(MirrorRefusedError, match="token in DFC_MIRROR_ZENODO_TOKEN") as caught:
        acts[act]()
    assert token not in str(caught.value)


@pytest.mark.parametrize("api", ["{url}", "{url}/records", "{url}/api/v2"])
def test_an_endpoint_that_is_not_the_api_is_told(server: FakeZenodo, api: str) -> None:
    with pytest.raises(MirrorRefusedError, match="it has no deposit API"):
        mirror_at(server, api=api.format(url=server.url)).prepare(KEY, ROADS)


def test_a_private_address_is_not_asked_unless_it_is_allowed(server: FakeZenodo) -> None:
    with pytest.raises(MirrorRefusedError, match="no public address"):
        mirror_at(server, allowed=()).prepare(KEY, ROADS)
    assert server.asked == []


def test_the_token_goes_to_no_other_host(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    draft = mirror.prepare(KEY, ROADS)
    deposit = mirror.deposits.there(draft.record_id)
    deposit["links"]["bucket"] = "https://evil.example.org/api/files/1"
    with pytest.raises(MirrorRefusedError, match="where our token is not sent"):
        mirror.send(deposit, "roads.bin", upload(BYTES), quiet)


def test_public_files_are_read_without_the_token(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    draft = fill(mirror)
    mirror.publish(draft, ROADS)
    server.asked.clear()
    assert b"".join(mirror.read(mirror.locator(draft, "roads.bin"), start=5, length=9)) == BYTES[5:14]
    assert [one.headers.get("authorization") for one in server.asked] == [None]
    assert server.asked[0].headers["range"] == "bytes=5-13"


@pytest.mark.parametrize("fault", ["truncate", "drop-before", "error-before:502"])
def test_a_read_that_breaks_off_is_no_verdict(mirror: ZenodoMirror, server: FakeZenodo, fault: str) -> None:
    draft = fill(mirror)
    mirror.publish(draft, ROADS)
    server.faults.plan("GET /records/*", fault)
    with pytest.raises(MirrorUnavailableError):
        whole(mirror, mirror.locator(draft, "roads.bin"))


def test_a_range_that_is_shorter_than_it_says_is_no_verdict(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    draft = fill(mirror)
    mirror.publish(draft, ROADS)
    server.faults.plan("GET /records/*", "short")
    with pytest.raises(MirrorUnavailableError):
        list(mirror.read(mirror.locator(draft, "roads.bin"), start=3, length=3000))


def test_a_short_wait_is_slept_and_a_long_one_is_told(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    slept: list[float] = []
    mirror.client.sleep = slept.append
    server.faults.plan(CREATE, "limit:3")
    mirror.prepare(KEY, ROADS)
    assert 3 <= slept[0] <= 3.4
    server.faults.plan(PUBLISH, "limit:90")
    with pytest.raises(MirrorUnavailableError, match="s of patience") as caught:
        mirror.publish(fill(mirror), ROADS)
    assert 90 <= float(str(caught.value.facts["after_s"])) <= 99.1


def test_the_rate_of_the_service_is_obeyed(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    ahead_s, asked = 0.0, 0
    server.now = lambda: time.time() + ahead_s
    server.per_minute = 3
    while not server.deposits or not all(one.files for one in server.deposits.values()):
        try:
            fill(mirror)
        except MirrorUnavailableError as error:
            ahead_s += float(str(error.facts["after_s"]))
            asked += 1
    assert 0 < asked < 5
    assert ahead_s > 50 * asked
    assert states(server) == ["unsubmitted"]


def test_every_question_names_the_tool(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    mirror.publish(fill(mirror), ROADS)
    assert {one.headers["user-agent"] for one in server.asked} == {"Data for Canada"}


def test_a_damaged_public_file_needs_zenodos_staff(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    draft = fill(mirror)
    mirror.publish(draft, ROADS)
    locator = mirror.locator(draft, "roads.bin")
    server.flip(draft.record_id, "roads.bin")
    assert whole(mirror, locator) != BYTES
    with pytest.raises(MirrorRefusedError, match="keeps for ever what it published"):
        mirror.retire(locator)


def test_what_was_damaged_on_the_way_is_sent_again(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    draft, flipped = mirror.prepare(KEY, ROADS), bytes([1]) + BYTES[1:]

    def other_bytes(_start: int) -> Iterator[bytes]:
        yield flipped

    with pytest.raises(MirrorUnavailableError, match="gave other bytes than announced"):
        mirror.put(draft, replace(upload(BYTES), open=other_bytes), checkpoint=Kept(), progress=quiet)
    assert server.deposits[int(draft.record_id)].files == {}
    assert whole(mirror, mirror.locator(fill(mirror), "roads.bin")) == BYTES


def test_a_draft_is_thrown_away_and_a_record_is_not(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    draft = fill(mirror)
    mirror.discard(draft)
    mirror.discard(draft)
    assert server.deposits == {}
    public = fill(mirror)
    mirror.publish(public, ROADS)
    mirror.discard(public)
    assert states(server) == ["done"]


def test_a_draft_that_somebody_threw_away_is_told(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    draft = fill(mirror)
    server.deposits.clear()
    with pytest.raises(MirrorRefusedError, match="is no longer there"):
        mirror.publish(draft, ROADS)


def test_a_deposit_with_another_key_is_not_touched(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    draft = fill(mirror)
    for act in (mirror.publish, mirror.describe):
        with pytest.raises(MirrorRefusedError, match="bears another key than ours"):
            act(draft, RAILS)
    assert states(server) == ["unsubmitted"]


def test_a_public_record_without_a_key_is_ours_from_now_on(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    """As what was deposited by hand and adopted: else nothing that is said of it could ever be mended."""
    draft = fill(mirror)
    mirror.publish(draft, ROADS)
    held = server.deposits[int(draft.record_id)]
    held.published = (held.published or {}) | {"related_identifiers": [], "title": "roads FINAL (2)"}
    mirror.describe(draft, ROADS)
    assert (states(server), (held.published or {})["title"]) == (["done"], "Roads & rails / Routes et rails")
    assert getattr(mirror.find(KEY, ROADS), "record_id", "") == draft.record_id


def test_a_draft_without_a_key_is_not_touched(mirror: ZenodoMirror, server: FakeZenodo) -> None:
    draft = fill(mirror)
    (server.deposits[int(draft.record_id)].draft or {})["related_identifiers"] = []
    for act in (mirror.publish, mirror.describe):
        with pytest.raises(MirrorRefusedError, match="bears another key than ours"):
            act(draft, ROADS)
    assert states(server) == ["unsubmitted"]


DRAFT = '{"id": 1, "state": "unsubmitted", "conceptrecid": "0", "links": {}, "metadata": {}, "files": []}'
FORMS = (
    *("<html>", "[]", "null", '{"id": "x"}', '{"id": 1, "metadata": [], "links": {}}', "[" * 100_000),
    *(DRAFT.replace('"files": []', f'"files": {wrong}') for wrong in ("7", "[1]", '[{"filesize": "a"}]')),
    DRAFT.replace('"metadata": {}', '"metadata": {"related_identifiers": [1]}'),
)


@pytest.mark.parametrize("words", FORMS)
@pytest.mark.parametrize("act", ["find", "prepare", "publish"])
def test_an_answer_of_another_form_is_tried_later(
    mirror: ZenodoMirror, server: FakeZenodo, words: str, act: str
) -> None:
    draft = fill(mirror)
    acts: dict[str, tuple[str, Callable[[], Any]]] = {
        "find": ("GET /api/deposit/depositions/*", lambda: mirror.find(KEY, ROADS)),
        "prepare": (CREATE, lambda: mirror.prepare(KEY, RAILS)),
        "publish": ("GET /api/deposit/depositions/*", lambda: mirror.publish(draft, ROADS)),
    }
    server.faults.plan(acts[act][0], f"say:{words}")
    with pytest.raises(MirrorUnavailableError):
        acts[act][1]()
    assert "done" not in states(server)


@pytest.mark.parametrize("size", ["NaN", "Infinity", "-1", "true"])
def test_a_size_that_is_none_is_tried_later(mirror: ZenodoMirror, server: FakeZenodo, size: str) -> None:
    draft = fill(mirror)
    row = f'{{"filename": "a", "checksum": "0", "filesize": {size}}}'
    server.faults.plan("GET /api/deposit/depositions/*", "say:" + DRAFT.replace('"files": []', f'"files": [{row}]'))
    with pytest.raises(MirrorUnavailableError, match="something else than a deposit"):
        mirror.listing(draft)


@pytest.mark.parametrize("errors", ["7", "true", '"x"', '[{"messages": 7}]', '[{"messages": {"a": 1}}]'])
def test_an_error_of_another_form_is_a_refusal_all_the_same(errors: str) -> None:
    reply = Reply(400, {}, f'{{"message": "No.", "errors": {errors}}}'.encode())
    assert reply.words().startswith("400 No.")
