"""Judge a comparison and write it down: remarks, the number that they ask for, and the sums."""

from releases.diff import judgement
from releases.diff.bump import highest, propose
from releases.diff.document import Comparison, Document, totals
from releases.diff.judgement import Remark


def judge(comparison: Comparison) -> Document:
    """Give the whole document; the same comparison gives the same bytes."""
    remarks = [*remarks_of(comparison)]
    bump = propose(comparison.before, comparison.after, highest([one.level for one in remarks]))
    last = judgement.of_number(bump, comparison.files)
    return Document(comparison, totals(comparison), (*last, *remarks), bump)


def remarks_of(one: Comparison) -> list[Remark]:
    is_first = not one.before
    unread = [judgement.note(code, file, "", words) for file, (code, words) in sorted(one.unread.items())]
    files = [] if is_first else list(judgement.of_files(one.files, one.tables))
    places = judgement.of_places(one.footprint, one.tiles)
    texts = judgement.of_metadata(one.fields, one.facts, is_first=is_first)
    return [*files, *unread, *places, *texts, *judgement.of_recipe(one.recipe, is_first=is_first)]
