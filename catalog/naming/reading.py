"""Reading of imported names: every part that can be recognised, repaired, with a finding for each repair.

The rules come from names that the organisation published: the DGUID after an underscore, `red_deer`, a bare
`orthoimagery`, a theme before the date, a download date or a file extension at the end. A part is moved
or respelled, never invented. The work is linear in a length that `safety.unsafe` has bounded.
"""

import re
from dataclasses import dataclass, field

from catalog.naming.findings import Code, Finding
from catalog.naming.identifier import (
    DATE_LIKE,
    PACKAGE_PREFIX,
    PACKAGES,
    PART_NAMES,
    PROJECTION,
    VERSION_LIKE,
    Identifier,
    check_parts,
    projection,
)
from catalog.naming.regions import SGC_PROVINCES
from catalog.sentences import Sentence
from catalog.sentences import sentence as _
from catalog.versions import VersionNumber, VersionNumberError
from catalog.versions import parse as parse_version

_ORIGIN = re.compile(r"(?:(.*)-)?([0-9]{4}[A-Za-z][0-9][0-9A-Za-z.]*)")
_DATE_WITH_TAIL = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})-(.+)")
_FULL_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EXTENSION = re.compile(
    r"(?:\.(?:pmtiles|parquet|geoparquet|gpkg|gdb|geojson|json|csv|tsv|tiff?|vrt|fgb|shp|zip|gz|zst|tar|7z|torrent|md|txt|xml"
    r"|html|pdf|mbtiles|mp4|jpe?g|png|webp|las|laz|copc))+",
    re.IGNORECASE,
)
_EXTENSION_AT_END = re.compile(_EXTENSION.pattern + "$", re.IGNORECASE)
_DECIMAL = re.compile(r"[0-9]\.[0-9]")
_VERSION_INSIDE = re.compile(r"[vV][0-9]+\.[0-9]+.*")


@dataclass
class Reading:
    """The repaired parts and what was found on the way; `is_complete` is false where text was given up."""

    findings: list[Finding] = field(default_factory=list)
    is_complete: bool = True
    source: list[str] = field(default_factory=list)
    dguid: str = ""
    package: str = ""
    vintage: str = ""
    variant: list[str] = field(default_factory=list)
    version: VersionNumber | None = None

    def note(self, code: Code, message: Sentence, **facts: str) -> None:
        self.findings.append(Finding(code, message, facts))


def read(text: str) -> tuple[Identifier, list[Finding], bool]:
    """Give the repaired parts, the findings in reading order, and whether all of the text found its place."""
    reading = Reading()
    segments = _take_version(_without_empty(text.split("_"), reading), reading)
    region, rest = _take_region(segments, reading)
    _read_dates(*_take_package(_take_origin(rest, reading), reading), reading)
    identifier = Identifier(
        region=_lower("region", region, reading),
        source=_words("source", reading.source, reading),
        dguid=reading.dguid,
        package=reading.package,
        vintage=reading.vintage,
        variant=_without_projection(_words("variant", reading.variant, reading), reading),
        version=reading.version,
    )
    findings = reading.findings + check_parts(identifier)
    if str(identifier) != text and not any(finding.breaks for finding in findings):
        message = _("Its parts compose to `%(name)s`; write that.", name=identifier)
        findings.append(Finding(Code.ROUND_TRIP, message))
    return identifier, findings, reading.is_complete


def _without_empty(segments: list[str], reading: Reading) -> list[str]:
    if "" in segments:
        reading.note(Code.EMPTY_SEGMENT, _("Two underscores meet, or one is at an end; use one between two parts."))
    return [segment for segment in segments if segment]


def _take_version(segments: list[str], reading: Reading) -> list[str]:
    if not segments:
        return []
    *rest, last = segments
    stem = _EXTENSION_AT_END.sub("", last)
    if stem != last:
        extension = last[len(stem) :]
        message = _(
            "It ends with the file extension `%(extension)s`; leave that out, it belongs to a file.",
            extension=extension,
        )
        reading.note(Code.FILE_EXTENSION, message, extension=extension)
    if any(_VERSION_INSIDE.fullmatch(segment) for segment in rest):
        reading.note(Code.VERSION_PLACE, _("A version stands before other parts; write it at the end."))
        reading.is_complete = False
    if not VERSION_LIKE.fullmatch(stem):
        return [*rest, stem] if stem else rest
    try:
        reading.version = parse_version(stem.lower() if stem[0] == "V" else stem)
    except VersionNumberError as error:
        reading.note(Code.VERSION_INVALID, error.message, version=stem)
        reading.is_complete = False
    if stem[0] == "V":
        reading.note(Code.UPPER_CASE, _("The version begins with an upper-case V; write v."), part="version")
    return rest


def _take_region(segments: list[str], reading: Reading) -> tuple[str, list[str]]:
    """Take the region; `ca_bc_` before a source of its own is the region `ca-bc`."""
    match segments:
        case [country, subdivision, source, *rest] if country == "ca" and subdivision in SGC_PROVINCES:
            message = _("The region `ca_%(part)s` has an underscore; write `ca-%(part)s`.", part=subdivision)
            reading.note(Code.REGION_UNDERSCORE, message, region=f"ca-{subdivision}")
            return f"ca-{subdivision}", [source, *rest]
        case [region, *rest]:
            return region, rest
    return "", []


def _take_origin(segments: list[str], reading: Reading) -> list[str]:
    """Take source and DGUID, also across underscores; without a DGUID the first segment is the source."""
    for index, segment in enumerate(segments):
        match = _ORIGIN.fullmatch(segment)
        if match:
            before, dguid = match.groups()
            reading.source = segments[:index] + ([before] if before else [])
            _note_origin(dguid, reading, is_joined=before is not None)
            return segments[index + 1 :]
        if _package_of(segment):
            reading.source = segments[:index]
            return segments[index:]
    reading.source = segments[:1]
    return segments[1:]


