"""DGUID: the dissemination geography unique identifier of Statistics Canada.

Shape (Statistics Canada, catalogue 92F0138M, "Dissemination Geography Unique Identifier, Definition and
Structure"): vintage (4 digits), type (one upper-case letter), schema (4 digits), geographic code. So
`2021A000011124` is vintage 2021, type A (administrative), schema 0000 (country), code 11124 (Canada).
Types: A administrative, S statistical. A schema that the table below lacks is a finding, not a refusal.
"""

import re
from dataclasses import dataclass

from catalog.naming.findings import Code, Finding, IdentifierError
from catalog.naming.regions import SGC_PROVINCES
from catalog.sentences import sentence as _

DGUID_LENGTH = 24
_SHAPE = re.compile(r"([0-9]{4})([A-Za-z])([0-9]{4})([0-9A-Za-z.]+)")


@dataclass(frozen=True)
class Schema:
    """A kind of area: its letter, the pattern of its codes, and whether they open with the SGC province code."""

    level: str
    letter: str
    pattern: str
    shape: str
    opens_with_province: bool = True


SCHEMAS = {
    "0000": Schema(_("country"), "A", r"\d{5}", _("5 digits"), opens_with_province=False),
    "0001": Schema(_("geographic region"), "A", r"\d", _("1 digit"), opens_with_province=False),
    "0002": Schema(_("province or territory"), "A", r"\d{2}", _("2 digits")),
    "0003": Schema(_("census division"), "A", r"\d{4}", _("4 digits")),
    "0004": Schema(_("federal electoral district"), "A", r"\d{5}", _("5 digits")),
    "0005": Schema(_("census subdivision"), "A", r"\d{7}", _("7 digits")),
    "0006": Schema(_("designated place"), "A", r"\d{6}", _("6 digits")),
    "0011": Schema(
        _("forward sortation area"), "A", r"[A-Z]\d[A-Z]", _("letter digit letter"), opens_with_province=False
    ),
    "0500": Schema(_("economic region"), "S", r"\d{4}", _("4 digits")),
    "0501": Schema(_("census agricultural region"), "S", r"\d{4}", _("4 digits")),
    "0502": Schema(_("census consolidated subdivision"), "S", r"\d{7}", _("7 digits")),
    "0503": Schema(_("census metropolitan area"), "S", r"\d{3}", _("3 digits"), opens_with_province=False),
    "0504": Schema(_("census agglomeration"), "S", r"\d{3}", _("3 digits"), opens_with_province=False),
    "0505": Schema(_("census metropolitan area or agglomeration, part"), "S", r"\d{5}", _("5 digits")),
    "0507": Schema(
        _("census tract"), "S", r"\d{7}\.\d{2}", _("7 digits, a dot, 2 digits"), opens_with_province=False
    ),
    "0510": Schema(_("population centre"), "S", r"\d{4}", _("4 digits"), opens_with_province=False),
    "0512": Schema(_("dissemination area"), "S", r"\d{8}", _("8 digits")),
    "0513": Schema(_("dissemination block"), "S", r"\d{11}", _("11 digits")),
    "0516": Schema(_("aggregate dissemination area"), "S", r"\d{8}", _("8 digits")),
}


@dataclass(frozen=True)
class Dguid:
    """The four parts, as text: zeros in front count."""

    vintage: str
    type: str
    schema: str
    code: str

    def __str__(self) -> str:
        return f"{self.vintage}{self.type}{self.schema}{self.code}"

    @property
    def level(self) -> str | None:
        """The kind of area in English, None for a schema that we do not know."""
        known = SCHEMAS.get(self.schema)
        return known.level if known else None


def parse_dguid(text: str) -> Dguid:
    """Take a well-formed DGUID apart; raises IdentifierError with the findings that break it."""
    findings = [finding for finding in check_dguid(text) if finding.breaks]
    parts = _SHAPE.fullmatch(text)
    if findings or not parts:
        sentences = tuple(finding.message for finding in findings)
        raise IdentifierError(
            _("DGUID %(dguid)s: %(findings)s", dguid=ascii(text[:DGUID_LENGTH]), findings=sentences),
            identifier=text,
            findings=tuple(findings),
            suggestion=None,
        )
    return Dguid(*parts.groups())


def check_dguid(text: str, *, region: str = "") -> list[Finding]:
    """Say what is wrong with a DGUID, or odd; with a Canadian region also whether they fit together."""
    if not text:
        return [
            Finding(
                Code.DGUID_MISSING,
                _(
                    "There is no DGUID; look up the area's at Statistics Canada and write it after the source,"
                    " as in `statcan-2021A000011124`."
                ),
            )
        ]
    parts = _SHAPE.fullmatch(text)
    if not parts or len(text) > DGUID_LENGTH:
        return [
            Finding(
                Code.DGUID_SHAPE,
                _(
                    "%(dguid)s is no DGUID; write vintage (4 digits), an upper-case letter,"
                    " schema (4 digits) and geographic code, as in `2021A000011124`.",
                    dguid=ascii(text[:DGUID_LENGTH]),
                ),
                {"dguid": text},
            )
        ]
    if text != text.upper():
        return [
            Finding(
                Code.DGUID_LETTER,
                _(
                    "The letters of DGUID `%(dguid)s` are lower case; write `%(instead)s`.",
                    dguid=text,
                    instead=text.upper(),
                ),
                {"dguid": text},
            )
        ]
    return _check_schema(Dguid(*parts.groups()), region)


def _check_schema(dguid: Dguid, region: str) -> list[Finding]:
    schema = SCHEMAS.get(dguid.schema)
    facts = {"dguid": str(dguid), "schema": dguid.schema, "code": dguid.code}
    if schema is None:
        message = _(
            "Schema %(schema)s of DGUID `%(dguid)s` is not in our table; check it at Statistics Canada.",
            schema=dguid.schema,
            dguid=dguid,
        )
        return [Finding(Code.DGUID_SCHEMA_UNKNOWN, message, facts, breaks=False)]
    facts |= {"level": schema.level, "shape": schema.shape}
    if not re.fullmatch(schema.pattern, dguid.code):
        message = _(
            "The code `%(code)s` of DGUID `%(dguid)s` does not fit schema %(schema)s (%(level)s),"
            " which has %(shape)s; look up the area's DGUID at Statistics Canada.",
            **facts,
        )
        return [Finding(Code.DGUID_CODE, message, facts)]
    return [*_odd_letter(dguid, schema, facts), *_odd_region(dguid, schema, region, facts)]


def _odd_letter(dguid: Dguid, schema: Schema, facts: dict[str, str]) -> list[Finding]:
    if dguid.type == schema.letter:
        return []
    message = _(
        "DGUID `%(dguid)s` has type %(type)s, but its schema (%(level)s) has type %(letter)s; check it.",
        dguid=dguid,
        type=dguid.type,
        level=schema.level,
        letter=schema.letter,
    )
    return [Finding(Code.DGUID_TYPE, message, facts | {"letter": schema.letter}, breaks=False)]


def _odd_region(dguid: Dguid, schema: Schema, region: str, facts: dict[str, str]) -> list[Finding]:
    province = SGC_PROVINCES.get(region.removeprefix("ca-")) if region.startswith("ca-") else None
    if province is None or not schema.opens_with_province or dguid.code.startswith(province):
        return []
    message = _(
        "DGUID `%(dguid)s` is not in region `%(region)s`, whose codes begin with %(province)s; check both.",
        dguid=dguid,
        region=region,
        province=province,
    )
    return [Finding(Code.DGUID_REGION, message, facts | {"region": region}, breaks=False)]
