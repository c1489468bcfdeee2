"""What the difference to the version before says, in both languages: a sentence for each code of releases/diff."""

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from catalog import amounts

Words = Mapping[str, str | Promise]
FINDINGS: Words = {
    "file-removed": _("The file is gone."),
    "file-added": _("The file is new."),
    "column-removed": _("Column `%(place)s` (%(found)s) is gone, so readers may break."),
    "column-renamed": _("Column `%(found)s` is called `%(instead)s` now, so readers may break."),
    "column-added": _("Column `%(place)s` (%(found)s) is new."),
    "type-changed": _("Column `%(place)s` was %(found)s and is %(instead)s."),
    "crs-changed": _("Column `%(place)s` was in %(found)s and is in %(instead)s."),
    "keys-removed": _("Keys in `%(place)s` that are gone: %(found)s (%(instead)s)."),
    "keys-added": _("New keys in `%(place)s`: %(found)s (%(instead)s)."),
    "rows-fewer": _("It has fewer rows: %(found)s → %(instead)s."),
    "rows-more": _("It has more rows: %(found)s → %(instead)s."),
    "rows-dropped": _("More than a tenth of the rows is gone: %(found)s → %(instead)s."),
    "column-empty": _("Column `%(place)s` has no values at all."),
    "nulls-grew": _(
        "Column `%(place)s` lost values: missing in %(found)s%% of the rows before, in %(instead)s%% now."
    ),
    "size-shrank": _("It has less than nine tenths of the bytes: %(found)s → %(instead)s."),
    "not-compared": _("It cannot be read as a table (%(instead)s), so only its bytes are compared."),
    "too-large": _("It is too large to be read without types, so only its bytes are compared."),
    "bytes-absent": _("Our storage does not keep its bytes of before, so its content is not compared."),
    "tiles-removed": _("Tiles that are gone: %(found)s (%(instead)s)."),
    "tiles-added": _("New tiles: %(found)s (%(instead)s)."),
    "footprint-grew": _("The footprint has gained %(found)s km²."),
    "footprint-shrank": _("The footprint has lost %(found)s km²."),
    "licence-changed": _("The licence was %(found)s and is %(instead)s."),
    "translation-empty": _("%(place)s is empty, the other language is not."),
    "translation-missing": _("%(place)s says the same as the English, word for word."),
    "translation-unchanged": _("%(place)s is as before, while the other language was changed."),
    "years-differ": _("%(place)s names other years: %(found)s in English alone, %(instead)s in French alone."),
    "notes-unchanged": _("The notes say what those of the version before said."),
    "package-changed": _("Package %(place)s: %(found)s → %(instead)s."),
    "first-edition": _("This is the first version: there is nothing to compare it with."),
    "number-too-small": _("The number %(found)s is too small for what changed; %(instead)s is proposed."),
    "number-larger": _("The number %(found)s is larger than needed; %(instead)s would be enough."),
    "nothing-changed": _("Every file has the bytes that it had in %(found)s."),
}
REASONS: Words = {
    "column-rewritten": _("Column `%(place)s` is written otherwise and means the same: %(found)s → %(instead)s."),
    "guessed-type-changed": _("The values of column `%(place)s` look like %(instead)s now, not like %(found)s."),
    "values-changed": _("Rows with other values: %(found)s."),
    "file-changed": _("The file has other bytes."),
    "metadata-changed": _("Texts or facts about the dataset changed: %(found)s."),
    "code-changed": _("The code is another commit."),
    "parameters-changed": _("Parameters of the recipe changed: %(found)s."),
    "sources-changed": _("Source files changed: %(found)s."),
    "environment-changed": _("The environment changed."),
}
NUMBERS = ("found", "instead")


def say_remark(code: str, place: str, found: str, instead: str) -> str:
    """Say one remark in the language of the moment, whole numbers with its groups of three."""
    words = FINDINGS.get(code) or REASONS[code]
    return str(words) % {"place": place, "found": grouped(found), "instead": grouped(instead)}


def grouped(fact: str) -> str:
    is_whole = fact.isascii() and fact.isdigit() and len(fact) < 16  # noqa: PLR2004  a number of people, no digest
    return amounts.number(int(fact), get_language() or "en") if is_whole else fact