def _note_origin(dguid: str, reading: Reading, *, is_joined: bool) -> None:
    reading.dguid = dguid.upper()
    if dguid != reading.dguid:
        message = _(
            "The letters of DGUID `%(dguid)s` are lower case; write `%(instead)s`.",
            dguid=dguid,
            instead=reading.dguid,
        )
        reading.note(Code.DGUID_LETTER, message, dguid=dguid)
    if not is_joined:
        message = _(
            "The DGUID `%(dguid)s` follows an underscore; write a hyphen between source and DGUID.", dguid=dguid
        )
        reading.note(Code.DGUID_UNDERSCORE, message, dguid=dguid)
    if len(reading.source) > 1:
        source = "_".join(reading.source)
        message = _(
            "The source `%(source)s` has underscores; write `%(instead)s`.",
            source=source,
            instead=source.replace("_", "-"),
        )
        reading.note(Code.SOURCE_UNDERSCORE, message, source=source)


def _package_of(segment: str) -> str:
    """Give the package that a segment names, in full, without its prefix or in upper case; empty if none."""
    name = segment.lower()
    if name.startswith(PACKAGE_PREFIX):
        return name
    return PACKAGE_PREFIX + name if PACKAGE_PREFIX + name in PACKAGES else ""


def _take_package(segments: list[str], reading: Reading) -> tuple[list[str], list[str]]:
    """Take the package; gives what stands before it, which is a theme, and what follows."""
    named = [index for index, segment in enumerate(segments) if _package_of(segment)]
    full = [index for index in named if segments[index].lower().startswith(PACKAGE_PREFIX)]
    if not named:
        return [], segments
    index = (full or named)[0]
    reading.package = _package_of(segments[index])
    if not full:
        message = _(
            "The data package is written `%(found)s`; write `%(package)s`.",
            found=segments[index],
            package=reading.package,
        )
        reading.note(Code.PACKAGE_PREFIX, message, package=reading.package)
    elif segments[index] != reading.package:
        reading.note(Code.UPPER_CASE, _("The data package has upper-case letters; write them lower."), part="package")
    return segments[:index], segments[index + 1 :]


def _is_date(segment: str) -> bool:
    return DATE_LIKE.fullmatch(segment) is not None or _DATE_WITH_TAIL.fullmatch(segment) is not None


def _read_dates(theme: list[str], segments: list[str], reading: Reading) -> None:
    """Find the vintage: right after the package, else the last date that is not a download date."""
    dates = [index for index, segment in enumerate(segments) if _is_date(segment)]
    if len(dates) > 1 and _FULL_DATE.fullmatch(segments[-1]):
        message = _(
            "The date %(date)s at the end is no vintage and no variant; leave a download date out.",
            date=segments[-1],
        )
        reading.note(Code.DOWNLOAD_DATE, message, date=segments[-1])
        segments = segments[:-1]
        dates.pop()
    if not dates:
        _read_variant([], theme + segments, reading)
        return
    place = 0 if dates[0] == 0 else dates[-1]
    tail = _split_vintage(segments[place], reading)
    _read_variant(tail + segments[place + 1 :], theme + segments[:place], reading)


def _split_vintage(segment: str, reading: Reading) -> list[str]:
    match = _DATE_WITH_TAIL.fullmatch(segment)
    if match is None:
        reading.vintage = segment
        return []
    reading.vintage, tail = match.groups()
    message = _(
        "The vintage `%(vintage)s` goes on after its date; write `%(tail)s` into the variant.",
        vintage=segment,
        tail=tail,
    )
    reading.note(Code.VINTAGE_TAIL, message, vintage=segment, tail=tail)
    return [tail]


def _read_variant(variant: list[str], theme: list[str], reading: Reading) -> None:
    if theme and reading.vintage:
        words = "-".join(theme)
        message = _(
            "`%(theme)s` stands before the date; write it after the date as variant `%(words)s`.",
            theme="_".join(theme),
            words=words,
        )
        reading.note(Code.THEME_BEFORE_DATE, message, theme=words)
    if len(variant) > 1:
        message = _(
            "The variant `%(variant)s` has underscores; write `%(instead)s`.",
            variant="_".join(variant),
            instead="-".join(variant),
        )
        reading.note(Code.VARIANT_UNDERSCORE, message, variant="-".join(variant))
    reading.variant = variant + theme


def _words(part: str, pieces: list[str], reading: Reading) -> str:
    """Join pieces to lower-case words between single hyphens; a decimal would change its meaning by that."""
    raw = _lower(part, "-".join(pieces), reading)
    if _DECIMAL.search(raw):
        reading.is_complete = False
    words = re.sub(r"[^a-z0-9]+", "-", raw).strip("-")
    if words != raw:
        message = _(
            "The %(part)s `%(value)s` has dots, or hyphens too many; write `%(words)s`.",
            part=PART_NAMES[part],
            value=raw,
            words=words,
        )
        reading.note(Code.WORD_SHAPE, message, part=part, value=raw)
    return words


def _lower(part: str, raw: str, reading: Reading) -> str:
    if raw != raw.lower():
        message = _(
            "The %(part)s `%(value)s` has upper-case letters; write them lower.", part=PART_NAMES[part], value=raw
        )
        reading.note(Code.UPPER_CASE, message, part=part)
    return raw.lower()


def _without_projection(variant: str, reading: Reading) -> str:
    without = re.sub(r"-+", "-", PROJECTION.sub("", variant)).strip("-")
    if without == variant:
        return variant
    reading.findings.append(projection(variant))
    return without
