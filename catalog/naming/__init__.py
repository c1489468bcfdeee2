"""Identifiers of datasets and versions after the D4C file naming convention. Pure: text in, values out.

New identifiers are strict (`parse`, `compose`); imported ones are graded (`grade`), with findings and the
canonical form (`suggest`). What does not round-trip is refused.
"""

from catalog.naming.dguid import Dguid, check_dguid, parse_dguid
from catalog.naming.findings import Code, Finding, IdentifierError
from catalog.naming.grading import Grade, Grading, compose, grade, parse, suggest
from catalog.naming.identifier import IDENTIFIER_LENGTH, PACKAGES, Identifier

__all__ = [
    "IDENTIFIER_LENGTH",
    "PACKAGES",
    "Code",
    "Dguid",
    "Finding",
    "Grade",
    "Grading",
    "Identifier",
    "IdentifierError",
    "check_dguid",
    "compose",
    "grade",
    "parse",
    "parse_dguid",
    "suggest",
]
