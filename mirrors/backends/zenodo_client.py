"""Zenodo's HTTP: one question at a time, under our name, and each of its refusals as one of our two failures.

1. A question goes to an address that catalog/addresses.py has looked at, and the token only to the API that the
   mirror's row names: neither to another host that an answer mentions, nor along a redirect.
2. What may be said twice is said again a few times when the answer is lost: GET, PUT of metadata, DELETE. What may
   not (making a deposit, a file's bytes) is left to the caller, who looks first.
3. `429` is obeyed: a short wait is slept, of a longer one the caller is told (`after_s`). A question that was refused
   so was not done, and any may be asked again.
4. An answer may be late, cut, or HTML of a proxy: nothing is read as JSON that does not say so, nothing without end.
"""

import http.client
import json
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, urlsplit

from catalog.addresses import AddressRefusedError, NameUnknownError, Networks, resolve
from catalog.line import connected
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError

SILENCE_S = 60.0
DAY_S = 86_400.0
LEAST_BYTES_PER_S = 64 << 10  # a slower upload is broken off
MOST_BYTES = 64 << 20
BLOCK_BYTES = 1 << 17
TRIES = 4
SHARES = 20  # with less of the time left than one of so many shares, nothing is asked again
SHORT_WAIT_S = 20.0
UNTOLD_WAIT_S = 5.0
AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.TOO_EARLY}
CLOSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
NUMBER = re.compile(r"[0-9]{1,19}")  # of a byte; of thousands of digits Python makes none
BROKEN = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Account:
    """Where the API is, with which token it is entered, and in whose name.

    `names` is the variable that holds the token. `allowed` are private networks that may be asked nevertheless.
    """

    api: str
    token: str = field(repr=False)
    names: str = "DFC_MIRROR_ZENODO_TOKEN"
    agent: str = "Data for Canada"
    allowed: Networks = ()
    pause_s: float = 1.0
    call_s: float = 110.0  # the longest that one question may take, asked again or not


@dataclass(frozen=True)
class Reply:
    """What the service said, whole; the names of the headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def content(self) -> Any:
        """Give the JSON, or None if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):  # the latter is what endless brackets come to
            return None

    def words(self) -> str:
        """Give what an error says, in either of the forms in use; only its status for what is no JSON."""
        told = self.content()
        if not isinstance(told, dict):
            return str(self.status)
        found = [str(told.get("message", ""))]
        errors = told.get("errors")
        for one in errors if isinstance(errors, list) else ():
            if isinstance(one, dict):
                listed = one.get("messages")
                messages = listed if isinstance(listed, list) else [listed or one.get("message", "")]
                found.append(f"{one.get('field', '')}: {'; '.join(map(str, messages))}")
        return " ".join([str(self.status), *(one for one in found if one)])[:600]


