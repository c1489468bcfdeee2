"""The parts of an identifier and the rules for each (D4C file naming convention).

`[iso-region]_[source]-[DGUID]_[data-pkg]_[iso-date]_[variant]` is a dataset; with `_v<semver>` at its end
it names a version. The variant may be absent, but not for orthoimagery, whose variant has the resolution.
"""

import re
from dataclasses import dataclass, replace
from datetime import date, time

from catalog.naming.dguid import check_dguid
from catalog.naming.findings import Code, Finding
from catalog.naming.regions import check_region
from catalog.sentences import sentence as _
from catalog.versions import VersionNumber

IDENTIFIER_LENGTH = 200
PACKAGE_PREFIX = "d4c-datapkg-"
ORTHOIMAGERY = f"{PACKAGE_PREFIX}orthoimagery"
PACKAGES = (
    f"{PACKAGE_PREFIX}statistical",
    f"{PACKAGE_PREFIX}foundation",
    f"{PACKAGE_PREFIX}environment-climate-health",
    ORTHOIMAGERY,
    f"{PACKAGE_PREFIX}field-imagery",
)
PART_LENGTHS = {"region": 8, "source": 80, "dguid": 24, "package": 60, "vintage": 32, "variant": 80}
# Reduced ISO 8601 dates, and instants in the basic format, because a colon cannot stand in a file name.
DATE_LIKE = re.compile(r"[0-9]{4}(?:-[0-9]{2}){0,2}|[0-9]{8}(?:T[0-9]{4}(?:[0-9]{2})?Z)?")
VERSION_LIKE = re.compile(r"[vV][0-9].*", re.DOTALL)
PROJECTION = re.compile(
    r"(?:^|(?<=-))(?:epsg-?[0-9]*|srid-?[0-9]*|crs-?[0-9]*|nad-?(?:27|83)(?:-?csrs[0-9]*)?|csrs[0-9]*|wgs-?84|itrf[0-9]*"
    r"|(?:utm|mtm)(?:-?(?:zone-?)?[0-9]{1,2}[ns]?)?|lcc|lambert|albers|mercator|web-?mercator)(?=-|$)"
)
_WORDS = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_YEAR_LENGTH, _MONTH_LENGTH = 4, 7
PART_NAMES = {
    "region": _("region"),
    "source": _("source"),
    "dguid": _("DGUID"),
    "package": _("data package"),
    "vintage": _("vintage"),
    "variant": _("variant"),
}


@dataclass(frozen=True)
class Identifier:
    """The parts of a dataset's identifier, or with `version` of a version's name.

    A part is empty where there is none: the variant of a strict identifier, any of a legacy one.
    `str()` joins the parts as they are; `catalog.naming.compose` also checks them.
    """

    region: str
    source: str
    dguid: str
    package: str
    vintage: str
    variant: str = ""
    version: VersionNumber | None = None

    def __str__(self) -> str:
        origin = "-".join(filter(None, (self.source, self.dguid)))
        version = self.version.shown if self.version else ""
        parts = (self.region, origin, self.package, self.vintage, self.variant, version)
        return "_".join(filter(None, parts))

    @property
    def dataset(self) -> "Identifier":
        """The identifier of the dataset, without the version."""
        return replace(self, version=None)


def check_parts(identifier: Identifier) -> list[Finding]:
    """Say what is wrong or odd with each part, in the order of the convention."""
    findings = [
        *check_region(identifier.region),
        *_check_source(identifier.source),
        *check_dguid(identifier.dguid, region=identifier.region),
        *_check_package(identifier.package),
        *_check_vintage(identifier.vintage),
        *_check_variant(identifier.variant, identifier.package),
        *_check_lengths(identifier),
    ]
    if len(str(identifier)) > IDENTIFIER_LENGTH:
        findings.append(too_long())
    return findings


def too_long() -> Finding:
    message = _("It has more than %(most)s characters; shorten the variant.", most=IDENTIFIER_LENGTH)
    return Finding(Code.TOO_LONG, message, {"limit": str(IDENTIFIER_LENGTH)})


