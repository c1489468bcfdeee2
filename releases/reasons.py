"""Reasons: what people write for those who come later, and what the public reads of a second thought."""

from django.utils.translation import gettext as _

from releases.errors import ReasonError

SHORTEST, LONGEST = 10, 4_000


def clean_reason(text: str) -> str:
    """Give a reason without blanks around it; raises ReasonError for one that says nothing, or too much."""
    reason = text.strip()
    if len(reason) < SHORTEST:
        raise ReasonError(_("Say in at least %(count)d characters why.") % {"count": SHORTEST})
    if len(reason) > LONGEST:
        raise ReasonError(_("Say in at most %(count)d characters why.") % {"count": LONGEST})
    if "\0" in reason:
        raise ReasonError(_("The reason holds the character U+0000. Remove it."))
    return reason


def clean_reasons(english: str, french: str) -> tuple[str, str]:
    """Give both, as the public reads them; raises ReasonError naming the language that is wrong."""
    cleaned = []
    for language, text in ((_("English"), english), (_("French"), french)):
        try:
            cleaned.append(clean_reason(text))
        except ReasonError as error:
            raise ReasonError(
                _("Reason in %(language)s: %(finding)s") % {"language": language, "finding": error}
            ) from error
    return cleaned[0], cleaned[1]
