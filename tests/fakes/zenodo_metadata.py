"""How Zenodo reads the metadata of a deposit: what it takes, changes, drops without a word, and refuses."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

OWN_PREFIX = "10.5281/"
KNOWN = {
    *("title", "description", "upload_type", "publication_type", "image_type", "publication_date", "creators"),
    *("access_right", "license", "keywords", "related_identifiers", "version", "notes", "method", "language"),
    *("communities", "locations", "dates", "contributors", "references", "imprint_publisher", "doi", "custom"),
}
UPLOAD_TYPES = {"dataset", "publication", "software", "image", "other"}
LICENCES = {
    *("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "ogl-canada-2.0", "ogl-uk-3.0", "odbl-1.0", "mit"),
    *("odc-by-1.0", "pddl-1.0", "etalab-2.0", "other-open", "other-pd", "other-at", "notspecified"),
}
ALIASES = {"canada-crown": "ogl-canada-2.0", "cc-zero": "cc0-1.0", "odc-odbl": "odbl-1.0", "odc-by": "odc-by-1.0"}
SHOWN_AS = {kept: legacy for legacy, kept in ALIASES.items()}
RELATIONS = {
    *("isAlternateIdentifier", "isIdenticalTo", "isNewVersionOf", "isPreviousVersionOf", "isVersionOf", "hasVersion"),
    *("isDerivedFrom", "isSourceOf", "isPartOf", "hasPart", "isDocumentedBy", "references", "cites"),
}
SCHEMES = (
    ("doi", re.compile(r"(?:https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/\S+)", re.IGNORECASE)),
    ("urn", re.compile(r"(urn:[a-z0-9][a-z0-9-]{1,31}:\S+)", re.IGNORECASE)),
    ("url", re.compile(r"(https?://\S+)", re.IGNORECASE)),
)
ALLOWED_TAGS = {"p", "br", "a", "b", "i", "em", "strong", "ul", "ol", "li", "div", "span", "blockquote", "code", "hr"}
TAG = re.compile(r"<(/?)([a-zA-Z0-9]+)([^>]*)>")
HREF = re.compile(r'\shref="(https?://[^"]*)"')


class InvalidError(Exception):
    """Metadata that the service refuses: field and message."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field, self.message = field, message


def taken(body: Any) -> dict[str, Any]:
    """Read what was sent to make or change a deposit; raises InvalidError. What is not sent is not kept."""
    if not isinstance(body, dict):
        raise InvalidError("_schema", "Invalid input type.")
    for name in body.keys() - {"metadata", "files"}:
        raise InvalidError(name, "Unknown field.")
    sent = body.get("metadata", {})
    if not isinstance(sent, dict):
        raise InvalidError("metadata", "Invalid input type.")
    kept = {name: value for name, value in sent.items() if name in KNOWN and value not in (None, "")}
    if sent:
        kept.setdefault("publication_date", datetime.now(UTC).date().isoformat())
        kept["license"] = licence(kept)
        kept.setdefault("access_right", "open")
    return kept | dict(changed(kept))


def changed(kept: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in ("description", "notes"):
        if name in kept:
            yield name, clean(kept[name])
    if "related_identifiers" in kept:
        yield "related_identifiers", [related(one) for one in kept["related_identifiers"]]
    if "communities" in kept and not all(
        isinstance(one, dict) and "identifier" in one for one in kept["communities"]
    ):
        raise InvalidError("communities", "Communities must be an array of objects with an 'identifier' key.")
    if "dates" in kept and not all(one.get("start") or one.get("end") for one in kept["dates"]):
        raise InvalidError("metadata.dates", "Invalid date provided.")
    if len(kept.get("language", "eng")) not in {2, 3}:
        raise InvalidError("metadata.language", "Language must be either ISO-639-1 or 639-2 compatible.")
    for one in kept.get("locations", []):
        if not one.get("place"):
            raise InvalidError("metadata.locations", "Missing data for required field.")


def licence(kept: Mapping[str, Any]) -> str:
    """Give the licence by its new name; one that is left out is chosen by the service."""
    if "license" not in kept:
        return "cc0-1.0" if kept.get("upload_type") == "dataset" else "cc-by-4.0"
    sent = str(kept["license"]).lower().strip()
    known = ALIASES.get(sent, sent)
    if known not in LICENCES:
        raise InvalidError("metadata.license", f"Invalid license provided: {kept['license']}")
    return known


def related(one: Any) -> dict[str, Any]:
    """Read one related identifier; its scheme is told from its form, whatever was sent."""
    if not isinstance(one, dict) or one.get("relation") not in RELATIONS:
        raise InvalidError("metadata.related_identifiers", f"Invalid relation type: {one!r}")
    for scheme, form in SCHEMES:
        found = form.fullmatch(str(one.get("identifier", "")))
        if found:
            said = {"resource_type": one["resource_type"]} if one.get("resource_type") else {}
            return {"identifier": found[1], "relation": one["relation"], "scheme": scheme, **said}
    raise InvalidError("metadata.related_identifiers", "No valid scheme was found for the identifier.")


def clean(text: Any) -> str:
    """Keep the allowed marks, without any attribute but the address of a link."""

    def kept(found: re.Match[str]) -> str:
        if found[2].lower() not in ALLOWED_TAGS:
            return ""
        href = HREF.search(found[3]) if found[2].lower() == "a" else None
        return f"<{found[1]}{found[2].lower()}{href[0] if href else ''}>"

    return TAG.sub(kept, str(text))


def shown(kept: Mapping[str, Any], recid: int) -> dict[str, Any]:
    """Show the metadata of a deposit as its own API does."""
    told = {name: value for name, value in kept.items() if name != "license"}
    if "license" in kept:
        told["license"] = SHOWN_AS.get(kept["license"], kept["license"])
    own = f"{OWN_PREFIX}zenodo.{recid}"
    return told | {"prereserve_doi": {"doi": own, "recid": recid}}


def identifiers(kept: Mapping[str, Any]) -> list[str]:
    """Give the alternate identifiers, which are kept apart from the related ones."""
    every = kept.get("related_identifiers", [])
    return [one["identifier"] for one in every if one["relation"] == "isAlternateIdentifier"]


def public(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Show the metadata of a record as the public API does, in its own shape."""
    every = kept.get("related_identifiers", [])
    told = {
        name: kept[name] for name in ("title", "description", "publication_date", "version", "notes") if name in kept
    }
    told["alternate_identifiers"] = [
        {"identifier": one["identifier"], "scheme": one["scheme"]}
        for one in every
        if one["relation"] == "isAlternateIdentifier"
    ]
    told["related_identifiers"] = [one for one in every if one["relation"] != "isAlternateIdentifier"]
    told["license"] = {"id": kept.get("license", "")}
    told["creators"] = [{"name": one["name"]} for one in kept.get("creators", [])]
    told["resource_type"] = {"type": kept.get("upload_type", "")}
    return told


def missing(kept: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give what forbids to publish, as field and message."""
    if len(str(kept.get("title", ""))) < 3:
        yield "metadata.title", "Shorter than minimum length 3."
    if kept.get("upload_type") not in UPLOAD_TYPES:
        yield "metadata.resource_type", "Missing data for required field."
    if not kept.get("creators") or not all(one.get("name") for one in kept["creators"]):
        yield "metadata.creators", "Missing data for required field."
    if not re.fullmatch(r"\d{4}(-\d{2}(-\d{2})?)?", str(kept.get("publication_date", ""))):
        yield "metadata.publication_date", "Please provide a valid date or interval."
