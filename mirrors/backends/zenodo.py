"""Zenodo, and any other InvenioRDM that has its older deposit API: records with DOIs, public for ever.

1. Our key is in the metadata of the creating call, and is looked for before anything is created; the index that finds
   it lags, so who calls `prepare` again waits the settle time first (mirrors/replicate.py).
2. What decides about a deposit is the service's database, asked by id; never its index, never the answer to an act
   whose answer may have been lost: act, look, believe what is seen.
3. A new edition is a new version of the record before it, so that one DOI of all versions covers both. Only one such
   draft can be open there: while it is another edition's, ours waits.
4. Nothing is made public whose licence, key or names differ from what we sent: it could never be mended.
5. What is public is never removed there, and its files never change; metadata are changed by a draft of their own,
   which a kill may leave open and the next call finds and ends.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from mirrors.backends import traits
from mirrors.backends.base import Checkpoint, Draft, Progress, Receipt, Record, RemoteStat, Upload
from mirrors.backends.zenodo_client import AbsentError, ZenodoClient
from mirrors.backends.zenodo_deposits import CREATED, DONE, PUBLIC, UNSUBMITTED, Deposit, Deposits
from mirrors.backends.zenodo_files import Measured, refuse_other_bytes, refuse_unfit, stats_of
from mirrors.backends.zenodo_metadata import communities_of, differences, metadata, urns_of
from mirrors.backends.zenodo_names import flat, path_of
from mirrors.errors import MirrorRefusedError, MirrorSettlingError, MirrorUnavailableError

OWN_PREFIX = "10.5281/"  # a DOI of this prefix may be sent back as a record's own; any other would be a foreign one
CLEANED = {"description", "notes", "keywords"}  # what the service may show otherwise than it was sent


class ZenodoMirror:
    """Deposits of one account. A locator is `<record>/<name>`, with each path as one name."""

    traits = traits.ZENODO

    def __init__(self, client: ZenodoClient, public_url: str, *, community: str = "", settle_s: float = 30) -> None:
        self.client, self.deposits = client, Deposits(client)
        self.public_url, self.community, self.settle_s = public_url.rstrip("/"), community, settle_s

    def find(self, key: str, record: Record) -> Draft | None:
        """Look for the deposit by our key: what is public before what is a draft, the oldest before others."""
        found = self.deposits.known(record.urn)
        return draft_of(key, found[0]) if found else None

    def prepare(self, key: str, record: Record) -> Draft:
        """Find the deposit, or make it with our key in the same call; refuses before anything is made."""
        began_s = time.monotonic()
        wanted = metadata(record, community=self.community)
        found = self.find(key, record)
        if found:
            return found
        self.refuse_unknown_community()
        if record.previous_record_id:
            return draft_of(key, self.next_version(record, wanted))
        return draft_of(key, self.deposits.create(wanted, began_s=began_s))

    def refuse_unknown_community(self) -> None:
        if not self.community:
            return
        reply = self.client.ask("GET", f"/communities/{quote(self.community, safe='')}")
        if reply.status != DONE:
            raise MirrorRefusedError(
                f"{self.community}: Zenodo knows no such community ({reply.words()}). Write its short name in the "
                "mirror's row, or leave it empty."
            )

    def next_version(self, record: Record, wanted: Mapping[str, Any]) -> Deposit:
        """Open the next version of the record before, and make it ours; the same call may be repeated."""
        draft = self.deposits.next_version(record.previous_record_id)
        if draft is None:
            raise self.not_yet(f"{record.previous_record_id}: the version before is not public at Zenodo yet.")
        if record.urn in urns_of(draft["metadata"]):
            return draft
        if not self.is_free(draft):
            raise self.not_yet(
                f"{draft['id']}: another version of this dataset is being deposited at Zenodo, one at a time."
            )
        if draft.get("files"):
            raise MirrorRefusedError(
                f"{draft['id']}: somebody opened a new version at Zenodo and put files into it. Throw that draft "
                "away, then retry."
            )
        return self.claimed(str(draft["id"]), record, wanted)

    def is_free(self, draft: Deposit) -> bool:
        """Tell whether a draft bears only the key that it took over from a public version."""
        bearers = [self.deposits.known(urn) for urn in urns_of(draft["metadata"])]
        family = draft["conceptrecid"]
        return all(
            any(one["conceptrecid"] == family and one["state"] != UNSUBMITTED for one in known) for known in bearers
        )

    def claimed(self, record_id: str, record: Record, wanted: Mapping[str, Any]) -> Deposit:
        self.deposits.write(record_id, wanted)
        draft = self.deposits.there(record_id)
        if urns_of(draft["metadata"]) != {record.urn}:
            raise self.not_yet(f"{record_id}: another version took this draft in the same moment.")
        return draft

    def not_yet(self, finding: str) -> MirrorSettlingError:
        return MirrorSettlingError(f"{finding} It is tried again.", after_s=self.settle_s)

    def describe(self, draft: Draft, record: Record) -> None:
        deposit = self.deposits.there(draft.record_id)
        refuse_foreign(deposit, record)
        if deposit["state"] == UNSUBMITTED:
            self.bring_up_to(deposit, record)
        else:
            self.revise(deposit, record)
        self.throw_away_doubles(deposit, record)

    def revise(self, deposit: Deposit, record: Record) -> None:
        """Change the metadata of what is public: open, write, publish; ends what a kill left open."""
        record_id, wanted = str(deposit["id"]), self.wanted(deposit, record)
        if deposit["state"] == PUBLIC:
            if not differences(wanted, deposit["metadata"]):
                return
            self.deposits.open_metadata(record_id)
        self.deposits.write(record_id, wanted)
        self.deposits.make_public(record_id)

    def bring_up_to(self, deposit: Deposit, record: Record) -> None:
        """Write a draft's metadata if they are other, and look whether they were kept."""
        record_id, wanted = str(deposit["id"]), self.wanted(deposit, record)
        if differences(wanted, deposit["metadata"]):
            self.deposits.write(record_id, wanted)
            deposit = self.deposits.there(record_id)
        changed = [name for name in differences(wanted, deposit["metadata"]) if name not in CLEANED]
        if changed:
            raise MirrorRefusedError(
                f"{record_id}: Zenodo keeps {', '.join(changed)} otherwise than we sent it, and once public it could "
                "not be mended. Look at the draft, then retry."
            )

    def wanted(self, deposit: Deposit, record: Record) -> dict[str, Any]:
        doi = str(deposit.get("doi") or "")
        is_sent_back = deposit["state"] != UNSUBMITTED and doi.startswith(OWN_PREFIX)
        return metadata(record, community=self.community, own_doi=doi if is_sent_back else "")

    def publish(self, draft: Draft, record: Record) -> Receipt:
        """Make public what `draft` names and nothing else; every answer that is unclear is answered by a look."""
        deposit = self.deposits.there(draft.record_id)
        refuse_foreign(deposit, record)
        self.throw_away_doubles(deposit, record)
        if deposit["state"] == UNSUBMITTED:
            self.bring_up_to(deposit, record)
            self.deposits.make_public(draft.record_id)
        else:
            self.revise(deposit, record)
        public = self.deposits.there(draft.record_id)
        self.refuse_dropped_community(public)
        return self.receipt(public)

    def throw_away_doubles(self, ours: Deposit, record: Record) -> None:
        """Throw away drafts with our key that a lost answer left; raises MirrorRefusedError if one is public.

        A draft of the next version is none: it is in the same family, and there it can be only one.
        """
        for other in self.deposits.known(record.urn):
            if other["conceptrecid"] == ours["conceptrecid"]:
                continue
            if other["state"] != UNSUBMITTED:
                raise MirrorRefusedError(
                    f"{other['id']}: Zenodo has a public record with the key of deposit {ours['id']}. Decide which "
                    "of the two is right; ours was left as it is."
                )
            self.deposits.throw_away(str(other["id"]))

    def throw_away_strays(self, records: Mapping[str, str]) -> int:
        """Throw away the account's drafts whose key is that of another record; gives how many.

        `records` is our record by its key. A draft with a key that is not among them is somebody else's, and one in
        the family of our record is that of a next version.
        """
        thrown = 0
        for record_id in list(self.deposits.search(status="draft")):
            draft = self.deposits.deposit(record_id)
            if draft is None or draft["state"] != UNSUBMITTED:
                continue
            ours = {records[urn] for urn in urns_of(draft["metadata"]) & records.keys()} - {record_id}
            kept = [one for one in map(self.deposits.deposit, ours) if one]
            if kept and all(one["conceptrecid"] != draft["conceptrecid"] for one in kept):
                self.deposits.throw_away(record_id)
                thrown += 1
        return thrown

    def refuse_dropped_community(self, public: Deposit) -> None:
        if self.community and self.community not in communities_of(public["metadata"]):
            raise MirrorRefusedError(
                f"{public['id']}: the record is public, but the community {self.community} did not take it. Let its "
                f"curators add {self.landing_page(public)}, then retry."
            )

    def discard(self, draft: Draft) -> None:
        deposit = self.deposits.deposit(draft.record_id)
        if deposit and deposit["state"] == UNSUBMITTED:
            self.deposits.throw_away(draft.record_id)

    def locator(self, draft: Draft, path: str) -> str:
        return f"{draft.record_id}/{flat(path)}"

    def put(self, draft: Draft, upload: Upload, *, checkpoint: Checkpoint, progress: Progress) -> str:  # noqa: ARG002
        """Store a file whole or not at all: a put that broke begins again, and what is there is not sent again."""
        locator, name = self.locator(draft, upload.path), flat(upload.path)
        deposit = self.deposits.there(draft.record_id)
        stored = stats_of(deposit)
        if name in stored:
            refuse_other_bytes(upload, stored[name])
        elif deposit["state"] != UNSUBMITTED:
            raise MirrorRefusedError(f"{upload.path}: record {deposit['id']} is public, and gets no more files.")
        else:
            refuse_unfit(upload, stored, self.traits)
            self.send(deposit, name, upload, progress)
        progress(upload.size_bytes)
        return locator

    def send(self, deposit: Deposit, name: str, upload: Upload, progress: Progress) -> None:
        source = Measured(upload, progress)
        try:
            reply = self.client.send(self.deposits.file_address(deposit, name), source, upload.size_bytes)
        except MirrorUnavailableError as error:
            raise source.error or error from error
        told = self.deposits.expect(reply, f"the file {upload.path}", CREATED, DONE)
        if told.get("checksum") != f"md5:{upload.md5}" or told.get("size") != upload.size_bytes:
            raise MirrorUnavailableError(
                f"{upload.path}: Zenodo got other bytes than were sent. Retire it, then retry."
            )

    def listing(self, draft: Draft) -> Mapping[str, RemoteStat]:
        return {path_of(name): stat for name, stat in stats_of(self.deposits.there(draft.record_id)).items()}

    def stat(self, locator: str) -> RemoteStat | None:
        record_id, _, name = locator.partition("/")
        deposit = self.deposits.deposit(record_id)
        return stats_of(deposit).get(name) if deposit else None

    def read(self, locator: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Give a file's bytes, as the public gets them; those of a draft through the API."""
        record_id, _, name = locator.partition("/")
        public = f"{self.client.site}/records/{quote(record_id)}/files/{quote(name, safe='')}"
        hidden = f"/records/{quote(record_id)}/draft/files/{quote(name, safe='')}/content"
        for address in (public, hidden):
            try:
                yield from self.client.receive(address, start, length, is_ours=address == hidden)
            except AbsentError:
                continue
            return
        raise MirrorRefusedError(f"{locator}: Zenodo does not have it. Put it there again.")

    def url(self, locator: str) -> str:
        record_id, _, name = locator.partition("/")
        return f"{self.public_url}/records/{quote(record_id)}/files/{quote(name, safe='~')}"

    def retire(self, locator: str) -> None:
        record_id, _, name = locator.partition("/")
        deposit = self.deposits.deposit(record_id)
        if deposit is None or name not in stats_of(deposit):
            return
        if deposit["state"] != UNSUBMITTED:
            raise MirrorRefusedError(
                f"{locator}: Zenodo keeps for ever what it published. Tell its staff which file is damaged, and send "
                "them the right one."
            )
        self.deposits.remove_file(deposit, name)

    def receipt(self, public: Deposit) -> Receipt:
        return Receipt(
            record_id=str(public["id"]),
            landing_url=self.landing_page(public),
            doi=str(public.get("doi") or ""),
            concept_doi=str(public.get("conceptdoi") or ""),
        )

    def landing_page(self, deposit: Deposit) -> str:
        return f"{self.public_url}/records/{deposit['id']}"


def draft_of(key: str, deposit: Deposit) -> Draft:
    """Give a deposit as a draft, with the DOI that it has or will have."""
    reserved = deposit["metadata"].get("prereserve_doi") or {}
    doi = deposit.get("doi") or reserved.get("doi") or ""
    return Draft(key, str(deposit["id"]), str(doi), str(deposit.get("conceptdoi") or ""))


def refuse_foreign(deposit: Deposit, record: Record) -> None:
    """Raise MirrorRefusedError for what bears another key; a public record without any was adopted, and gets ours."""
    urns = urns_of(deposit["metadata"])
    is_adopted = not urns and deposit["state"] != UNSUBMITTED
    if urns != {record.urn} and not is_adopted:
        raise MirrorRefusedError(
            f"{deposit['id']}: this deposit at Zenodo bears another key than ours, so nothing was written. Look in "
            "the account what it is."
        )
