"""A strict stand-in for Zenodo: its older deposit API, the few newer calls beside it, and its public files.

It keeps all in memory, so it lives in the process of the test, or in its own: `python -m tests.fakes.zenodo PORT`.
What it does comes from reading the code of the running service; where that and its handbook differ, it does as the
code: a second publication is 404, a repeated `newversion` over files is 400, a lost index entry comes late.
"""

import hashlib
import itertools
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.fakes import zenodo_metadata
from tests.fakes.faults import Answer, FakeServer, Faults, Request, json_answer, ranged
from tests.fakes.zenodo_metadata import InvalidError

TOKEN = "token-of-the-stand-in"
WRITE, ACTIONS = "deposit:write", "deposit:actions"
DEPOSIT, DEPOSITS = r"/api/deposit/depositions/(\d+)", r"/api/deposit/depositions"
RECORD, NAME, BUCKET = r"/api/records/(\d+)", r"([^/]+)", r"/api/files/([0-9a-f-]+)"
LONGEST_NAME = 255
TERM = re.compile(r'\s*([a-zA-Z_.]+):("(?:[^"\\]|\\.)*"|[A-Za-z0-9_-]+)\s*(?:AND|$)')
WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class Client:
    user: str
    scopes: frozenset[str] = frozenset({WRITE, ACTIONS})


@dataclass
class Stored:
    name: str
    content: bytes
    id: str
    md5: str  # of what came; bytes that rot later do not change it

    @property
    def size(self) -> int:
        return len(self.content)


@dataclass
class Deposit:
    """A record and its draft. `published` is the metadata that is public, `draft` what may be changed."""

    id: int
    concept: int
    owner: str
    draft: dict[str, Any] | None
    bucket: str
    published: dict[str, Any] | None = None
    communities: list[str] = field(default_factory=list)
    files: dict[str, Stored] = field(default_factory=dict)

    @property
    def state(self) -> str:
        if self.published is None:
            return "unsubmitted"
        return "done" if self.draft is None else "inprogress"

    @property
    def metadata(self) -> dict[str, Any]:
        return self.draft if self.draft is not None else self.published or {}


