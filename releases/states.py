"""The states of a Release and the only moves between them.

    draft → building → built → in_review → approved → publishing → published

- A build that fails or differs goes back: building → draft.
- Requested changes and any edit go back to draft: built, in_review, approved → draft.
- A comparison that is made again takes a release out of review, to be submitted anew: in_review → built.
- An edit is written down as draft → draft, so that whoever wrote a part of it is known and does not approve it.
- From publishing on nothing goes back; failure is a state of Job and Step.
"""

from catalog.moves import StateMove

MOVES: frozenset[tuple[str, str]] = frozenset(
    {
        ("draft", "draft"),
        ("draft", "building"),
        ("building", "built"),
        ("building", "draft"),
        ("built", "in_review"),
        ("built", "draft"),
        ("in_review", "approved"),
        ("in_review", "draft"),
        ("in_review", "built"),
        ("approved", "publishing"),
        ("approved", "draft"),
        ("publishing", "published"),
    }
)
EDITABLE = frozenset({"draft", "built", "in_review", "approved"})


class Move(StateMove):
    """One change of state of a release."""

    allowed = MOVES
