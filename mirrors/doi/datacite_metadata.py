"""From our record of a version to the attributes of DataCite's metadata schema 4.6. Pure.

Both languages go along wherever the schema has a place for them; English stands first, as DataCite shows the first.
"""

from collections.abc import Iterator
from typing import Any

from mirrors.backends.base import Party, Record

KERNEL = "http://datacite.org/schema/kernel-4"
SPDX_LICENCES = "https://spdx.org/licenses/"
OUR_NAMES = "Data for Canada"  # the kind of identifier by which a DOI is seen to be ours


def attributes_of(name: str, record: Record) -> dict[str, Any]:
    """Describe what a DOI names; what is not known is left out."""
    attributes = {
        "doi": name,
        "url": record.landing_url,
        "schemaVersion": KERNEL,
        "types": {"resourceTypeGeneral": "Dataset", "resourceType": "Dataset"},
        "language": "en",
        "alternateIdentifiers": [
            {"alternateIdentifier": own_name(record), "alternateIdentifierType": OUR_NAMES},
        ],
        "titles": list(titles(record)),
        "creators": [creator(one) for one in record.creators],
        "publisher": {"name": record.publisher},
        "publicationYear": f"{record.published_on:%Y}" if record.published_on else "",
        "version": record.version,
        "dates": list(dates(record)),
        "descriptions": list(descriptions(record)),
        "subjects": list(subjects(record)),
        "rightsList": list(rights(record)),
        "geoLocations": list(places(record)),
        "relatedIdentifiers": list(relations(name, record)),
        "sizes": [f"{record.size_bytes} bytes"] if record.size_bytes else [],
        "formats": list(record.formats),
    }
    return {key: value for key, value in attributes.items() if value or isinstance(value, list)}


def own_name(record: Record) -> str:
    return f"{record.identifier}_v{record.version}" if record.version else record.identifier


def in_both(english: str, french: str) -> list[tuple[str, str]]:
    """Give each text with its language; only one where they are the same or one is missing."""
    pairs = [("en", english), ("fr", french if french != english else "")]
    return [(language, text) for language, text in pairs if text]


def titles(record: Record) -> Iterator[dict[str, str]]:
    for place, (language, text) in enumerate(in_both(record.title_en, record.title_fr)):
        yield {"title": text, "lang": language} | ({"titleType": "TranslatedTitle"} if place else {})


def creator(party: Party) -> dict[str, str]:
    return {"name": party.name, "nameType": "Personal" if party.is_person else "Organizational"}


def dates(record: Record) -> Iterator[dict[str, str]]:
    """Give the day of publication, and the time that the data are about."""
    if record.published_on:
        yield {"date": record.published_on.isoformat(), "dateType": "Issued"}
    if record.starts_on or record.ends_on:
        first, last = (day.isoformat() if day else "" for day in (record.starts_on, record.ends_on))
        yield {"date": first if first == last else f"{first}/{last}", "dateType": "Coverage"}


def descriptions(record: Record) -> Iterator[dict[str, str]]:
    """Give the notice of a withdrawal before all else."""
    parts = (
        ("Other", record.notice_en, record.notice_fr),
        ("Abstract", record.description_en, record.description_fr),
        ("Other", record.attribution_en, record.attribution_fr),
    )
    for kind, english, french in parts:
        for language, text in in_both(english, french):
            yield {"description": text, "descriptionType": kind, "lang": language}


def subjects(record: Record) -> Iterator[dict[str, str]]:
    for language, words in (("en", record.keywords_en), ("fr", record.keywords_fr)):
        for word in dict.fromkeys(words):
            yield {"subject": word, "lang": language}


def rights(record: Record) -> Iterator[dict[str, str]]:
    """Give the licence by its SPDX id; by its address alone where SPDX has none (`LicenseRef-…`)."""
    if not record.licence:
        return
    common = {"rightsUri": record.licence_url} if record.licence_url else {}
    if not record.licence.startswith("LicenseRef-"):
        common |= {
            "rightsIdentifier": record.licence,
            "rightsIdentifierScheme": "SPDX",
            "schemeUri": SPDX_LICENCES,
        }
    names = in_both(record.licence_title_en, record.licence_title_fr) or [("en", record.licence)]
    for language, title in names:
        yield {"rights": title, "lang": language, **common}


def places(record: Record) -> Iterator[dict[str, Any]]:
    if record.bbox_wgs84:
        west, south, east, north = record.bbox_wgs84
        yield {
            "geoLocationBox": {
                "westBoundLongitude": west,
                "eastBoundLongitude": east,
                "southBoundLatitude": south,
                "northBoundLatitude": north,
            }
        }


def relations(name: str, record: Record) -> Iterator[dict[str, str]]:
    """Give what it is related to, each once; neither itself nor the page that it leads to."""
    own = {name.lower(), record.landing_url.lower()}
    for one in dict.fromkeys(record.relations):
        if one.identifier.lower() not in own:
            yield {
                "relatedIdentifier": one.identifier,
                "relatedIdentifierType": one.kind,
                "relationType": one.relation,
            }
