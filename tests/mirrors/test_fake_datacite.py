"""The stand-in for DataCite is strict: what the running service refuses or ignores, it does too."""

import base64
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.fakes.datacite import JSON_API, FakeDatacite, Repository
from tests.fakes.faults import running

NAME = "10.70001/roads"
WHOLE: dict[str, Any] = {
    "url": "https://data.example.org/roads",
    "creators": [{"name": "Data for Canada"}],
    "titles": [{"title": "Roads"}],
    "publisher": {"name": "Data for Canada"},
    "publicationYear": "2026",
    "types": {"resourceTypeGeneral": "Dataset"},
}


@dataclass
class Said:
    status: int
    document: Any

    @property
    def attributes(self) -> Any:
        return self.document["data"]["attributes"]

    @property
    def titles(self) -> dict[str, str]:
        return {one.get("source", one.get("status")): one["title"] for one in self.document["errors"]}


@pytest.fixture
def server() -> Iterator[FakeDatacite]:
    with running(FakeDatacite()) as started:
        yield started


def ask(
    server: FakeDatacite, method: str, path: str, attributes: Any = None, *, who: str = "DFC.TEST:s3cret", **more: str
) -> Said:
    body = None if attributes is None else json.dumps({"data": {"type": "dois", "attributes": attributes}}).encode()
    headers = {"Content-Type": JSON_API} | ({"Authorization": ""} if not who else {})
    if who:
        headers["Authorization"] = f"Basic {base64.b64encode(who.encode()).decode()}"
    request = urllib.request.Request(f"{server.url}{path}", body, {**headers, **more}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
            return Said(answer.status, json.loads(text) if text else None)
    except HTTPError as error:
        return Said(error.code, json.loads(error.read()))


def put(server: FakeDatacite, attributes: Any, name: str = NAME, **more: str) -> Said:
    return ask(server, "PUT", f"/dois/{name}", attributes, **more)


def test_a_put_makes_a_draft_and_an_event_makes_it_findable(server: FakeDatacite) -> None:
    assert (put(server, {}).status, put(server, {}).status) == (201, 200)
    assert put(server, WHOLE).attributes["state"] == "draft"
    assert server.handles == {}
    assert put(server, {"event": "publish"}).attributes["state"] == "findable"
    assert server.handles == {NAME: WHOLE["url"]}


@pytest.mark.parametrize(
    ("events", "state"),
    [
        (("register",), "registered"),
        (("register", "publish"), "findable"),
        (("publish", "hide", "show"), "findable"),
        (("publish", "register"), "findable"),
        (("hide",), "draft"),
        (("publish", "unpublish"), "findable"),
    ],
)
def test_an_event_that_does_not_fit_is_ignored_without_a_word(
    server: FakeDatacite, events: tuple[str, ...], state: str
) -> None:
    said = [put(server, {**WHOLE, "event": event}) for event in events][-1]
    assert (said.status in {200, 201}, said.attributes["state"]) == (True, state)


def test_a_put_keeps_what_it_leaves_out_and_replaces_whole_lists(server: FakeDatacite) -> None:
    put(server, {**WHOLE, "subjects": [{"subject": "a"}, {"subject": "b"}]}, name=NAME.upper())
    after = put(server, {"subjects": [{"subject": "c"}]}).attributes
    assert after["subjects"] == [{"subject": "c"}]
    assert after["titles"] == WHOLE["titles"]
    assert list(server.dois) == [NAME]


@pytest.mark.parametrize("lacking", WHOLE)
def test_what_a_findable_doi_needs_is_asked_for_and_nothing_is_kept(server: FakeDatacite, lacking: str) -> None:
    put(server, {key: value for key, value in WHOLE.items() if key != lacking})
    said = put(server, {"event": "publish"})
    assert said.status == 422
    assert "Can't be blank" in said.titles[lacking] or "Missing child element(s)" in said.titles[lacking]
    assert server.dois[NAME].state == "draft"


def test_drafts_are_seen_by_their_owner_alone_and_deleted_by_no_other(server: FakeDatacite) -> None:
    server.repositories["ELSE.WHERE"] = Repository("other", ("10.70001", "10.70002"))
    put(server, WHOLE)
    path = f"/dois/{NAME}"
    seen = [ask(server, "GET", path, who=who).status for who in ("DFC.TEST:s3cret", "", "ELSE.WHERE:other", "a:b")]
    assert seen == [200, 404, 404, 401]
    assert ask(server, "DELETE", path, who="ELSE.WHERE:other").status == 403
    assert ask(server, "DELETE", path).status == 204
    put(server, {**WHOLE, "event": "publish"})
    assert ask(server, "DELETE", path).status == 405
    assert ask(server, "GET", path, who="").status == 200


@pytest.mark.parametrize(
    ("attributes", "more", "status", "words"),
    [
        ({}, {"name": "10.70002/roads"}, 403, "not authorized"),
        ({}, {"name": "10.70001/roads{1}"}, 422, "is invalid"),
        ({}, {"who": "DFC.TEST:wrong"}, 401, "Bad credentials."),
        ({}, {"who": ""}, 401, "Bad credentials."),
        ({}, {"Content-Type": "application/json"}, 415, "Unsupported"),
        ("roads", {}, 400, "following the JSONAPI spec"),
        ({"titles": ["Roads"]}, {}, 422, "should be an object instead of a string"),
        ({"identifiers": [{"identifier": NAME, "identifierType": "DOI"}]}, {}, 422, "must not have type DOI"),
    ],
)
def test_what_is_wrong_is_refused_even_for_a_draft(
    server: FakeDatacite, attributes: Any, more: dict[str, str], status: int, words: str
) -> None:
    said = put(server, attributes, **more)
    assert said.status == status
    assert words in str(said.titles)
    assert server.dois == {}


def test_a_post_of_a_known_doi_is_refused_and_one_of_a_prefix_is_random_each_time(server: FakeDatacite) -> None:
    assert ask(server, "POST", "/dois", {"doi": NAME}).status == 201
    taken = ask(server, "POST", "/dois", {"doi": NAME})
    assert (taken.status, taken.titles) == (422, {"doi": "This DOI has already been taken"})
    names = {ask(server, "POST", "/dois", {"prefix": "10.70001"}).document["data"]["id"] for _ in range(2)}
    assert len(names) == 2


def test_an_error_of_the_handle_follows_a_change_that_stuck(server: FakeDatacite) -> None:
    server.handles_fail = 1
    assert put(server, {**WHOLE, "event": "publish"}).status == 500
    assert server.dois[NAME].state == "findable"
    assert server.handles == {}
    assert put(server, {}).status == 200
    assert server.handles == {NAME: WHOLE["url"]}


def test_a_search_sees_what_is_written_some_time_later(server: FakeDatacite) -> None:
    now = server.now()
    server.now, server.lag_s = (lambda: now), 30.0
    put(server, {**WHOLE, "event": "publish"})
    assert ask(server, "GET", "/dois?query=Roads").document["meta"]["total"] == 0
    server.now = lambda: now + 31
    assert ask(server, "GET", "/dois?query=Roads").document["meta"]["total"] == 1
