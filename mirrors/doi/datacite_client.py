"""DataCite's REST API as far as we need it: read one DOI, write one DOI.

1. An answer is taken only if it is whole and about the DOI that was asked for; whatever else is no answer, and the
   caller looks again before it writes again.
2. An error may follow a change that stuck, since the handle is registered later. Writing the same again heals it.
3. A redirect is not followed, since the password would go along.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from catalog.addresses import Networks
from mirrors.checks.knock import Reply, Request, address_of, knock_once
from mirrors.errors import (
    MirrorRefusedError,
    MirrorUnavailableError,
    RegistrarRefusedError,
    RegistrarUnavailableError,
)

JSON_API = "application/vnd.api+json"
AGENT = "Data for Canada - DOIs"
UNESCAPED = "/-._;():~*$="  # what a name of a DOI may have beside letters and digits
MOST_BYTES = 8 << 20
MOST_PAUSE_S = 3600


@dataclass(frozen=True)
class Found:
    """A DOI as DataCite has it: its state is draft, registered or findable."""

    name: str
    state: str
    url: str
    attributes: Mapping[str, Any] = field(repr=False)


class DataciteClient:
    """Asks as the repository; `password` is in no message and no log. One question takes `timeout_s` at most."""

    def __init__(
        self, url: str, repository: str, password: str, *, allowed: Networks = (), timeout_s: float = 60.0
    ) -> None:
        self.url = url.rstrip("/")
        self.repository = repository
        self.allowed = allowed
        self.timeout_s = timeout_s
        token = base64.b64encode(f"{repository}:{password}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {token}",
            "Accept": JSON_API,
            "User-Agent": AGENT,
        }

    def get(self, name: str) -> Found | None:
        """Give a DOI; None if there is none, or one that this repository may not see."""
        reply = self.ask("GET", name)
        return None if reply.status == HTTPStatus.NOT_FOUND else self.found(name, reply)

    def put(self, name: str, attributes: Mapping[str, Any], *, event: str = "") -> Found:
        """Make a DOI or bring it up to date; gives it as it is afterwards. The same call may be repeated.

        An event that does not fit the state is ignored by DataCite without a word: compare the state.
        """
        written = {**attributes, **({"event": event} if event else {})}
        body = json.dumps({"data": {"id": name, "type": "dois", "attributes": written}}).encode()
        return self.found(name, self.ask("PUT", name, body))

    def ask(self, method: str, name: str, body: bytes | None = None) -> Reply:
        address = urlsplit(f"{self.url}/dois/{quote(name, safe=UNESCAPED)}")
        headers = self._headers | ({"Content-Type": JSON_API} if body is not None else {})
        request = Request(method, address, headers, MOST_BYTES, self.timeout_s, body)
        try:
            return knock_once(request, address_of(address, self.allowed))
        except MirrorUnavailableError as error:
            raise RegistrarUnavailableError(f"DataCite: {error.message}") from error
        except MirrorRefusedError as error:
            raise RegistrarRefusedError(f"DataCite: {error.message}") from error

    def found(self, name: str, reply: Reply) -> Found:
        """Read an answer that gives a DOI; raises for all others what the caller can do about them."""
        if reply.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
            raise self.failure(name, reply)
        try:
            attributes = json.loads(reply.body)["data"]["attributes"]
            seen = Found(str(attributes["doi"]), str(attributes["state"]), str(attributes["url"] or ""), attributes)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self.unclear(name) from error
        if seen.name.lower() != name.lower():
            raise self.unclear(name)
        return seen

    def unclear(self, name: str) -> RegistrarUnavailableError:
        return RegistrarUnavailableError(
            f"{name}: the answer of {self.url} is broken off or about something else. It is asked again."
        )

    def failure(self, name: str, reply: Reply) -> RegistrarUnavailableError | RegistrarRefusedError:
        """Say what an answer that gives no DOI means, and what to do."""
        said = words_of(reply)
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return RegistrarUnavailableError(
                f"{name}: DataCite answers {reply.status}{said}. It is asked again later.", after_s=pause_of(reply)
            )
        if reply.status == HTTPStatus.UNAUTHORIZED:
            return RegistrarRefusedError(
                f"{name}: DataCite does not know {self.repository} with this password{said}. Correct "
                "DFC_DATACITE_REPOSITORY and DFC_DATACITE_PASSWORD, start the workers again, then retry."
            )
        if reply.status == HTTPStatus.FORBIDDEN:
            return RegistrarRefusedError(
                f"{name}: DataCite does not let {self.repository} write it{said}. Is DFC_DATACITE_PREFIX a prefix of "
                "that repository?"
            )
        return RegistrarRefusedError(
            f"{name}: DataCite at {self.url} answers {reply.status}{said}. Correct what it names, or "
            "DFC_DATACITE_URL, then retry."
        )


def pause_of(reply: Reply) -> float | None:
    """Read Retry-After in seconds; None where it is absent or a date."""
    text = reply.headers.get("retry-after", "").strip()
    return float(min(int(text), MOST_PAUSE_S)) if re.fullmatch(r"[0-9]{1,9}", text) else None


def words_of(reply: Reply) -> str:
    """Give the titles of an answer's errors in brackets; empty where it has none that can be read."""
    try:
        errors = json.loads(reply.body)["errors"]
        titles = [
            f"{one['source']}: {one['title']}" if one.get("source") else str(one["title"]) for one in errors[:5]
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    line = " ".join("; ".join(titles).split())
    return f" ({line[:400]})" if line else ""
