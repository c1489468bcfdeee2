"""What makes an identifier unusable at all: as a folder, an address, an object key or a torrent's name."""

import re

from catalog.naming.findings import Code, Finding
from catalog.naming.identifier import IDENTIFIER_LENGTH, too_long
from catalog.paths import is_device_name
from catalog.sentences import sentence as _

_SAFE = re.compile(r"[A-Za-z0-9._-]")
_LATEST = re.compile(r"(?:.*_)?v?latest", re.IGNORECASE)


def unsafe(text: str) -> list[Finding]:
    """Say why a text can be no identifier, not even an imported one; looks at no more than its allowed length."""
    if not text:
        return [Finding(Code.EMPTY, _("It is empty; write an identifier."))]
    if len(text) > IDENTIFIER_LENGTH:
        return [too_long()]
    codes = dict.fromkeys(_code_of(character) for character in text if not _SAFE.fullmatch(character))
    return [Finding(code, _CHARACTER_MESSAGES[code]) for code in codes] + _unsafe_as_a_whole(text)


def _code_of(character: str) -> Code:
    if character.isspace():
        return Code.WHITESPACE
    if not character.isascii():
        return Code.NON_ASCII
    if not character.isprintable():
        return Code.CONTROL
    return {"/": Code.SEPARATOR, "\\": Code.SEPARATOR, "+": Code.BUILD_METADATA}.get(character, Code.CHARACTER)


_CHARACTER_MESSAGES = {
    Code.WHITESPACE: _("It has a space or a line break; separate words with hyphens."),
    Code.NON_ASCII: _(
        "It has a character outside ASCII, maybe one that only looks like a letter;"
        " use letters, digits, hyphens, underscores and dots."
    ),
    Code.CONTROL: _("It has a control character; use letters, digits, hyphens, underscores and dots."),
    Code.SEPARATOR: _("It has a slash or backslash, which would make folders of it; leave it out."),
    Code.BUILD_METADATA: _("It has a `+`; versions have no build metadata here, end as in `v0.1.0-beta`."),
    Code.CHARACTER: _(
        "It has a character that is not safe in names; use letters, digits, hyphens, underscores and dots."
    ),
}


def _unsafe_as_a_whole(text: str) -> list[Finding]:
    findings = []
    if ".." in text:
        findings.append(Finding(Code.DOTS, _("It has `..`, which leads out of a folder; leave it out.")))
    if text[0] in ".-" or text.endswith("."):
        findings.append(
            Finding(Code.EDGE, _("It begins with a dot or hyphen, or ends with a dot; begin with the region."))
        )
    if is_device_name(text):
        findings.append(Finding(Code.DEVICE, _("Windows keeps this name for a device; begin with the region.")))
    if _LATEST.fullmatch(text):
        message = _("`latest` is an address that moves, not a version; write the number such as `v0.1.0-beta`.")
        findings.append(Finding(Code.LATEST, message))
    return findings
