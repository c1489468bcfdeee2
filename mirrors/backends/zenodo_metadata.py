"""What a Zenodo record says, from ours: pure, and how to tell whether the service kept what it was sent.

1. The licence is always named: one that is left out would become CC0 there. What Zenodo has no name for is
   `other-open`, and its title and address stand in the notes.
2. Our own name of the deposit goes in the metadata of the creating call, as an alternate identifier.
3. Both languages go in each text, English first, since a field has room for one.
4. No DOI but Zenodo's own is given as the record's: another one would forbid new versions for ever.
"""

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mirrors.backends.base import Party, Record
from mirrors.errors import MirrorRefusedError

OWN_KEY = "isAlternateIdentifier"
OTHER_LICENCE = "other-open"
LICENCES = frozenset(
    {
        *("cc0-1.0", "cc-pddc", "pddl-1.0", "odc-by-1.0", "odbl-1.0", "etalab-2.0", "nlod-1.0"),
        *(f"cc-by-{version}" for version in ("1.0", "2.0", "2.5", "3.0", "4.0")),
        *(f"cc-by-sa-{version}" for version in ("1.0", "2.0", "2.5", "3.0", "4.0")),
        *("cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"),
        *("ogl-canada-2.0", "ogl-uk-1.0", "ogl-uk-2.0", "ogl-uk-3.0"),
        *("mit", "mit-0", "0bsd", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "gpl-3.0-only", "agpl-3.0-only"),
    }
)
# By which older names the service shows what it was given by the newer one.
SHOWN_AS = {
    "cc-zero": "cc0-1.0",
    "canada-crown": "ogl-canada-2.0",
    "odc-odbl": "odbl-1.0",
    "odc-by": "odc-by-1.0",
    "odc-pddl": "pddl-1.0",
    "uk-ogl": "ogl-uk-1.0",
    "mit-license": "mit",
    "cc-by": "cc-by-1.0",
    "cc-by-sa": "cc-by-sa-1.0",
    "gpl-3.0": "gpl-3.0-only",
    "apgl-v3": "agpl-3.0-only",
    "apache2.0": "apache-2.0",
    "bsd-2-clause-netbsd": "bsd-2-clause",
}
DOI_ADDRESS = re.compile(r"https?://(?:dx\.)?doi\.org/", re.IGNORECASE)
TAG = re.compile(r"<[^>]*>")
TEXTS = ("title", "publication_date", "version", "access_right", "upload_type")
MARKED_TEXTS = ("description", "notes")


def metadata(record: Record, *, community: str = "", own_doi: str = "") -> dict[str, Any]:
    """Give the metadata of a deposit; raises MirrorRefusedError if Zenodo would take what we do not mean.

    `own_doi` is that of a record that is public already, which has to be sent along.
    """
    if not record.licence:
        raise MirrorRefusedError(
            f"{record.identifier}: it has no licence, and Zenodo would choose one. Name its licence in the catalogue."
        )
    told: dict[str, Any] = {
        "upload_type": "dataset",
        "access_right": "open",
        "title": both(record.title_en, record.title_fr, " / "),
        "description": "".join(described(record)),
        "notes": "".join(noted(record)),
        "creators": [{"name": creator(one)} for one in record.creators or (Party(record.publisher),)],
        "license": licence(record),
        "keywords": list(dict.fromkeys((*record.keywords_en, *record.keywords_fr))),
        "version": record.version,
        "language": "eng",
        "related_identifiers": related(record, own_doi),
        "publication_date": record.published_on.isoformat() if record.published_on else "",
        "locations": places(record),
        "dates": dates(record),
        "communities": [{"identifier": community}] if community else [],
        "doi": own_doi,
    }
    return {name: value for name, value in told.items() if value}


def licence(record: Record) -> str:
    known = record.licence.lower()
    return known if known in LICENCES else OTHER_LICENCE


def both(english: str, french: str, between: str) -> str:
    return english if english == french or not french else f"{english}{between}{french}"


def described(record: Record) -> Iterator[str]:
    """Give a text in both languages, a withdrawal before all else, and where we tell more."""
    yield from (paragraph(text) for text in (record.notice_en, record.notice_fr) if text)
    yield from paragraphs(record.description_en or record.title_en)
    if record.description_fr != record.description_en:
        yield from paragraphs(record.description_fr)
    if record.landing_url:
        address = html.escape(record.landing_url)
        yield f'<p><a href="{address}">{address}</a></p>'


