"""The states of a Node and the only moves between them. Pure.

    registered → verified → approved → active ⇄ silent → draining → left

- A curator's decision goes: verified → approved or refused; approved, active, silent, draining → suspended; and
  suspended → approved again. Its reason is said to the owner before the state changes.
- The owner may leave at once from everywhere, and with grace (draining) from approved, active and silent.
- What is refused or left stays so; it can only be erased, which is no change of state.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

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


@dataclass(frozen=True)
class Move:
    """One change of state with its evidence: who (None is the owner or the engine), when, why, through which door.

    Raises ValueError for a pair that is not in MOVES: that is a bug of ours, never a person's mistake.
    """

    source: str
    to: str
    by: Any
    at: datetime
    channel: str
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.source, self.to) not in MOVES:
            raise ValueError(f"no move from {self.source or 'nothing'} to {self.to}")