class ZenodoError(Exception):
    """An answer that ends a request."""

    def __init__(self, status: int, message: str, errors: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(status, message)
        found = [{"field": name, "messages": [words]} for name, words in errors]
        self.answer = json_answer(
            status, {"status": status, "message": message} | ({"errors": found} if found else {})
        )


class FakeZenodo(FakeServer):
    routes = (
        ("GET", DEPOSITS, "search"),
        ("POST", DEPOSITS, "create"),
        ("GET", DEPOSIT, "show"),
        ("PUT", DEPOSIT, "describe"),
        ("DELETE", DEPOSIT, "discard"),
        ("POST", f"{DEPOSIT}/actions/publish", "publish"),
        ("POST", f"{DEPOSIT}/actions/edit", "edit"),
        ("POST", f"{DEPOSIT}/actions/discard", "discard"),
        ("POST", f"{DEPOSIT}/actions/newversion", "new_version_with_files"),
        ("GET", f"{DEPOSIT}/files", "show_files"),
        ("PUT", f"{BUCKET}/{NAME}", "put"),
        ("DELETE", f"{BUCKET}/{NAME}", "remove"),
        ("GET", f"{RECORD}/draft/files/{NAME}/content", "draft_content"),
        ("POST", f"{RECORD}/versions", "new_version"),
        ("GET", RECORD, "show_record"),
        ("GET", f"{RECORD}/files/{NAME}/content", "content"),
        ("GET", rf"/records/(\d+)/files/{NAME}", "public_content"),
        ("HEAD", rf"/records/(\d+)/files/{NAME}", "public_content"),
        ("GET", f"/api/communities/{NAME}", "show_community"),
    )

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.forget()

    def forget(self) -> None:
        """Begin as if nobody had asked anything yet."""
        self.faults, self.asked, self.now = Faults(), [], time.time
        self.clients = {TOKEN: Client("steward")}
        self.communities: dict[str, set[str]] = {}  # who may add records to each
        self.deposits: dict[int, Deposit] = {}
        self.index: dict[int, list[tuple[float, dict[str, Any] | None]]] = {}
        self.lag_s = 0.0
        self.most_files, self.most_bytes = 100, 50 * 10**9
        self.per_minute: int | None = None
        self.loses: set[str] = set()  # names of metadata that it takes and does not keep
        self.doi_prefix = "10.5281"
        self.numbers = itertools.count(1000)

    @property
    def api(self) -> str:
        return f"{self.url}/api"

    def answer(self, request: Request) -> Answer:
        limit = self.limit(request)
        if limit:
            return limit
        try:
            return super().answer(request)
        except ZenodoError as refusal:
            return refusal.answer
        except InvalidError as invalid:
            return ZenodoError(400, "A validation error occurred.", [(invalid.field, invalid.message)]).answer

    def limit(self, request: Request) -> Answer | None:
        """Refuse what comes too often within a minute."""
        since = self.now() - 60
        if self.per_minute is None or sum(one.at_s > since for one in self.asked) <= self.per_minute:
            return None
        said = {"X_RateLimit_Limit": str(self.per_minute), "X_RateLimit_Remaining": "0"}
        message = {"status": 429, "message": f"{self.per_minute} per 1 minute"}
        return json_answer(429, message, X_RateLimit_Reset=str(int(self.now()) + 60), **said)

    # Who asks, and for what

    def client(self, request: Request, scope: str) -> Client:
        given = request.headers.get("authorization", "")
        if not given:
            raise ZenodoError(403, "Permission denied.")
        if given.removeprefix("Bearer ") not in self.clients:
            raise ZenodoError(401, "The server could not verify that you are authorized to access the URL requested.")
        client = self.clients[given.removeprefix("Bearer ")]
        if scope not in client.scopes:
            raise ZenodoError(403, "Permission denied.")
        return client

    def owned(self, request: Request, number: str, scope: str = WRITE) -> Deposit:
        client, deposit = self.client(request, scope), self.deposits.get(int(number))
        if deposit is None:
            raise ZenodoError(404, "The persistent identifier does not exist.")
        if deposit.owner != client.user:
            raise ZenodoError(403, "Permission denied.")
        return deposit

    def drafted(self, request: Request, number: str, scope: str = WRITE) -> Deposit:
        deposit = self.owned(request, number, scope)
        if deposit.draft is None:
            raise ZenodoError(404, "The persistent identifier does not exist.")
        return deposit

    def published(self, number: str) -> Deposit:
        deposit = self.deposits.get(int(number))
        if deposit is None or deposit.published is None:
            raise ZenodoError(404, "The persistent identifier does not exist.")
        return deposit

    def taken(self, request: Request) -> dict[str, Any]:
        kept = zenodo_metadata.taken(self.sent(request))
        return {name: value for name, value in kept.items() if name not in self.loses}

    def sent(self, request: Request) -> Any:
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise ZenodoError(415, "The media type is not supported.")
        try:
            return request.json()
        except ValueError as error:
            raise ZenodoError(400, "Unable to decode JSON data in request body.") from error

    # Deposits

    def create(self, request: Request) -> Answer:
        client = self.client(request, WRITE)
        metadata = self.taken(request)
        concept = next(self.numbers)
        deposit = self.add(concept, client.user, metadata)
        return json_answer(201, self.deposition(deposit))

    def add(self, concept: int, owner: str, metadata: dict[str, Any]) -> Deposit:
        number = next(self.numbers)
        bucket = hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
        deposit = Deposit(number, concept, owner, metadata, f"{bucket[:8]}-{bucket[8:]}")
        self.deposits[number] = deposit
        self.note_in_index(deposit)
        return deposit

    def show(self, request: Request, number: str) -> Answer:
        return json_answer(200, self.deposition(self.owned(request, number)))

    def show_files(self, request: Request, number: str) -> Answer:
        return json_answer(200, self.deposition(self.owned(request, number))["files"])

    def describe(self, request: Request, number: str) -> Answer:
        deposit, metadata = self.drafted(request, number), self.taken(request)
        own = f"{self.doi_prefix}/zenodo.{number}"
        if metadata.get("doi", own) != own:
            raise ZenodoError(400, "A validation error occurred.", [("pids.doi", "The prefix is managed by Zenodo.")])
        deposit.draft = metadata
        self.note_in_index(deposit)
        return json_answer(200, self.deposition(deposit))

    def discard(self, request: Request, number: str) -> Answer:
        deposit = self.drafted(request, number, ACTIONS if request.method == "POST" else WRITE)
        deposit.draft = None
        if deposit.published is None:
            del self.deposits[deposit.id]
        self.note_in_index(deposit)
        return Answer(204)

    def publish(self, request: Request, number: str) -> Answer:
        deposit = self.drafted(request, number, ACTIONS)
        found = list(zenodo_metadata.missing(deposit.draft or {}))
        if not deposit.files:
            found.append(
                ("files.enabled", "Missing uploaded files. To disable files for this record please mark it.")
            )
        if found:
            raise ZenodoError(400, "A validation error occurred.", found)
        wanted = [one["identifier"] for one in (deposit.draft or {}).pop("communities", [])]
        joined = [one for one in wanted if deposit.owner in self.communities.get(one, ())]
        deposit.communities = sorted({*deposit.communities, *joined})
        deposit.published, deposit.draft = deposit.draft, None
        self.note_in_index(deposit)
        return json_answer(202, self.deposition(deposit))

    def edit(self, request: Request, number: str) -> Answer:
        deposit = self.owned(request, number, ACTIONS)
        if deposit.draft is None:
            deposit.draft = dict(deposit.published or {})
            self.note_in_index(deposit)
        return json_answer(201, self.deposition(deposit))

    def new_version(self, request: Request, number: str) -> Answer:
        new = self.next_draft(self.owned(request, number, ACTIONS))
        return json_answer(201, {"id": str(new.id), "is_published": False, "is_draft": True, "errors": []})

    def new_version_with_files(self, request: Request, number: str) -> Answer:
        before = self.owned(request, number, ACTIONS)
        new = self.next_draft(before)
        if new.files:
            raise ZenodoError(400, "Please remove all files first.")
        new.files = dict(before.files)
        return json_answer(201, self.deposition(new))

    def next_draft(self, before: Deposit) -> Deposit:
        """Give the one open draft of a concept, made from a published version unless it is there."""
        self.published(str(before.id))
        family = [one for one in self.deposits.values() if one.concept == before.concept]
        for one in family:
            if one.published is None:
                return one
        copied = {
            k: v for k, v in (before.published or {}).items() if k not in {"publication_date", "version", "doi"}
        }
        return self.add(before.concept, before.owner, copied)

    # The index, which comes after

    def note_in_index(self, deposit: Deposit) -> None:
        shown = self.deposition(deposit) if deposit.id in self.deposits else None
        self.index.setdefault(deposit.id, []).append((self.now(), shown))

    def search(self, request: Request) -> Answer:
        client = self.client(request, WRITE)
        size = int(request.query.get("size", "10"))
        if size > 100:
            raise ZenodoError(400, "A validation error occurred.", [("size", "Must be at most 100.")])
        wanted = terms(request.query.get("q", ""))
        seen = [one for one in self.seen() if self.deposits_owner(one["id"]) == client.user]
        if request.query.get("all_versions", "").lower() not in {"true", "1"}:
            newest = {one["conceptrecid"]: one["id"] for one in sorted(seen, key=lambda one: one["id"])}
            seen = [one for one in seen if newest[one["conceptrecid"]] == one["id"]]
        status = {"draft": (False,), "published": (True,)}.get(request.query.get("status", ""), (True, False))
        hits = [one for one in seen if one["submitted"] in status and all(matches(one, *term) for term in wanted)]
        start = (int(request.query.get("page", "1")) - 1) * size
        return json_answer(200, sorted(hits, key=lambda one: -one["id"])[start : start + size])

    def seen(self) -> list[dict[str, Any]]:
        """Give what the index knows at this moment."""
        known = [[shown for at, shown in story if at + self.lag_s <= self.now()] for story in self.index.values()]
        return [story[-1] for story in known if story and story[-1] is not None]

    def deposits_owner(self, number: int) -> str:
        return self.deposits[number].owner if number in self.deposits else "steward"

    # Files

    def bucket_of(self, request: Request, bucket: str) -> Deposit:
        client = self.client(request, WRITE)
        for deposit in self.deposits.values():
            if deposit.bucket == bucket and deposit.owner == client.user:
                if deposit.published is not None:
                    raise ZenodoError(403, "Bucket is locked.")
                return deposit
        raise ZenodoError(404, "Bucket does not exist.")

    def put(self, request: Request, bucket: str, name: str) -> Answer:
        deposit = self.bucket_of(request, bucket)
        if request.headers.get("content-type", "application/octet-stream") != "application/octet-stream":
            raise ZenodoError(415, "The media type is not supported.")
        if "/" in name:
            raise ZenodoError(404, "The requested URL was not found on the server.")
        if len(name) > LONGEST_NAME:
            raise ZenodoError(400, "A validation error occurred.", [("key", "Longer than maximum length 255.")])
        others = [one for one in deposit.files.values() if one.name != name]
        if len(others) >= self.most_files:
            raise ZenodoError(400, "Uploading selected files will result in exceeding the max amount per record.")
        if sum(one.size for one in others) + len(request.body) > self.most_bytes:
            raise ZenodoError(400, "Bucket quota exceeded.")
        md5 = hashlib.md5(request.body, usedforsecurity=False).hexdigest()
        stored = Stored(name, request.body, f"file-{next(self.numbers)}", md5)
        deposit.files[name] = stored
        return json_answer(
            201,
            {"key": name, "size": stored.size, "checksum": f"md5:{md5}", "version_id": stored.id, "links": {}},
        )

    def remove(self, request: Request, bucket: str, name: str) -> Answer:
        deposit = self.bucket_of(request, bucket)
        if name not in deposit.files:
            raise ZenodoError(404, f"File with key {name} not found.")
        del deposit.files[name]
        return Answer(204)

    def file_of(self, deposit: Deposit, name: str) -> Stored:
        if name not in deposit.files:
            raise ZenodoError(404, f"Record '{deposit.id}' has no file '{name}'.")
        return deposit.files[name]

    def draft_content(self, request: Request, number: str, name: str) -> Answer:
        return self.whole(self.file_of(self.drafted(request, number), name))

    def content(self, request: Request, number: str, name: str) -> Answer:
        return self.whole(self.file_of(self.published(number), name))

    def whole(self, file: Stored) -> Answer:
        """Give a file through the API, which knows no ranges."""
        return Answer(200, file.content, {"ETag": f'"md5:{file.md5}"', "Content-MD5": file.md5})

    def public_content(self, request: Request, number: str, name: str) -> Answer:
        """Give a file as browsers get it, with ranges."""
        file = self.file_of(self.published(number), name)
        return ranged(request, file.content, {"ETag": f'"md5:{file.md5}"'})

    # What it says of a deposit

    def deposition(self, deposit: Deposit) -> dict[str, Any]:
        own = f"{self.api}/deposit/depositions/{deposit.id}"
        record = f"{self.api}/records/{deposit.id}"
        is_public = deposit.published is not None
        metadata = zenodo_metadata.shown(deposit.metadata, deposit.id)
        if deposit.communities:
            asked = [one["identifier"] for one in metadata.get("communities", [])]
            metadata["communities"] = [{"identifier": one} for one in sorted({*deposit.communities, *asked})]
        links = {
            "self": record if deposit.state == "done" else own,
            "bucket": f"{self.api}/files/{deposit.bucket}",
            "html": f"{self.url}/records/{deposit.id}",
            "latest_draft": own,
        } | {action: f"{own}/actions/{action}" for action in ("publish", "edit", "discard", "newversion")}
        return {
            "id": deposit.id,
            "conceptrecid": str(deposit.concept),
            "state": deposit.state,
            "submitted": is_public,
            "metadata": metadata,
            "files": [
                {"id": one.id, "filename": one.name, "filesize": one.size, "checksum": one.md5}
                for one in deposit.files.values()
            ],
            "links": links,
            **self.dois(deposit),
        }

    def dois(self, deposit: Deposit) -> dict[str, str]:
        family = [
            one for one in self.deposits.values() if one.concept == deposit.concept and one.published is not None
        ]
        concept = {"conceptdoi": f"{self.doi_prefix}/zenodo.{deposit.concept}"} if family else {}
        own = {"doi": f"{self.doi_prefix}/zenodo.{deposit.id}"} if deposit.published is not None else {}
        return own | concept

    def show_record(self, request: Request, number: str) -> Answer:
        deposit = self.published(number)
        metadata = zenodo_metadata.public(deposit.published or {})
        if deposit.communities:
            metadata["communities"] = [{"id": one} for one in deposit.communities]
        files = [{"key": one.name, "size": one.size, "checksum": f"md5:{one.md5}"} for one in deposit.files.values()]
        links = {"self_html": f"{self.url}/records/{deposit.id}"}
        told = {"id": deposit.id, "conceptrecid": str(deposit.concept), "metadata": metadata, "files": files}
        return json_answer(200, told | {"links": links} | self.dois(deposit))

    def show_community(self, request: Request, slug: str) -> Answer:
        if slug not in self.communities:
            raise ZenodoError(404, "The persistent identifier does not exist.")
        return json_answer(200, {"id": f"id-of-{slug}", "slug": slug})

    # For tests

    def flip(self, record_id: int | str, name: str, position: int = 0) -> None:
        """Let one byte rot; what the service says of its checksum stays as it was."""
        file = self.deposits[int(record_id)].files[name]
        content = bytearray(file.content)
        content[position] ^= 0xFF
        file.content = bytes(content)

    def control(self, words: Mapping[str, Any]) -> Mapping[str, Any]:
        self.lag_s = float(words.get("lag_s", self.lag_s))
        for one in words.get("flip", []):
            self.flip(*one)
        told = [
            {
                "id": one.id,
                "concept": one.concept,
                "state": one.state,
                "urns": zenodo_metadata.identifiers(one.metadata),
            }
            | {"files": {file.name: hashlib.sha256(file.content).hexdigest() for file in one.files.values()}}
            for one in self.deposits.values()
        ]
        return {**super().control(words), "deposits": told}


def terms(query: str) -> list[tuple[str, str]]:
    """Read a query of terms joined by AND; a bare `:` or `/` in a value is a syntax error, as in the real one."""
    found, rest = [], query
    while rest.strip():
        term = TERM.match(rest)
        if not term:
            raise ZenodoError(400, "The syntax of the search query is invalid.")
        found.append((term[1], term[2].strip('"')))
        rest = rest[term.end() :]
    return found


def matches(shown: Mapping[str, Any], name: str, value: str) -> bool:
    """Match by words in their order, as an index does, and so also what is longer than what was asked for."""
    values: dict[str, Callable[[], list[str]]] = {
        "metadata.identifiers.identifier": lambda: zenodo_metadata.identifiers(shown["metadata"]),
        "conceptrecid": lambda: [shown["conceptrecid"]],
        "metadata.title": lambda: [str(shown["metadata"].get("title", ""))],
    }
    wanted = " ".join(WORD.findall(value.lower()))
    found = values[name]() if name in values else []
    return any(f" {wanted} " in f" {' '.join(WORD.findall(one.lower()))} " for one in found)


def address(server: FakeZenodo, record_id: str, name: str) -> str:
    """Give where the public finds a file."""
    return f"{server.url}/records/{record_id}/files/{quote(name)}"


if __name__ == "__main__":
    FakeZenodo(int(sys.argv[1])).serve_forever()
