"""The stand-in for Zenodo is as strict as the running service, and fails as it is told to."""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.fakes.faults import ALWAYS, Faults
from tests.fakes.zenodo import TOKEN, WRITE, Client, FakeZenodo
from tests.mirrors.zenodos import zenodo

DEPOSITS = "/api/deposit/depositions"
METADATA = {"title": "Roads", "upload_type": "dataset", "creators": [{"name": "Data for Canada"}]}
KEY = {"relation": "isAlternateIdentifier", "identifier": "urn:uuid:5f4a8a44-1c55-4c6e-9a05-0c6c1b6f3a01"}


@pytest.fixture
def server() -> FakeZenodo:
    return zenodo()


def ask(
    server: FakeZenodo, method: str, path: str, body: Any = None, *, token: str = TOKEN, **headers: str
) -> tuple[int, Any]:
    """Ask as any client does; gives the status, and the JSON or the bytes."""
    given = {"Authorization": f"Bearer {token}"} if token else {}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    if content is not None and not isinstance(body, bytes):
        given.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
    connection.request(method, path, content, given)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    is_json = answer.headers.get("Content-Type") == "application/json"
    return answer.status, json.loads(text) if is_json else text


def made(server: FakeZenodo, **metadata: Any) -> Mapping[str, Any]:
    status, told = ask(server, "POST", DEPOSITS, {"metadata": {**METADATA, **metadata}})
    assert status == 201
    return dict(told)


def put(server: FakeZenodo, deposit: Mapping[str, Any], name: str, content: bytes, **headers: str) -> tuple[int, Any]:
    bucket = urlsplit(deposit["links"]["bucket"]).path
    return ask(server, "PUT", f"{bucket}/{quote(name, safe='')}", content, **headers)


def published(server: FakeZenodo, **metadata: Any) -> Mapping[str, Any]:
    deposit = made(server, **metadata)
    assert put(server, deposit, "a.csv", b"1,2")[0] == 201
    status, told = ask(server, "POST", f"{DEPOSITS}/{deposit['id']}/actions/publish")
    assert status == 202
    return dict(told)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {"Content_Type": "text/plain"}, 415),
        (b"{", {"Content_Type": "application/json"}, 400),
        (b"[]", {"Content_Type": "application/json"}, 400),
        ({"metadata": {}, "colour": 1}, {}, 400),
        ({"metadata": {"license": "made-up"}}, {}, 400),
        ({"metadata": {"related_identifiers": [{"identifier": "x", "relation": "isLike"}]}}, {}, 400),
        ({}, {"token": ""}, 403),
        ({}, {"token": "nobody"}, 401),
        ({}, {}, 201),
    ],
)
def test_a_deposit_is_made_of_nothing_but_what_it_is_made_of(
    server: FakeZenodo, body: Any, headers: dict[str, str], status: int
) -> None:
    assert ask(server, "POST", DEPOSITS, body, **headers)[0] == status


def test_a_licence_left_out_becomes_cc0_and_an_unknown_name_is_dropped(server: FakeZenodo) -> None:
    metadata = made(server, colour="blue")["metadata"]
    assert metadata["license"] == "cc-zero"
    assert "colour" not in metadata
    assert made(server, license="OGL-Canada-2.0")["metadata"]["license"] == "canada-crown"


def test_a_call_that_is_none_and_a_foreign_deposit_are_refused(server: FakeZenodo) -> None:
    server.clients["other"] = Client("somebody")
    number = made(server)["id"]
    assert ask(server, "GET", "/api/deposits")[0] == 404
    assert ask(server, "PATCH", f"{DEPOSITS}/{number}", {})[0] == 405
    assert ask(server, "GET", f"{DEPOSITS}/{number}", token="other")[0] == 403
    assert ask(server, "GET", f"{DEPOSITS}/999999")[0] == 404


def test_publishing_needs_a_scope_a_file_and_metadata(server: FakeZenodo) -> None:
    server.clients["writer"] = Client("steward", frozenset({WRITE}))
    deposit = made(server, title="A")
    publish = f"{DEPOSITS}/{deposit['id']}/actions/publish"
    assert ask(server, "POST", publish, token="writer")[0] == 403
    status, told = ask(server, "POST", publish)
    assert status == 400
    assert {one["field"] for one in told["errors"]} == {"metadata.title", "files.enabled"}


def test_what_is_published_is_shut(server: FakeZenodo) -> None:
    record = published(server)
    place = f"{DEPOSITS}/{record['id']}"
    assert record["doi"] == f"10.5281/zenodo.{record['id']}"
    assert ask(server, "POST", f"{place}/actions/publish")[0] == 404
    assert ask(server, "PUT", place, {"metadata": METADATA})[0] == 404
    assert ask(server, "DELETE", place)[0] == 404
    assert put(server, record, "b.csv", b"")[0] == 403
    assert ask(server, "GET", f"/api/records/{record['id']}", token="")[1]["files"][0]["key"] == "a.csv"


def test_metadata_of_a_record_are_opened_changed_and_published_again(server: FakeZenodo) -> None:
    record = published(server)
    place = f"{DEPOSITS}/{record['id']}"
    assert ask(server, "POST", f"{place}/actions/edit")[1]["state"] == "inprogress"
    assert ask(server, "POST", f"{place}/actions/edit")[0] == 201
    assert ask(server, "PUT", place, {"metadata": {**METADATA, "title": "Rails"}})[0] == 200
    assert ask(server, "PUT", place, {"metadata": {**METADATA, "doi": "10.1234/x"}})[0] == 400
    assert ask(server, "POST", f"{place}/actions/publish")[1]["metadata"]["title"] == "Rails"
    assert ask(server, "POST", f"{place}/actions/edit")[0] == 201
    assert ask(server, "POST", f"{place}/actions/discard")[0] == 204
    assert ask(server, "GET", place)[1]["state"] == "done"