def noted(record: Record) -> Iterator[str]:
    """Give the attribution that the licence asks for, and the licence itself where Zenodo has no name for it."""
    yield from (paragraph(text) for text in (record.notice_en, record.notice_fr) if text)
    yield from (paragraph(text) for text in dict.fromkeys((record.attribution_en, record.attribution_fr)) if text)
    if licence(record) == OTHER_LICENCE:
        title = both(record.licence_title_en, record.licence_title_fr, " / ") or record.licence
        yield paragraph(f"Licence: {title} ({record.licence}) {record.licence_url}".rstrip())


def paragraphs(text: str) -> Iterator[str]:
    yield from (paragraph(one) for one in re.split(r"\n\s*\n", text.strip()) if one.strip())


def paragraph(text: str) -> str:
    return f"<p>{html.escape(text.strip(), quote=False)}</p>"


def creator(party: Party) -> str:
    """Give a name that Zenodo does not take apart: one comma in an organisation's name would make it a person's."""
    is_split = not party.is_person and party.name.count(",") == 1
    return re.sub(r"\s*,\s*", " – ", party.name) if is_split else party.name


def related(record: Record, own_doi: str) -> list[dict[str, str]]:
    others = [
        (one.relation[:1].lower() + one.relation[1:], one.identifier)
        for one in record.relations
        if not is_same(one.identifier, own_doi)
    ]
    return [
        {"relation": relation, "identifier": identifier}
        for relation, identifier in dict.fromkeys([(OWN_KEY, record.urn), *others])
    ]


def places(record: Record) -> list[dict[str, Any]]:
    """Give the middle of the box, since Zenodo keeps points, and name the box itself."""
    if record.bbox_wgs84 is None:
        return []
    west, south, east, north = record.bbox_wgs84
    return [
        {
            "lat": round((south + north) / 2, 6),
            "lon": round((west + east) / 2, 6),
            "place": f"WGS 84: west {west}, south {south}, east {east}, north {north}",
        }
    ]


def dates(record: Record) -> list[dict[str, str]]:
    known = {"start": record.starts_on, "end": record.ends_on}
    told = {name: day.isoformat() for name, day in known.items() if day}
    return [{**told, "type": "Valid"}] if told else []


def urns_of(shown: Mapping[str, Any]) -> set[str]:
    """Give the own names that a deposit bears, of the metadata that the service shows of it."""
    every = shown.get("related_identifiers") or []
    return {str(one.get("identifier")) for one in every if one.get("relation") == OWN_KEY}


def communities_of(shown: Mapping[str, Any]) -> set[str]:
    every = shown.get("communities") or []
    return {str(one.get("identifier") or one.get("id")) for one in every}


def differences(sent: Mapping[str, Any], shown: Mapping[str, Any]) -> list[str]:
    """Name what the service shows otherwise than it was sent; marks in texts are its own business.

    A day of publication that is not sent is today's there.
    """
    told = {**sent, "publication_date": sent.get("publication_date") or shown.get("publication_date")}
    found = [name for name in TEXTS if plain(told.get(name)) != plain(shown.get(name))]
    found += [name for name in MARKED_TEXTS if bare(sent.get(name)) != bare(shown.get(name))]
    found += [name for name, tell in ASPECTS.items() if tell(sent) != tell(shown)]
    if not communities_of(sent) <= communities_of(shown):
        found.append("communities")
    return found


def plain(text: Any) -> str:
    return " ".join(str(text or "").split())


def bare(text: Any) -> str:
    return "".join(html.unescape(TAG.sub("", str(text or ""))).split())


def licence_of(shown: Mapping[str, Any]) -> str:
    named = shown.get("license") or ""
    known = str(named.get("id", "") if isinstance(named, Mapping) else named).lower()
    return SHOWN_AS.get(known, known)


def relations_of(shown: Mapping[str, Any]) -> set[tuple[str, str]]:
    every = shown.get("related_identifiers") or []
    return {(str(one.get("relation")), bare_identifier(str(one.get("identifier")))) for one in every}


def bare_identifier(identifier: str) -> str:
    """Give an identifier as it is compared: a DOI without its address, in lower case as all DOIs are."""
    found = DOI_ADDRESS.sub("", identifier)
    return found.lower() if found.startswith("10.") else found


def is_same(identifier: str, doi: str) -> bool:
    return bool(doi) and bare_identifier(identifier) == bare_identifier(doi)


def names_of(shown: Mapping[str, Any]) -> list[str]:
    return [plain(one.get("name")) for one in shown.get("creators") or []]


def keywords_of(shown: Mapping[str, Any]) -> set[str]:
    return {plain(one) for one in shown.get("keywords") or []}


ASPECTS = {
    "license": licence_of,
    "related_identifiers": relations_of,
    "creators": names_of,
    "keywords": keywords_of,
}
