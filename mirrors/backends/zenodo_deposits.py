"""Deposits of one account at Zenodo: what its database says of them, and the single acts that change them.

An act whose answer may be lost is answered by a look at the database, never by doing it twice.
"""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from mirrors.backends.zenodo_client import Reply, ZenodoClient
from mirrors.backends.zenodo_metadata import urns_of
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError

DEPOSITS = "/deposit/depositions"
PAGE, MOST_PAGES = 100, 20
BEFORE_CREATE = 4  # questions' time; who waits for what is made waits for more (mirrors/replicate.py)
DONE, CREATED, ACCEPTED, NO_CONTENT, ABSENT = 200, 201, 202, 204, {404, 410}
UNSUBMITTED, PUBLIC = "unsubmitted", "done"
STATES = {UNSUBMITTED, "inprogress", PUBLIC}
REFUSALS = 400
Deposit = Mapping[str, Any]


class Deposits:
    def __init__(self, client: ZenodoClient) -> None:
        self.client = client

    def known(self, urn: str) -> list[Deposit]:
        """Give the deposits that bear a key of ours, as the database has them now: public ones, then the oldest.

        What the index does not show yet is not among them. A draft of a next version begins as a copy and bears the
        key of the one before, until it gets its own.
        """
        ids = sorted(set(self.search(f'metadata.identifiers.identifier:"{urn}"')), key=int)
        found = [deposit for deposit in map(self.deposit, ids) if deposit and urn in urns_of(deposit["metadata"])]
        return sorted(found, key=lambda one: one["state"] == UNSUBMITTED)

    def search(self, query: str = "", **more: str) -> Iterator[str]:
        """Give the ids of the deposits that the index finds, drafts and public ones of every version."""
        said = {**more, "q": query} if query else more
        for page in range(1, MOST_PAGES + 1):
            asked = {**said, "all_versions": "true", "size": PAGE, "page": page}
            reply = self.client.ask("GET", f"{DEPOSITS}?{urlencode(asked)}")
            self.refuse_other_service(reply)
            hits = self.expect(reply, "a search", DONE)
            if not isinstance(hits, list):
                raise MirrorUnavailableError(f"{self.client.api}: it answers a search without a list. Try again.")
            ids = [str(hit.get("id", "")) if isinstance(hit, dict) else "" for hit in hits]
            yield from (one for one in ids if one.isdecimal())
            if len(hits) < PAGE:
                return

    def refuse_other_service(self, reply: Reply) -> None:
        if reply.status in {404, 405}:
            raise MirrorRefusedError(
                f"{self.client.api}: it has no deposit API ({reply.words()}). Write the address of Zenodo's API as "
                "endpoint, like https://zenodo.org/api."
            )

    def create(self, wanted: Mapping[str, Any], *, began_s: float) -> Deposit:
        """Make a deposit, once; not when the look before it took so long that the making could end too late."""
        if time.monotonic() - began_s > BEFORE_CREATE * self.client.account.call_s:
            raise MirrorUnavailableError(
                f"{self.client.api}: it is too slow to make a deposit now. It is tried again."
            )
        reply = self.client.ask("POST", DEPOSITS, {"metadata": wanted}, is_once=True)
        return self.read_deposit(reply, "the metadata of a new deposit", CREATED)

    def next_version(self, record_id: str) -> Deposit | None:
        """Open the next version of a public record, or give the one that is open; None if it is not public."""
        reply = self.client.ask("POST", f"/records/{quote(record_id, safe='')}/versions")
        if reply.status in ABSENT:
            return None
        opened = self.expect(reply, "a new version", CREATED)
        return self.there(str(opened.get("id", "")) if isinstance(opened, dict) else "")

    def deposit(self, record_id: str) -> Deposit | None:
        """Ask for a deposit by its id; None if there is none."""
        reply = self.client.ask("GET", f"{DEPOSITS}/{quote(record_id, safe='')}")
        return None if reply.status in ABSENT else self.read_deposit(reply, "a deposit", DONE)

    def there(self, record_id: str) -> Deposit:
        """Ask for a deposit; raises MirrorRefusedError if it is gone."""
        found = self.deposit(record_id)
        if found is None:
            raise MirrorRefusedError(
                f"{self.client.api}: deposit {record_id} is no longer there. Look in the account who threw it away; "
                "then start this deposit again."
            )
        return found

    def write(self, record_id: str, wanted: Mapping[str, Any]) -> None:
        reply = self.client.ask("PUT", f"{DEPOSITS}/{record_id}", {"metadata": wanted})
        if reply.status in ABSENT:  # a publication whose answer was lost came through just now
            raise MirrorUnavailableError(f"{record_id}: its draft has closed meanwhile. It is looked at again.")
        told = self.read_deposit(reply, "the metadata", DONE)
        if told.get("errors"):
            raise self.client.refused(reply, "some of the metadata")

    def make_public(self, record_id: str) -> None:
        """Publish, and believe what is seen afterwards, whatever the answer was or whether one came."""
        failure: MirrorRefusedError | MirrorUnavailableError
        try:
            reply = self.client.ask("POST", f"{DEPOSITS}/{record_id}/actions/publish", is_once=True)
            failure = self.client.refused(reply, "to publish")
            if reply.status == ACCEPTED:
                failure = MirrorUnavailableError(
                    f"{record_id}: its publication is not seen yet. It is looked at again."
                )
        except MirrorUnavailableError as error:
            failure = error
        if self.there(record_id)["state"] != PUBLIC:
            raise failure

    def open_metadata(self, record_id: str) -> None:
        """Open the metadata of what is public; the same call may be repeated."""
        reply = self.client.ask("POST", f"{DEPOSITS}/{record_id}/actions/edit")
        self.expect(reply, "to open the metadata", CREATED)

    def throw_away(self, record_id: str) -> None:
        self.delete(f"{DEPOSITS}/{record_id}")

    def remove_file(self, deposit: Deposit, name: str) -> None:
        self.delete(self.file_address(deposit, name))

    def file_address(self, deposit: Deposit, name: str) -> str:
        return f"{deposit['links'].get('bucket')}/{quote(name, safe='')}"

    def delete(self, address: str) -> None:
        reply = self.client.ask("DELETE", address)
        if reply.status not in ABSENT:
            self.expect(reply, "to remove a draft", NO_CONTENT, CREATED, DONE)

    def expect(self, reply: Reply, thing: str, *fine: int) -> Any:
        """Give what was answered; raises MirrorRefusedError for a refusal, MirrorUnavailableError for any other."""
        if reply.status not in fine and reply.status >= REFUSALS:
            raise self.client.refused(reply, thing)
        told = reply.content()
        if reply.status not in fine or (told is None and reply.status != NO_CONTENT):
            raise MirrorUnavailableError(
                f"{self.client.api}: it answers {reply.status} in another form than its own. It is asked again."
            )
        return told

    def read_deposit(self, reply: Reply, thing: str, *fine: int) -> Deposit:
        """Give a deposit that was answered; raises MirrorUnavailableError for what has not its form."""
        told = self.expect(reply, thing, *fine)
        if not has_form(told):
            raise MirrorUnavailableError(f"{self.client.api}: it answers something else than a deposit. Try again.")
        deposit: Deposit = told
        return deposit


