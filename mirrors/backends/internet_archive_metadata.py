"""What an item of the Internet Archive says of itself, from a record: the same fields whenever it is asked.

Fields are those of the Archive's metadata schema where it has one; `relation` holds what it has no field for. A value
that stands alone is a text, several are a list, as the Archive gives them back.
"""

import hashlib
import html
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from mirrors.backends.base import Record

Metadata = dict[str, str | list[str]]

MOST_SLUG_CHARACTERS = 60
MOST_HEADER_BYTES = 4000
AT_CREATION = ("mediatype", "collection")  # what the Archive lets nobody change afterwards
LANGUAGES = ["eng", "fre"]  # as the Archive writes them (MARC)
UNFIT = re.compile(r"[^a-z0-9._-]+")


def identifier_of(record: Record) -> str:
    """Choose the item's name for ever: ASCII, at most 73 characters, the same each time for the same deposit."""
    slug = UNFIT.sub("-", f"{record.identifier}_v{record.version}".lower())[:MOST_SLUG_CHARACTERS].strip("-._")
    digest = hashlib.sha256(f"{record.identifier}\n{record.version}\n{record.urn}".encode()).hexdigest()
    return f"d4c-{slug}-{digest[:8]}"


def metadata_of(record: Record, collection: str = "") -> Metadata:
    """Map a record; fields that would be empty are left out."""
    fields: dict[str, list[str]] = {
        "mediatype": ["data"],
        "collection": [collection],
        "title": [" / ".join(dict.fromkeys((record.title_en, record.title_fr)))],
        "description": [description(record)],
        "language": LANGUAGES,
        "subject": list(dict.fromkeys((*record.keywords_en, *record.keywords_fr))),
        "creator": [party.name for party in record.creators],
        "publisher": [record.publisher],
        "date": [record.published_on.isoformat() if record.published_on else ""],
        "version": [record.version],
        "licenseurl": [record.licence_url],
        "rights": list(dict.fromkeys((record.attribution_en, record.attribution_fr))),
        "external-identifier": list(external_identifiers(record)),
        "originalurl": [record.landing_url],
        "coverage": list(coverage(record)),
        "relation": [f"{one.relation} {one.identifier}" for one in record.relations],
    }
    return {name: only for name, values in fields.items() if (only := alone_or_list(values))}


def alone_or_list(values: list[str]) -> str | list[str]:
    told = [value for value in values if value]
    return told[0] if len(told) == 1 else told


def description(record: Record) -> str:
    """Give both languages as the paragraphs of one HTML text; a notice of withdrawal comes first."""
    texts = (record.notice_en, record.notice_fr, record.description_en, record.description_fr)
    return "".join(f"<p>{html.escape(text, quote=False)}</p>" for text in texts if text)


def external_identifiers(record: Record) -> Iterator[str]:
    yield record.urn
    for doi in dict.fromkeys((record.doi, record.concept_doi)):
        if doi:
            yield f"doi:{doi}"


def coverage(record: Record) -> Iterator[str]:
    """Say where (west, south, east, north in degrees of WGS 84) and when (an interval of ISO 8601)."""
    if record.bbox_wgs84:
        yield "bbox " + ",".join(f"{degrees:g}" for degrees in record.bbox_wgs84)
    if record.starts_on or record.ends_on:
        first, last = (day.isoformat() if day else ".." for day in (record.starts_on, record.ends_on))
        yield f"{first}/{last}"


def at_creation(metadata: Metadata) -> Metadata:
    """Leave out what is too long for a header; it follows when the item is described."""
    return {name: value for name, value in metadata.items() if len(quote(str(value))) <= MOST_HEADER_BYTES}


def changes(now: Mapping[str, object], wanted: Metadata) -> dict[str, str | list[str] | None]:
    """Give the fields of ours that differ; None for one that is to go."""
    ours = (name for name in metadata_names() if name not in AT_CREATION)
    return {name: wanted.get(name) for name in ours if now.get(name) != wanted.get(name)}


def metadata_names() -> tuple[str, ...]:
    """Name every field that we write; the Archive's own fields, and those that people added, are not touched."""
    return (
        *AT_CREATION,
        *("title", "description", "language", "subject", "creator", "publisher", "date", "version", "licenseurl"),
        *("rights", "external-identifier", "originalurl", "coverage", "relation"),
    )


def urns(now: Mapping[str, object]) -> set[str]:
    """Give the names of deposits that an item says it is."""
    told = now.get("external-identifier", [])
    listed = told if isinstance(told, list) else [told]
    return {str(one) for one in listed if str(one).startswith("urn:uuid:")}
