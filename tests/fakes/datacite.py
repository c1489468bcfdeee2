"""A strict stand-in for DataCite's REST API: states and events, owners, what a findable DOI needs, and handles.

What it refuses, and in which words, follows the running service: an event that does not fit is ignored without a
word, and a handle is registered only after the change is kept, so that an error may follow what stuck.
"""

import base64
import binascii
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.faults import Answer, FakeServer, Request

JSON_API = "application/vnd.api+json"
NAME = re.compile(r"10\.\d{4,5}/[-._;()/:a-zA-Z0-9*~$=]+")
EVENTS = {
    ("draft", "register"): "registered",
    ("draft", "publish"): "findable",
    ("findable", "hide"): "registered",
    ("registered", "publish"): "findable",
    ("registered", "show"): "findable",
}
OBJECTS = (
    *("creators", "contributors", "titles", "descriptions", "dates", "subjects", "rightsList"),
    *("identifiers", "relatedIdentifiers", "geoLocations"),
)
RELATIONS = {
    *("IsVersionOf", "HasVersion", "IsNewVersionOf", "IsPreviousVersionOf", "IsIdenticalTo", "HasPart", "IsPartOf"),
    *("IsDerivedFrom", "IsSourceOf", "IsObsoletedBy", "Obsoletes", "IsVariantFormOf", "HasTranslation"),
}
DATES = {
    *("Accepted", "Available", "Copyrighted", "Collected", "Coverage", "Created", "Issued", "Submitted", "Updated"),
    *("Valid", "Withdrawn", "Other"),
}
KERNEL = "{http://datacite.org/schema/kernel-4}"
Errors = list[dict[str, str]]


@dataclass
class Repository:
    """An account; `domains` are what addresses of its DOIs may begin with, all if empty."""

    password: str
    prefixes: tuple[str, ...]
    domains: tuple[str, ...] = ()


@dataclass
class Kept:
    """A DOI as it is kept; `seen_at` is when searches find it as it is now."""

    owner: str
    state: str = "draft"
    attributes: dict[str, Any] = field(default_factory=dict)
    seen_at: float = 0.0


class RefusedError(Exception):
    """An answer that ends a request."""

    def __init__(self, status: int, *errors: Mapping[str, str]) -> None:
        super().__init__(status)
        self.status, self.errors = status, errors


def simple(status: int, title: str) -> RefusedError:
    return RefusedError(status, {"status": str(status), "title": title})


