"""Fetch one upstream file straight into our storage, block by block, with all digests on the way.

1. Memory is that of a block, however large the file.
2. A file counts only if it is as long as announced; what announces no length ends at a limit.
3. What broke off is continued only if the server says that it is still the same content (If-Range), and from the
   start otherwise. Bytes that wait from before are read again for the digests.
4. A file that we hold is asked for on condition; what has not changed, or came again the same, is not stored again.
5. What an attempt committed and its worker could not note any more is found under its key and digested there.
"""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime

from catalog.storage.base import Receiver, Storage
from releases.errors import UpstreamRefusedError, UpstreamUnavailableError
from releases.ingest.ask import Answer, Caller
from releases.ingest.errand import (
    CONTENT_RANGE,
    OK,
    OUT_OF_RANGE,
    PARTIAL,
    UNCHANGED,
    Announced,
    Errand,
    announced,
    media_type,
    refuse_busy,
)

Begun = Callable[[Announced], None]
Moved = Callable[[int], None]


@dataclass(frozen=True)
class Fetched:
    """What is kept now. `is_new`: these bytes lie at the errand's key; without `digests` the server saw no change."""

    announced: Announced
    digests: "Digests | None"
    is_new: bool
    status: int | None = None
    media_type: str = ""
    moved_to: str = ""


@dataclass(frozen=True)
class Terms:
    """What one fetch may take and whom it tells: `begun` returns when the announcement is durable."""

    most_bytes: int
    begun: Begun
    moved: Moved
    now: Callable[[], datetime]


class Digests:
    """SHA-256, SHA-1 and MD5 of a stream whose length nobody knows yet."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._sha256, self._sha1 = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, block: bytes) -> None:
        for one in (self._sha256, self._sha1, self._md5):
            one.update(block)
        self.size_bytes += len(block)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def sha1(self) -> str:
        return self._sha1.hexdigest()

    @property
    def md5(self) -> str:
        return self._md5.hexdigest()


def fetch(errand: Errand, *, caller: Caller, storage: Storage, terms: Terms) -> Fetched:
    """Bring one file into our storage.

    Raises UpstreamUnavailableError where a later try may help (what came is kept for it), UpstreamRefusedError where
    it would not, FileBusyError while another worker fetches the same.
    """
    if storage.size(errand.key) is not None:
        return found_again(errand, storage)
    with ExitStack() as stack:
        receiver = stack.enter_context(opened(errand.announced, errand, storage))
        if receiver.done_bytes and not errand.announced.validator:
            receiver.restart()
        with caller.ask("GET", errand.url, wanted(errand, receiver.done_bytes)) as answer:
            if answer.status == UNCHANGED and errand.conditions and not receiver.done_bytes:
                return Fetched(errand.held, None, is_new=False, status=UNCHANGED, moved_to=moved(answer))
            said = accepted(errand, answer, receiver, terms)
            if said.tag != errand.announced.tag:
                receiver.restart()
                receiver = stack.enter_context(opened(said, errand, storage))
            if answer.status == OK:
                receiver.restart()
            if said != errand.announced:
                terms.begun(said)
            digests = take_in(answer, receiver, said, terms)
            return settle(errand, answer, receiver, Received(said, digests))


def opened(said: Announced, errand: Errand, storage: Storage) -> Receiver:
    return storage.receive(errand.key, tag=said.tag, size_bytes=said.continued_bytes)


@dataclass(frozen=True)
class Received:
    announced: Announced
    digests: Digests


def found_again(errand: Errand, storage: Storage) -> Fetched:
    """Digest what lies under the key already: it was committed, and the worker died before it could say so."""
    digests = digested(storage.read(errand.key))
    return Fetched(errand.announced, digests, is_new=True)


def digested(blocks: Iterable[bytes]) -> Digests:
    digests = Digests()
    for block in blocks:
        digests.update(block)
    return digests


def wanted(errand: Errand, done_bytes: int) -> dict[str, str]:
    if done_bytes:
        return {"Range": f"bytes={done_bytes}-", "If-Range": errand.announced.validator}
    return errand.conditions


def accepted(errand: Errand, answer: Answer, receiver: Receiver, terms: Terms) -> Announced:
    """Give what an answer announces; raises for one that is not the file, or not its wanted part."""
    refuse_busy(answer, now=terms.now())
    if answer.status == OUT_OF_RANGE and receiver.done_bytes:
        receiver.restart()
        raise UpstreamUnavailableError(
            f"{answer.url}: it has fewer bytes than came before. It is tried again from the start."
        )
    if answer.status not in ({OK, PARTIAL} if receiver.done_bytes else {OK}):
        raise UpstreamRefusedError(
            f"{answer.url}: it answered with status {answer.status}. Correct the address, or leave the file out.",
            status=answer.status,
        )
    if answer.headers.get("content-encoding", "identity").lower() not in {"identity", ""}:
        raise UpstreamRefusedError(
            f"{answer.url}: it sends the file packed ({answer.headers['content-encoding']}), though it was asked "
            "not to. Fetch the file by hand and upload it."
        )
    said = announced(answer)
    if answer.status == PARTIAL:
        refuse_other_part(errand, answer, receiver, said)
    if said.size_bytes is not None and said.size_bytes > terms.most_bytes:
        raise too_large(answer, terms)
    return said


def refuse_other_part(errand: Errand, answer: Answer, receiver: Receiver, said: Announced) -> None:
    """Raise UpstreamUnavailableError, with what came forgotten, for a part that does not go on where we stopped."""
    found = CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
    if not found or int(found[1]) != receiver.done_bytes or said.tag != errand.announced.tag:
        receiver.restart()
        raise UpstreamUnavailableError(
            f"{answer.url}: it gave another part of the file than was asked for. It is tried again from the start."
        )


def too_large(answer: Answer, terms: Terms) -> UpstreamRefusedError:
    return UpstreamRefusedError(
        f"{answer.url}: it has more than the {terms.most_bytes} bytes that one file may have. "
        "Raise DFC_INGEST_MAX_BYTES if that is meant."
    )


def take_in(answer: Answer, receiver: Receiver, said: Announced, terms: Terms) -> Digests:
    """Move the body into storage; raises when it is longer or shorter than announced."""
    digests = digested(receiver.kept() if receiver.done_bytes else ())
    terms.moved(digests.size_bytes)
    for block in answer.blocks():
        if digests.size_bytes + len(block) > terms.most_bytes:
            receiver.restart()
            raise too_large(answer, terms)
        digests.update(block)
        receiver.append(block)
        terms.moved(digests.size_bytes)
    if said.size_bytes is not None and (digests.size_bytes != said.size_bytes or answer.has_more()):
        receiver.restart()
        raise UpstreamUnavailableError(
            f"{answer.url}: it gives another number of bytes than the {said.size_bytes} that it announces. "
            "It is tried again from the start."
        )
    return digests


def settle(errand: Errand, answer: Answer, receiver: Receiver, received: Received) -> Fetched:
    """Make new bytes durable under their key; bytes that we hold already are forgotten."""
    digests = received.digests
    is_new = digests.sha256 != errand.held_sha256
    if is_new:
        receiver.commit()
    else:
        receiver.restart()
    return Fetched(
        received.announced,
        digests,
        is_new=is_new,
        status=answer.status,
        media_type=media_type(answer),
        moved_to=moved(answer),
    )


def moved(answer: Answer) -> str:
    return answer.url if answer.is_moved else ""
