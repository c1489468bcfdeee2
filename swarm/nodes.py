"""The states of a Node and the only moves between them. Pure.

    registered → verified → approved → active ⇄ silent → draining → left

- A curator's decision goes: verified → approved or refused; approved, active, silent, draining → suspended; and
  suspended → approved again. Its reason is said to the owner before the state changes.
- The owner may leave at once from everywhere, and with grace (draining) from approved, active and silent.
- What is refused or left stays so; it can only be erased, which is no change of state.
"""

from datetime import timedelta

from catalog.moves import StateMove

LINK_LIFE = timedelta(hours=48)
GRACEFUL = frozenset({"approved", "active", "silent"})  # these may have a token, and leave with grace
LISTED = GRACEFUL | {"draining"}
LIVE = LISTED | {"suspended"}
ENDED = frozenset({"refused", "left"})
DECISIONS: dict[str, tuple[frozenset[str], str]] = {
    "approved": (frozenset({"verified"}), "approved"),
    "refused": (frozenset({"verified"}), "refused"),
    "suspended": (LISTED, "suspended"),
    "reinstated": (frozenset({"suspended"}), "approved"),
}
MOVES: frozenset[tuple[str, str]] = frozenset(
    {
        ("", "registered"),
        ("registered", "verified"),
        ("approved", "active"),
        ("active", "silent"),
        ("silent", "active"),
    }
    | {(source, to) for sources, to in DECISIONS.values() for source in sources}
    | {(source, "draining") for source in GRACEFUL}
    | {(source, "left") for source in LIVE | {"registered", "verified"}}
)


class Move(StateMove):
    """One change of state of a node."""

    allowed = MOVES
