"""How the Internet Archive is asked, through the package `internetarchive`, which no other module imports.

1. Keys are given, never found: no ini file and no variable of the package's own counts.
2. One question is one request. What is to be tried again is told to the caller, who has the patience for it.
3. Opening a session of the package replaces `socket.socket.connect` in the whole process; it is put back at once.
4. A redirect is followed only to the Archive's own hosts, and a download carries no keys.
"""

import json
import logging
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import urllib3
from internetarchive import ArchiveSession, Item
from internetarchive.auth import S3Auth
from internetarchive.iarequest import S3Request
from requests import HTTPError, PreparedRequest, RequestException, Response
from requests.adapters import HTTPAdapter

from mirrors.backends.internet_archive_answers import MOST_WORDS, SHORTLY_S, failure, slow_down, wrong_keys
from mirrors.backends.internet_archive_body import Body
from mirrors.backends.internet_archive_metadata import Metadata
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError

SITE, S3 = "https://archive.org", "https://s3.us.archive.org"
CONNECT_S = 10.0
BLOCK_BYTES = 1 << 18
MOST_JSON_BYTES = 64 << 20
MOST_ERROR_BYTES = 1 << 16
MOST_REDIRECTS = 4
REDIRECTS = {301, 302, 303, 307, 308}
OWN_MARK = "d4c-sha256"
RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")

logging.getLogger("internetarchive").setLevel(logging.CRITICAL)  # it would log addresses with the access key in them


@dataclass(frozen=True)
class Account:
    """Whose keys are used, and for what; `names` begins the names of the keys' variables.

    `endpoint` stands for all of the Archive's hosts in trials; empty otherwise. `contact` is told with each request.
    `call_s` is how long the Archive may say nothing, and how long it may take to answer a question.
    """

    slug: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    names: str = ""
    endpoint: str = ""
    public_url: str = f"{SITE}/download"
    collection: str = ""
    contact: str = ""
    settle_s: int = 30
    call_s: float = 110.0


class Once(HTTPAdapter):
    """Sends a request once, a file in blocks that are worth a call."""

    def __init__(self) -> None:
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named, blocksize=BLOCK_BYTES)


class Elsewhere(Once):
    """Sends what is meant for the Archive's hosts to one address; the host stays in the header."""

    def __init__(self, endpoint: str) -> None:
        self.parts = urlsplit(endpoint)
        super().__init__()

    def send(self, request: PreparedRequest, *args: Any, **named: Any) -> Response:
        meant = urlsplit(str(request.url))
        request.headers["Host"] = meant.netloc
        path = f"{self.parts.path.rstrip('/')}{meant.path}"
        request.url = urlunsplit((self.parts.scheme, self.parts.netloc, path, meant.query, ""))
        answer = super().send(request, *args, **named)
        answer.url = request.url = urlunsplit(meant)
        return answer


class Session(ArchiveSession):
    """The package's session, which would take its keys to any host that ends in the Archive's name."""

    def get_redirect_target(self, resp: Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        try:
            return led_to(resp.url, target)
        except MirrorUnavailableError:
            resp.close()
            raise


def led_to(url: str, location: str) -> str:
    """Give where a redirect leads; raises MirrorUnavailableError unless it is one of the Archive's hosts by HTTPS."""
    try:
        led = urljoin(url, location)
        parts = urlsplit(led)
        is_default = parts.port in {None, 443}
    except ValueError as error:
        raise MirrorUnavailableError(
            f"{location[:300]}: the Internet Archive sent us to what is no address."
        ) from error
    host = parts.hostname or ""
    if not is_default or parts.scheme != "https" or not (host == "archive.org" or host.endswith(".archive.org")):
        raise MirrorUnavailableError(f"{host}: the Internet Archive sent us there, which is none of its own hosts.")
    return led


@contextmanager
def own_connect() -> Iterator[None]:
    """Leave `socket.socket.connect` as it was."""
    connect = socket.socket.connect
    try:
        yield
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]


def ia_session(account: Account) -> Session:
    """Open a session that tries nothing twice; with `endpoint` it asks that address instead of the Archive."""
    keys = {"access": account.access_key, "secret": account.secret_key}
    config = {"s3": keys, "general": {"secure": True, "host": "archive.org", "user_agent_suffix": account.contact}}
    try:
        with own_connect():
            session = Session(config, os.devnull, http_adapter_kwargs={"max_retries": 0})
    except ValueError as error:
        raise MirrorRefusedError(
            f"{account.slug}: one of IA_ACCESS_KEY_ID and IA_SECRET_ACCESS_KEY is set where the workers start. Unset "
            f"it: the keys of this mirror are {account.names}ACCESS_KEY_ID and {account.names}SECRET_ACCESS_KEY."
        ) from error
    # With a slash at the end: the package mounts its own adapter without one, and the longest prefix wins.
    for prefix in (f"{SITE}/", f"{S3}/", "https://"):
        session.mount(prefix, Elsewhere(account.endpoint) if account.endpoint else Once())
    return session