class ZenodoClient:
    def __init__(self, account: Account, sleep: Callable[[float], None] = time.sleep) -> None:
        self.account, self.sleep = account, sleep
        self.api = account.api.rstrip("/")

    @property
    def site(self) -> str:
        """The address of the pages and of the public files."""
        return self.api.removesuffix("/api")

    def ask(self, method: str, address: str, content: Any = None, *, is_once: bool = False) -> Reply:
        """Ask the API, and give its answer whatever its status, but 429, 5xx and what refuses our token.

        Those are MirrorUnavailableError and MirrorRefusedError. With `is_once` only what surely was not done is asked
        again. All of it ends within the account's `call_s`.
        """
        body = None if content is None else json.dumps(content).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        ends_s, least_s, left = time.monotonic() + self.account.call_s, self.account.call_s / SHARES, TRIES
        while True:
            left -= 1
            try:
                reply = self.once(method, address, body, kind, max(least_s, ends_s - time.monotonic()))
                return self.checked(reply, left and ends_s - least_s - time.monotonic())
            except LimitedError as limit:
                self.sleep(limit.wait_s)
            except MirrorUnavailableError:
                if is_once or not left or time.monotonic() > ends_s - least_s:
                    raise
                self.sleep(self.account.pause_s * (TRIES - left))

    def once(
        self, method: str, address: str, body: bytes | None, headers: Mapping[str, str], total_s: float
    ) -> Reply:
        url = self.own(address)
        try:
            with connected(url, self.place(url), silence_s=SILENCE_S, total_s=total_s) as (connection, line):
                connection.request(method, target(url), body=body, headers=self.signed(headers))
                reply = read_whole(connection.getresponse())
                line.refuse_if_late()
                return reply
        except BROKEN as error:
            raise broken(self.api, error) from error

    def send(self, address: str, blocks: Iterable[bytes], size_bytes: int) -> Reply:
        """Send a file as it comes, once; an answer that comes before its end counts."""
        url = self.own(address)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}
        total_s = self.account.call_s + size_bytes / LEAST_BYTES_PER_S
        try:
            with connected(url, self.place(url), silence_s=SILENCE_S, total_s=total_s) as (connection, line):
                with suppress(BrokenPipeError):
                    connection.request("PUT", target(url), body=iter(blocks), headers=self.signed(headers))
                reply = read_whole(connection.getresponse())
                line.refuse_if_late()
        except BROKEN as error:
            raise broken(self.api, error) from error
        return self.checked(reply)

    def receive(self, address: str, start: int, length: int | None, *, is_ours: bool) -> Iterator[bytes]:
        """Give a file's bytes from `start`, at most `length`; raises AbsentError before the first if it is not there.

        Where ranges are not answered, what comes before is read and left. With `is_ours` the token is shown.
        """
        url = self.own(address)
        if length == 0:  # a range of no bytes cannot be said; one byte shows whether the file is there
            next(self.receive(address, 0, 1, is_ours=is_ours), b"")
            return
        end = "" if length is None else start + length - 1
        asked = {"Range": f"bytes={start}-{end}"} if start or length is not None else {}
        try:
            with connected(url, self.place(url), silence_s=SILENCE_S, total_s=DAY_S) as (connection, line):
                connection.request("GET", target(url), headers=self.signed(asked) if is_ours else self.named(asked))
                answer = connection.getresponse()
                self.check_download(answer)
                if answer.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    yield from part(answer, start, length)
                line.refuse_if_late()
        except BROKEN as error:
            raise broken(url.netloc, error) from error

    def check_download(self, answer: http.client.HTTPResponse) -> None:
        fine = {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}
        if answer.status in fine:
            return
        if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            raise AbsentError
        raise self.refused(self.checked(read_whole(answer)), "a file")

    def checked(self, reply: Reply, most_wait_s: float = 0) -> Reply:
        """Give an answer back, unless it says to come later or that our token does not do."""
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            wait_s = wait_of(reply.headers, now_s=time.time())
            if wait_s < min(SHORT_WAIT_S, most_wait_s):
                raise LimitedError(wait_s)
            raise patience(self.api, wait_s)
        if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status in AGAIN:
            raise MirrorUnavailableError(f"{self.api}: it cannot answer now ({reply.words()}). It is tried again.")
        if reply.status in CLOSED:
            raise MirrorRefusedError(
                f"{self.api}: it does not let us in ({reply.words()}). Look whether the token in "
                f"{self.account.names} is still valid, is of the account that owns the records, and has the scopes "
                "deposit:write and deposit:actions."
            )
        if reply.status in range(300, 400):
            raise MirrorRefusedError(
                f"{self.api}: it sends us elsewhere ({reply.status}). Write the API's own address as endpoint."
            )
        return reply

    def refused(self, reply: Reply, thing: str) -> MirrorRefusedError:
        return MirrorRefusedError(f"{self.api}: it refuses {thing} ({reply.words()}). Mend that, then retry.")

    def own(self, address: str) -> SplitResult:
        """Give an address below the API or the site; raises MirrorRefusedError for any other host."""
        whole = address if address.startswith(("http://", "https://")) else f"{self.api}{address}"
        url, ours = urlsplit(whole), urlsplit(self.api)
        if (url.scheme, url.netloc) != (ours.scheme, ours.netloc):
            raise MirrorRefusedError(
                f"{self.api}: it names {url.netloc} for its files, where our token is not sent. Look at the endpoint."
            )
        return url

    def place(self, url: SplitResult) -> tuple[str, int]:
        try:
            return resolve(url, self.account.allowed)
        except AddressRefusedError as error:
            raise MirrorRefusedError(error.message) from error
        except NameUnknownError as error:
            raise MirrorUnavailableError(error.message) from error

    def named(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {"User-Agent": self.account.agent, "Accept-Encoding": "identity", **headers}

    def signed(self, headers: Mapping[str, str]) -> dict[str, str]:
        return self.named({"Authorization": f"Bearer {self.account.token}", "Accept": "application/json", **headers})


class AbsentError(Exception):
    """There is no such file."""


class LimitedError(Exception):
    """The service asks for a wait that is short enough to be slept here."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


def target(url: SplitResult) -> str:
    return (url.path or "/") + (f"?{url.query}" if url.query else "")


def read_whole(answer: http.client.HTTPResponse) -> Reply:
    """Read an answer; raises IncompleteRead if it breaks off, MirrorUnavailableError if it has no end."""
    body = b"".join(blocks_of(answer, MOST_BYTES + 1))
    if len(body) > MOST_BYTES:
        raise MirrorUnavailableError(f"The service gave more than {MOST_BYTES >> 20} MiB at once. It is asked again.")
    return Reply(answer.status, {name.lower(): text for name, text in answer.getheaders()}, body)


def blocks_of(answer: http.client.HTTPResponse, most: int | None = None) -> Iterator[bytes]:
    """Give a body as it comes; raises IncompleteRead where it ends before what was announced."""
    came = 0
    while most is None or came < most:
        block = answer.read1(BLOCK_BYTES if most is None else min(BLOCK_BYTES, most - came))
        if not block:
            if answer.length:
                raise http.client.IncompleteRead(b"", answer.length)
            return
        came += len(block)
        yield block


def part(answer: http.client.HTTPResponse, start: int, length: int | None) -> Iterator[bytes]:
    """Give the asked part of an answer, which may be a range, or the whole file where ranges are not known."""
    skip = start
    if answer.status == HTTPStatus.PARTIAL_CONTENT:
        skip = 0
        check_range(answer, start)
    left = length
    for block in blocks_of(answer):
        wanted = block[skip:] if left is None else block[skip : skip + left]
        skip = max(0, skip - len(block))
        if left is not None:
            left -= len(wanted)
        if wanted:
            yield wanted
        if left == 0:
            return


def check_range(answer: http.client.HTTPResponse, start: int) -> None:
    """Raise IncompleteRead where a range begins elsewhere, or is not as long as it says."""
    first, _, rest = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")
    last = rest.partition("/")[0]
    if not (NUMBER.fullmatch(first) and NUMBER.fullmatch(last)) or int(first) != start:
        raise http.client.IncompleteRead(b"")
    if answer.length is not None and answer.length != int(last) - start + 1:
        raise http.client.IncompleteRead(b"", int(last) - start + 1 - answer.length)


def wait_of(headers: Mapping[str, str], *, now_s: float) -> float:
    """Give how long to wait: until the later of what the two headers say, and a little more than others do."""
    after, reset = headers.get("retry-after", ""), headers.get("x-ratelimit-reset", "")
    told = [float(after)] if after.isdecimal() else []
    told += [float(reset) - now_s] if reset.isdecimal() else []
    return min(max(0.0, *told) if told else UNTOLD_WAIT_S, DAY_S) * (1 + random.random() / 10)  # noqa: S311  jitter


def patience(name: str, wait_s: float) -> MirrorUnavailableError:
    return MirrorUnavailableError(
        f"{name}: it asks for {round(wait_s)} s of patience. It is tried again.", after_s=wait_s
    )


def broken(name: str, error: Exception) -> MirrorUnavailableError:
    words = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
    return MirrorUnavailableError(f"{name}: {words[:300]}. It is tried again.")