def has_form(told: Any) -> bool:
    """Tell whether an answer has the parts of a deposit that we read."""
    if not isinstance(told, dict) or told.get("state") not in STATES or not str(told.get("id", "")).isdecimal():
        return False
    metadata, links = told.get("metadata"), told.get("links")
    if not isinstance(metadata, dict) or not isinstance(links, dict) or "conceptrecid" not in told:
        return False
    return (
        are_rows(told.get("files"), filename=str, filesize=int | float)
        and all(is_size(one["filesize"]) for one in told.get("files") or [])
        and all(are_rows(metadata.get(name)) for name in ("related_identifiers", "communities", "creators"))
        and isinstance(metadata.get("keywords", []), list)
        and isinstance(metadata.get("prereserve_doi", {}), dict)
    )


def is_size(told: float) -> bool:
    """Tell whether a number can be a size; the service writes some with a point, and JSON here knows NaN."""
    return not isinstance(told, bool) and 0 <= told < math.inf


def are_rows(told: Any, **forms: Any) -> bool:
    """Tell whether it is a list of objects with fields of these forms, or nothing."""
    return told is None or (
        isinstance(told, list)
        and all(
            isinstance(row, dict) and all(isinstance(row.get(name), form) for name, form in forms.items())
            for row in told
        )
    )