class Client:
    """One conversation with the Archive. Its failures are MirrorUnavailableError or MirrorRefusedError."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.session = ia_session(account)
        self.auth = S3Auth(account.access_key, account.secret_key)
        self.timeout_s = (min(CONNECT_S, account.call_s), account.call_s)

    def metadata(self, identifier: str) -> dict[str, Any]:
        """Give all that is told of an item; empty for one that is not there, or not yet."""
        said = self.told(f"{SITE}/metadata/{identifier}", {})
        is_clear = isinstance(said.get("metadata", {}), dict) and isinstance(said.get("files", []), list)
        if "error" in said or not is_clear:
            raise self.unclear(identifier)
        return said

    def tasks(self, identifier: str) -> dict[str, int]:
        """Count an item's tasks by `queued`, `running` and `paused`, and as `error` those that failed."""
        said = self.told(f"{SITE}/services/tasks.php", {"identifier": identifier, "summary": 1, "catalog": 1})
        try:
            return {name: int(count) for name, count in said["value"]["summary"].items()}
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise self.unclear(f"the tasks of {identifier}") from error

    def is_free(self, identifier: str) -> bool:
        """Tell whether nobody has taken that name."""
        said = self.told(f"{SITE}/services/check_identifier.php", {"output": "json", "identifier": identifier})
        return said.get("code") == "available"

    @cached_property
    def account_name(self) -> str:
        """The e-mail address of the account; raises MirrorRefusedError if the keys are nobody's."""
        said = self.told(f"{S3}/", {"check_auth": 1})
        if said.get("error") or not said.get("username"):
            raise wrong_keys(self.account.slug, self.account.names)
        return str(said["username"])

    def refuse_if_full(self, identifier: str) -> None:
        """Raise MirrorUnavailableError while nothing would be taken, before bytes are sent in vain."""
        limit = {"check_limit": 1, "accesskey": self.account.access_key, "bucket": identifier}
        said = self.told(f"{S3}/", limit)
        if said.get("over_limit"):
            detail = said.get("detail")
            raise slow_down(identifier, str(detail.get("limit_reason", "")) if isinstance(detail, dict) else "")

    def told(self, url: str, params: Mapping[str, object]) -> dict[str, Any]:
        """Ask for a JSON object."""
        with self.asked("GET", url, params=params, auth=self.auth) as answer:
            self.refuse_failure(answer, urlsplit(url).path)
            text = self.text(answer, MOST_JSON_BYTES)
        return self.parsed(text, url)

    def text(self, answer: Response, most_bytes: int) -> bytes:
        """Read an answer that may be neither endless nor without haste."""
        text, until_s = bytearray(), time.monotonic() + self.account.call_s
        for block in answer.iter_content(BLOCK_BYTES):
            text += block
            if len(text) > most_bytes or time.monotonic() > until_s:
                raise self.unclear(urlsplit(answer.url).path)
        return bytes(text)

    def parsed(self, text: bytes, what: str) -> dict[str, Any]:
        try:
            said = json.loads(text)
        except (ValueError, RecursionError) as error:  # the latter is what endless brackets come to
            raise self.unclear(what) from error
        if not isinstance(said, dict | list) or (isinstance(said, list) and said):
            raise self.unclear(what)
        return dict(said)  # an empty list is how PHP writes an empty object

    def unclear(self, what: str) -> MirrorUnavailableError:
        return MirrorUnavailableError(
            f"{self.account.slug}: the Internet Archive gave no clear answer about {what}. It is asked again.",
            after_s=SHORTLY_S,
        )

    @contextmanager
    def asked(self, method: str, url: str, **named: Any) -> Iterator[Response]:
        """Send one request, follow nothing, and close the answer at the end."""
        with self.line(urlsplit(url).path):
            answer = self.session.request(
                method, url, timeout=self.timeout_s, allow_redirects=False, stream=True, **named
            )
            with closing(answer):
                yield answer

    @contextmanager
    def line(self, what: str) -> Iterator[None]:
        """Raise MirrorUnavailableError for a line that breaks."""
        try:
            yield
        except (RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise MirrorUnavailableError(
                f"{self.account.slug}: the Internet Archive does not answer about {what} ({type(error).__name__}). "
                "It is asked again."
            ) from error

    def refuse_failure(self, answer: Response, what: str) -> None:
        if not answer.ok:
            raise self.failed(answer, self.text(answer, MOST_ERROR_BYTES).decode(errors="replace"), what)

    def failed(self, answer: Response, text: str, what: str) -> Exception:
        return failure(what, self.account.names, answer.status_code, text, answer.headers)

    def put(self, identifier: str, body: Body, headers: Mapping[str, str], metadata: Metadata) -> None:
        """Send a file once. When this returns, the Archive has it whole and will store it."""
        path = body.upload.path
        with self.line(path):
            try:
                Item(self.session, identifier).upload_file(
                    body,
                    path,
                    metadata,
                    {OWN_MARK: body.upload.sha256},
                    dict(headers),
                    request_kwargs={"timeout": self.timeout_s},
                )
            except HTTPError as error:
                if error.response is None:
                    raise
                raise self.failed(error.response, error.response.text, f"{identifier}/{path}") from error

    def delete(self, identifier: str, path: str) -> None:
        """Ask that a file be moved into the item's history; done when the item's tasks are."""
        request: Any = S3Request(  # type: ignore[no-untyped-call]
            method="DELETE",
            url=f"{S3}/{identifier}/{quote(path)}",
            headers={"x-archive-keep-old-version": "1", "x-archive-cascade-delete": "0"},
            auth=self.auth,
            queue_derive=False,
        )
        with (
            self.line(path),
            closing(self.session.send(request.prepare(), timeout=self.timeout_s, allow_redirects=False)) as answer,
        ):
            if answer.status_code != HTTPStatus.NOT_FOUND:
                self.refuse_failure(answer, f"{identifier}/{path}")

    def describe(self, identifier: str, item: dict[str, Any], changed: Mapping[str, Any]) -> None:
        """Write fields of an item if those that change are still what `item` told; None removes one."""
        fields = {name: "REMOVE_TAG" if value is None else value for name, value in changed.items()}
        before = {name: item["metadata"][name] for name in changed if name in item["metadata"]}
        with self.line(identifier):
            answer = Item(self.session, identifier, item).modify_metadata(
                fields, expect=before, timeout=self.account.call_s, refresh=False
            )
        if not isinstance(answer, Response):
            raise TypeError(type(answer))
        if answer.ok or "no changes" in answer.text:
            return
        if answer.status_code in {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT}:  # changed meanwhile, as a rule
            words = answer.text[:MOST_WORDS]
            raise MirrorUnavailableError(
                f"{identifier}: the Internet Archive did not take its new metadata ({words}). It is looked at again."
            )
        raise self.failed(answer, answer.text, identifier)

    def read(self, identifier: str, path: str, start: int, length: int | None) -> Iterator[bytes]:
        """Give bytes of a file from the host that keeps it; raises MirrorRefusedError if it is absent."""
        url = f"{SITE}/download/{identifier}/{quote(path)}"
        end = "" if length is None else str(start + length - 1)
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={start}-{end}"}
        for _ in range(MOST_REDIRECTS + 1):
            with self.asked("GET", url, headers=headers, auth=without_keys) as answer:
                if answer.status_code not in REDIRECTS:
                    yield from self.blocks(answer, f"{identifier}/{path}", start, length)
                    return
                url = led_to(url, answer.headers.get("Location", ""))
        raise self.unclear(f"{identifier}/{path}")

    def blocks(self, answer: Response, what: str, start: int, length: int | None) -> Iterator[bytes]:
        """Give the wanted bytes of a download, whether or not its host did as Range says."""
        if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise MirrorRefusedError(f"{what}: the Internet Archive does not hold it. Put it there again.")
        self.refuse_failure(answer, what)
        skipped, left = 0, length
        if answer.status_code == HTTPStatus.PARTIAL_CONTENT:
            skipped = start
            self.refuse_other_range(answer, what, start, length)
        for block in answer.raw.stream(BLOCK_BYTES, decode_content=False):
            behind, skipped = max(0, start - skipped), skipped + len(block)
            given = block[behind:] if left is None else block[behind : behind + left]
            left = None if left is None else left - len(given)
            if given:
                yield given
            if left == 0:
                return

    def refuse_other_range(self, answer: Response, what: str, start: int, length: int | None) -> None:
        """Raise MirrorUnavailableError for a part that is not the one that was asked for, or less of it."""
        told = RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if told is None:
            raise self.unclear(what)
        first, last, size_bytes = (int(one) for one in told.groups())
        end = size_bytes if length is None else min(size_bytes, start + length)
        if (first, last) != (start, end - 1):
            raise self.unclear(what)


def without_keys(request: PreparedRequest) -> PreparedRequest:
    """Leave a request as it is, so that no netrc of the machine is asked for keys either."""
    return request