def test_files_have_one_name_one_type_and_limits(server: FakeZenodo) -> None:
    deposit = made(server)
    server.most_files, server.most_bytes = 2, 6
    assert put(server, deposit, "a/b.csv", b"1")[0] == 404
    assert put(server, deposit, "a.csv", b"1", Content_Type="text/csv")[0] == 415
    assert put(server, deposit, "n" * 256, b"1")[0] == 400
    assert put(server, deposit, "a.csv", b"1234")[1]["checksum"] == "md5:81dc9bdb52d04dc20036dbd8313ed055"
    assert put(server, deposit, "a.csv", b"12")[0] == 201
    assert put(server, deposit, "b.csv", b"12345") == (400, {"status": 400, "message": "Bucket quota exceeded."})
    assert put(server, deposit, "b.csv", b"1")[0] == 201
    assert "exceeding the max amount per record" in put(server, deposit, "c.csv", b"")[1]["message"]


def test_one_new_version_is_open_at_a_time(server: FakeZenodo) -> None:
    draft, record = made(server), published(server)
    assert ask(server, "POST", f"/api/records/{draft['id']}/versions")[0] == 404
    first = ask(server, "POST", f"/api/records/{record['id']}/versions")[1]["id"]
    assert ask(server, "POST", f"/api/records/{record['id']}/versions")[1]["id"] == first
    with_files = f"{DEPOSITS}/{record['id']}/actions/newversion"
    assert ask(server, "POST", with_files)[1]["files"][0]["filename"] == "a.csv"
    status, told = ask(server, "POST", with_files)
    assert (status, told["message"]) == (400, "Please remove all files first.")


def found(server: FakeZenodo, query: str, **words: str) -> tuple[int, Any]:
    asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in {"q": query, **words}.items())
    return ask(server, "GET", f"{DEPOSITS}?{asked}")


def test_a_search_wants_quotes_and_small_pages_and_lags(server: FakeZenodo) -> None:
    made(server, related_identifiers=[KEY])
    quoted = f'metadata.identifiers.identifier:"{KEY["identifier"]}"'
    assert len(found(server, quoted)[1]) == 1
    assert found(server, quoted.replace('"', ""))[0] == 400
    assert found(server, quoted, size="101")[0] == 400
    assert found(server, quoted, status="published")[1] == []
    server.lag_s = 60
    assert found(server, quoted)[1] == []


def test_a_search_hides_older_versions_unless_it_is_asked_for_all(server: FakeZenodo) -> None:
    record = published(server)
    ask(server, "POST", f"/api/records/{record['id']}/versions")
    assert record["id"] not in [one["id"] for one in found(server, "")[1]]
    assert len(found(server, "", all_versions="true")[1]) == 2


def test_communities_that_do_not_take_it_are_dropped_without_a_word(server: FakeZenodo) -> None:
    server.communities = {"open": {"steward"}, "closed": set()}
    named = [{"identifier": name} for name in ("open", "closed", "unknown")]
    record = published(server, communities=named)
    assert record["metadata"]["communities"] == [{"identifier": "open"}]


def test_ranges_are_known_on_the_site_and_not_in_the_api(server: FakeZenodo) -> None:
    number = published(server)["id"]
    assert ask(server, "GET", f"/records/{number}/files/a.csv", Range="bytes=1-", token="") == (206, b",2")
    assert ask(server, "GET", f"/api/records/{number}/files/a.csv/content", Range="bytes=1-") == (200, b"1,2")
    server.flip(number, "a.csv")
    assert ask(server, "GET", f"/records/{number}/files/a.csv")[1] != b"1,2"


def test_faults_come_before_or_after_the_act(server: FakeZenodo) -> None:
    server.faults.plan(
        f"POST {DEPOSITS}", "error-before:503", "drop-before", "limit:2", "error-after:500", "drop-after"
    )
    assert ask(server, "POST", DEPOSITS, {})[0] == 503
    with pytest.raises(ConnectionError):
        ask(server, "POST", DEPOSITS, {})
    assert ask(server, "POST", DEPOSITS, {})[0] == 429
    assert server.deposits == {}
    assert ask(server, "POST", DEPOSITS, {})[0] == 500
    with pytest.raises(ConnectionError):
        ask(server, "POST", DEPOSITS, {})
    assert len(server.deposits) == 2
    assert ask(server, "POST", DEPOSITS, {})[0] == 201


def test_faults_are_set_from_another_process_too(server: FakeZenodo) -> None:
    plans = {f"GET {DEPOSITS}": ["error-before:502", ALWAYS]}
    told = ask(server, "POST", "/_control", {"plans": plans, "lag_s": 3, "seed": 7})[1]
    assert told["deposits"] == []
    assert [ask(server, "GET", DEPOSITS)[0] for _ in range(3)] == [502] * 3
    assert (server.lag_s, server.faults.seed) == (3.0, 7)
    ask(server, "POST", "/_control", {"clear": True})
    assert ask(server, "GET", DEPOSITS)[0] == 200


def test_chance_is_the_same_for_the_same_seed_whoever_else_asks() -> None:
    one, other = Faults(probability=0.3, seed=1), Faults(probability=0.3, seed=1)
    first = [one.take("GET", "/a") for _ in range(50)]
    second = [(other.take("GET", "/b"), other.take("GET", "/a"))[1] for _ in range(50)]
    assert first == second
    assert 5 < sum(map(bool, first)) < 25