def is_vintage(text: str) -> bool:
    """Tell whether a text is YYYY, YYYY-MM, YYYY-MM-DD or YYYYMMDDThhmm[ss]Z and a date of the calendar."""
    if not DATE_LIKE.fullmatch(text):
        return False
    day, _mark, clock = text.partition("T")
    if not clock and "-" not in day and len(day) > _YEAR_LENGTH:
        return False
    try:
        date.fromisoformat({_YEAR_LENGTH: f"{day}-01-01", _MONTH_LENGTH: f"{day}-01"}.get(len(day), day))
        time.fromisoformat(clock or "0000Z")
    except ValueError:
        return False
    return True


def _check_words(part: str, value: str) -> list[Finding]:
    if _WORDS.fullmatch(value):
        return []
    message = _(
        "The %(part)s %(value)s has other characters; use lower-case letters, digits and single hyphens.",
        part=PART_NAMES[part],
        value=ascii(value[:80]),
    )
    return [Finding(Code.WORD_SHAPE, message, {"part": part, "value": value})]


def _check_source(source: str) -> list[Finding]:
    if not source:
        message = _("There is no source; name the publisher before the DGUID, as in `statcan-2021A000011124`.")
        return [Finding(Code.SOURCE_MISSING, message)]
    return _check_words("source", source)


def _check_package(package: str) -> list[Finding]:
    if package in PACKAGES:
        return []
    listed = ", ".join(PACKAGES)
    if not package:
        return [Finding(Code.PACKAGE_MISSING, _("There is no data package; write one of %(listed)s.", listed=listed))]
    message = _(
        "There is no data package %(package)s; write one of %(listed)s.", package=ascii(package[:80]), listed=listed
    )
    return [Finding(Code.PACKAGE_UNKNOWN, message, {"package": package})]


def _check_vintage(vintage: str) -> list[Finding]:
    if is_vintage(vintage):
        return []
    if not vintage:
        message = _(
            "There is no vintage after the data package;"
            " write the date of the source data as YYYY, YYYY-MM, YYYY-MM-DD or YYYYMMDDThhmmssZ."
        )
        return [Finding(Code.VINTAGE_MISSING, message)]
    message = _(
        "The vintage %(vintage)s is no date of the calendar;"
        " write the date of the source data as YYYY, YYYY-MM, YYYY-MM-DD or YYYYMMDDThhmmssZ.",
        vintage=ascii(vintage[:32]),
    )
    return [Finding(Code.VINTAGE_INVALID, message, {"vintage": vintage})]


def _check_variant(variant: str, package: str) -> list[Finding]:
    facts = {"variant": variant}
    if not variant and package == ORTHOIMAGERY:
        message = _("Orthoimagery has no variant; end with its resolution, such as `075mm` or `30m`.")
        return [Finding(Code.VARIANT_MISSING, message)]
    if not variant:
        return []
    findings = _check_words("variant", variant)
    if DATE_LIKE.fullmatch(variant):
        message = _("The variant %(variant)s is a second date; name what differs.", variant=ascii(variant))
        findings.append(Finding(Code.VARIANT_DATE, message, facts))
    if VERSION_LIKE.fullmatch(variant):
        message = _(
            "The variant %(variant)s reads as a version; write a version as `_v1.2.0` at the end.",
            variant=ascii(variant[:80]),
        )
        findings.append(Finding(Code.VARIANT_VERSION, message, facts))
    if PROJECTION.search(variant):
        findings.append(projection(variant))
    return findings


def projection(variant: str) -> Finding:
    message = _(
        "The variant %(variant)s names a projection; leave it out, it is written in the metadata.",
        variant=ascii(variant[:80]),
    )
    return Finding(Code.PROJECTION, message, {"variant": variant})


def _check_lengths(identifier: Identifier) -> list[Finding]:
    return [
        Finding(
            Code.PART_TOO_LONG,
            _("The %(part)s has more than %(most)s characters; shorten it.", part=PART_NAMES[part], most=limit),
            {"part": part, "limit": str(limit)},
        )
        for part, limit in PART_LENGTHS.items()
        if len(getattr(identifier, part)) > limit
    ]