class FakeDatacite(FakeServer):
    """One account to begin with: `DFC.TEST`, password `s3cret`, prefix `10.70001`.

    `handles` is what doi.org would say; the next `handles_fail` registrations of a handle fail. Searches see a change
    `lag_s` seconds late.
    """

    routes = (
        ("GET", r"/dois", "search"),
        ("POST", r"/dois", "create"),
        ("POST", r"/dois/validate", "validate"),
        ("GET", r"/dois/(.+)", "read"),
        ("PUT", r"/dois/(.+)", "update"),
        ("DELETE", r"/dois/(.+)", "delete"),
    )

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.repositories = {"DFC.TEST": Repository("s3cret", ("10.70001",))}
        self.dois: dict[str, Kept] = {}
        self.handles: dict[str, str] = {}
        self.handles_fail = 0
        self.lag_s = 0.0

    def answer(self, request: Request) -> Answer:
        try:
            return super().answer(request)
        except RefusedError as refused:
            return answered(refused.status, {"errors": list(refused.errors)})

    def no_route(self, request: Request, *, is_path: bool) -> Answer:
        status = 405 if is_path else 404
        raise simple(status, "Method not allowed" if is_path else "The resource you are looking for doesn't exist.")

    def control(self, words: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in ("handles_fail", "lag_s"):
            if name in words:
                setattr(self, name, words[name])
        told = {name: {"state": kept.state, **kept.attributes} for name, kept in self.dois.items()}
        return {**super().control(words), "dois": told, "handles": self.handles}

    # Who asks

    def asker(self, request: Request) -> str:
        """Give the repository; empty for a request without credentials."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if not kind:
            return ""
        try:
            name, _, password = base64.b64decode(token, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise simple(401, "Bad credentials.") from error
        known = self.repositories.get(name)
        if kind != "Basic" or known is None or known.password != password:
            raise simple(401, "Bad credentials.")
        return name

    def writer(self, request: Request, name: str) -> str:
        """Give who may write a DOI; raises 401 or 403 for everybody else."""
        asker = self.asker(request)
        if not asker:
            raise simple(401, "Bad credentials.")
        kept = self.dois.get(name)
        owns_prefix = name.partition("/")[0] in self.repositories[asker].prefixes
        if not owns_prefix or (kept is not None and kept.owner != asker):
            raise simple(403, "You are not authorized to access this resource.")
        return asker

    # What is asked for

    def read(self, request: Request, name: str) -> Answer:
        asker, kept = self.asker(request), self.dois.get(name.lower())
        if kept is None or (kept.state != "findable" and kept.owner != asker):
            raise simple(404, "The resource you are looking for doesn't exist.")
        return answered(200, self.told(name.lower()))

    def search(self, request: Request) -> Answer:
        """Find DOIs whose metadata contain the words of `query`; an index that lags."""
        asker, words = self.asker(request), request.query.get("query", "").strip('"*')
        seen = [
            self.told(name)["data"]
            for name, kept in self.dois.items()
            if kept.seen_at <= self.now()
            and (kept.state == "findable" or kept.owner == asker)
            and words in json.dumps(kept.attributes)
        ]
        return answered(200, {"data": seen, "meta": {"total": len(seen)}})

    def create(self, request: Request) -> Answer:
        attributes = payload(request)
        name = str(attributes.get("doi") or "").lower()
        if not name and attributes.get("prefix"):
            name = f"{attributes['prefix']}/{secrets.token_hex(2)}-{secrets.token_hex(2)}"
        if not name:
            raise RefusedError(422, {"source": "doi", "title": "Can't be blank"})
        asker = self.writer(request, name)
        if name in self.dois:
            raise RefusedError(422, {"source": "doi", "title": "This DOI has already been taken", "uid": name})
        return self.keep(name, asker, attributes, 201)

    def update(self, request: Request, name: str) -> Answer:
        attributes = payload(request)
        name = name.lower()
        asker = self.writer(request, name)
        return self.keep(name, asker, attributes, 200 if name in self.dois else 201)

    def validate(self, request: Request) -> Answer:
        attributes = payload(request)
        name = str(attributes.get("doi") or "10.70001/validated").lower()
        asker = self.writer(request, name)
        errors = list(self.findings(name, "findable", renamed(attributes), self.repositories[asker]))
        return answered(200, {"data": {"id": name, "type": "dois", "attributes": attributes}, "errors": errors})

    def delete(self, request: Request, name: str) -> Answer:
        name = name.lower()
        self.writer(request, name)
        if name not in self.dois:
            raise simple(404, "The resource you are looking for doesn't exist.")
        if self.dois[name].state != "draft":
            raise simple(405, "Method not allowed")
        del self.dois[name]
        return Answer(204)

    # What is kept

    def keep(self, name: str, asker: str, given: dict[str, Any], status: int) -> Answer:
        """Merge what came into what is there, and register the handle afterwards."""
        event, given = str(given.pop("event", "") or ""), renamed(given)
        before = self.dois.get(name) or Kept(asker)
        state = EVENTS.get((before.state, event), before.state)
        merged = {**before.attributes, **{key: value for key, value in given.items() if key not in READ_ONLY}}
        errors = list(self.findings(name, state, merged, self.repositories[asker]))
        if errors:
            raise RefusedError(422, *errors)
        for one in merged.get("rightsList") or []:
            if one.get("rightsIdentifier"):
                one["rightsIdentifier"] = one["rightsIdentifier"].lower()
        self.dois[name] = Kept(asker, state, merged, self.now() + self.lag_s)
        if state != "draft":
            self.register_handle(name, str(merged["url"]))
        return answered(status, self.told(name))

    def register_handle(self, name: str, url: str) -> None:
        if self.handles_fail > 0:
            self.handles_fail -= 1
            raise simple(500, "Something went wrong: the handle service does not answer.")
        self.handles[name] = url

    def told(self, name: str) -> dict[str, Any]:
        kept = self.dois[name]
        facts = {"doi": name, "prefix": name.partition("/")[0], "state": kept.state, "url": None}
        return {"data": {"id": name, "type": "dois", "attributes": {**facts, **kept.attributes}}}

    def findings(self, name: str, state: str, merged: Mapping[str, Any], of: Repository) -> Iterator[dict[str, str]]:
        """Give what is wrong, one a source: little for a draft, all that a findable DOI needs for the others."""
        if not NAME.fullmatch(name):
            yield {"source": "doi", "title": "is invalid", "uid": name}
        for source in OBJECTS:
            for one in merged.get(source) or []:
                if not isinstance(one, dict):
                    yield {
                        "source": source,
                        "title": f"'{one}' should be an object instead of a string.",
                        "uid": name,
                    }
                    return
        if any(one.get("identifierType") == "DOI" for one in merged.get("identifiers") or []):
            yield {"source": "identifiers", "title": "An identifier must not have type DOI.", "uid": name}
        if state != "draft":
            yield from needed(name, merged, of)


READ_ONLY = {"doi", "prefix", "suffix", "state", "created", "updated", "registered"}
NEEDED: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "creators": ("creator", lambda value: bool(value) and all(one.get("name") for one in value)),
    "titles": ("title", lambda value: bool(value) and all(one.get("title") for one in value)),
    "publisher": ("publisher", lambda value: bool(value["name"] if isinstance(value, dict) else value)),
    "publicationYear": ("publicationYear", lambda value: bool(re.fullmatch(r"\d{4}", str(value)))),
    "types": ("resourceType", lambda value: bool(value.get("resourceTypeGeneral") in {"Dataset", "Collection"})),
}


def needed(name: str, merged: Mapping[str, Any], of: Repository) -> Iterator[dict[str, str]]:
    """Give what a registered DOI lacks, in the words of the XSD."""
    url = str(merged.get("url") or "")
    if not url:
        yield {"source": "url", "title": "Can't be blank", "uid": name}
    elif of.domains and not url.startswith(of.domains):
        yield {"source": "url", "title": "URL is not allowed by repository domain settings.", "uid": name}
    for source, (element, is_right) in NEEDED.items():
        if not merged.get(source) or not is_right(merged[source]):
            words = f"DOI {name}: Missing child element(s). Expected is ( {KERNEL}{element} ). at line 4, column 0"
            yield {"source": source, "title": words, "uid": name}
    yield from words_of_lists(name, merged)


def words_of_lists(name: str, merged: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    lists = (("relatedIdentifiers", "relationType", RELATIONS), ("dates", "dateType", DATES))
    for source, attribute, words in lists:
        for one in merged.get(source) or []:
            if one.get(attribute) not in words:
                title = (
                    f"DOI {name}: [facet 'enumeration'] The value '{one.get(attribute)}' is not an element of the set"
                )
                yield {"source": source, "title": title, "uid": name}
                break


def renamed(attributes: dict[str, Any]) -> dict[str, Any]:
    """Know `alternateIdentifiers` as what it is an alias of."""
    given = dict(attributes)
    if "alternateIdentifiers" in given:
        given["identifiers"] = [
            {"identifier": one.get("alternateIdentifier"), "identifierType": one.get("alternateIdentifierType")}
            if isinstance(one, dict)
            else one
            for one in given.pop("alternateIdentifiers") or []
        ]
    return given


def payload(request: Request) -> dict[str, Any]:
    """Read the attributes of a JSON:API document."""
    if request.headers.get("content-type", "").partition(";")[0] != JSON_API:
        raise simple(415, "Unsupported Media Type")
    try:
        document = request.json()
        attributes = document["data"]["attributes"]
    except (ValueError, KeyError, TypeError) as error:
        raise simple(400, "You need to provide a payload following the JSONAPI spec") from error
    if document["data"].get("type") != "dois" or not isinstance(attributes, dict):
        raise simple(400, "You need to provide a payload following the JSONAPI spec")
    return dict(attributes)


def answered(status: int, document: Any) -> Answer:
    return Answer(status, json.dumps(document).encode(), {"Content-Type": f"{JSON_API}; charset=utf-8"})
