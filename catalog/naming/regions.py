"""Regions of identifiers: ISO 3166-1 alpha-2 (`ca`) or ISO 3166-2 (`ca-bc`), in lower case.

Canada's subdivisions are known by table, with the province code of the Standard Geographical Classification
that opens most of their geographic codes. Other countries' subdivisions are checked by shape only.
"""

import re

from catalog.naming.findings import Code, Finding
from catalog.sentences import sentence as _

SGC_PROVINCES = {
    "nl": "10",
    "pe": "11",
    "ns": "12",
    "nb": "13",
    "qc": "24",
    "on": "35",
    "mb": "46",
    "sk": "47",
    "ab": "48",
    "bc": "59",
    "yt": "60",
    "nt": "61",
    "nu": "62",
}
_COUNTRY_CODES = (
    "ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn bo bq br bs bt bv bw by bz "
    "ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg eh er es et fi fj fk fm fo "
    "fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je "
    "jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mf mg mh mk ml mm mn mo "
    "mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw "
    "py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st sv sx sy sz tc td tf tg th tj tk tl tm "
    "tn to tr tt tv tw tz ua ug um us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw"
)
COUNTRIES = frozenset(_COUNTRY_CODES.split())
_SHAPE = re.compile(r"([a-z]{2})(?:-([a-z0-9]{1,3}))?")


def check_region(region: str) -> list[Finding]:
    """Say what is wrong or unchecked with a region code."""
    match = _SHAPE.fullmatch(region)
    facts = {"region": region}
    if not match:
        return [
            Finding(
                Code.REGION_SHAPE,
                _(
                    "`%(region)s` is no ISO 3166 code in lower case; begin with a region such as `ca` or `ca-bc`.",
                    **facts,
                ),
                facts,
            )
        ]
    country, subdivision = match.groups()
    if country not in COUNTRIES or (country == "ca" and subdivision and subdivision not in SGC_PROVINCES):
        return [
            Finding(
                Code.REGION_UNKNOWN,
                _(
                    "ISO 3166 has no region `%(region)s`; write `ca`, or a province or territory such as `ca-bc`.",
                    **facts,
                ),
                facts,
            )
        ]
    if subdivision and country != "ca":
        return [
            Finding(
                Code.SUBDIVISION_UNCHECKED,
                _(
                    "`%(region)s` has the shape of an ISO 3166-2 code, but only Canada's are known here; check it.",
                    **facts,
                ),
                facts,
                breaks=False,
            )
        ]
    return []
