"""The doors: parse and compose strict identifiers, grade imported ones, suggest the canonical form."""

from dataclasses import dataclass, replace
from enum import StrEnum

from catalog.naming.findings import Finding, IdentifierError
from catalog.naming.identifier import IDENTIFIER_LENGTH, PART_LENGTHS, Identifier, check_parts
from catalog.naming.reading import read
from catalog.naming.safety import unsafe
from catalog.sentences import sentence as _


class Grade(StrEnum):
    """STRICT keeps the convention, LEGACY is safe to keep as imported, REFUSED is unsafe as a name."""

    STRICT = "strict"
    LEGACY = "legacy"
    REFUSED = "refused"


@dataclass(frozen=True)
class Grading:
    """What `grade` says of a text.

    `identifier` has the parts: all of a strict one; of a legacy one those that could be read, repaired,
    the others empty; None of a refused one or where nothing could be read. `suggestion` is the strict form
    to write instead; None if the text is strict, or if a part is missing and cannot be derived.
    """

    grade: Grade
    identifier: Identifier | None
    findings: tuple[Finding, ...]
    suggestion: str | None


def grade(text: str) -> Grading:
    """Grade any text; never raises. A legacy grade has at least one finding that breaks the convention."""
    refusals = unsafe(text)
    if refusals:
        return Grading(Grade.REFUSED, None, tuple(refusals), None)
    identifier, findings, is_complete = read(text)
    if not _breaking(findings):
        return Grading(Grade.STRICT, identifier, tuple(findings), None)
    canonical = str(identifier)
    suggestion = canonical if is_complete and _is_strict(canonical) else None
    return Grading(Grade.LEGACY, _readable(identifier), tuple(findings), suggestion)


def suggest(text: str) -> str | None:
    """Give the strict form of a text, the text itself if it is strict, or None if no part may be guessed."""
    grading = grade(text)
    return text if grading.grade is Grade.STRICT else grading.suggestion


def parse(text: str) -> Identifier:
    """Take a strict identifier apart; raises IdentifierError with what to write instead."""
    grading = grade(text)
    if grading.grade is Grade.STRICT and grading.identifier is not None:
        return grading.identifier
    raise _refusal(text, _breaking(grading.findings), grading.suggestion)


def compose(identifier: Identifier) -> str:
    """Join the parts; raises IdentifierError where a part breaks its rule or the text does not parse back."""
    text = str(identifier)
    findings = _breaking(check_parts(identifier))
    if findings:
        raise _refusal(text, findings, None)
    if parse(text) != identifier:
        raise IdentifierError(
            _(
                "Identifier %(name)s does not parse back to its parts; change the source or the variant.",
                name=ascii(text),
            ),
            identifier=text,
            findings=(),
            suggestion=None,
        )
    return text


def _is_strict(text: str) -> bool:
    return not unsafe(text) and not _breaking(read(text)[1])


def _breaking(findings: list[Finding] | tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.breaks]


def _readable(identifier: Identifier) -> Identifier | None:
    """Empty the parts that are longer than any column for them; None if nothing is left."""
    long = {part: "" for part, limit in PART_LENGTHS.items() if len(getattr(identifier, part)) > limit}
    kept = replace(identifier, **long)  # type: ignore[arg-type]
    return kept if str(kept) else None


def _refusal(text: str, findings: list[Finding], suggestion: str | None) -> IdentifierError:
    sentences = list(dict.fromkeys(finding.message for finding in findings))
    if suggestion:
        sentences.append(_("Write `%(suggestion)s` instead.", suggestion=suggestion))
    return IdentifierError(
        _("Identifier %(name)s: %(findings)s", name=ascii(text[:IDENTIFIER_LENGTH]), findings=tuple(sentences)),
        identifier=text,
        findings=tuple(findings),
        suggestion=suggestion,
    )
