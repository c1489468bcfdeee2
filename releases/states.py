"""The states of a Release and the only moves between them.

    draft → building → built → in_review → approved → publishing → published

- A build that fails or differs goes back: building → draft.
- Requested changes and any edit go back to draft: built, in_review, approved → draft.
- A comparison that is made again takes a release out of review, to be submitted anew: in_review → built.
- An edit is written down as draft → draft, so that whoever wrote a part of it is known and does not approve it.
- From publishing on nothing goes back; failure is a state of Job and Step.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

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


@dataclass(frozen=True)
class Move:
    """One change of state with its evidence: who (None is the engine), when, why, through which door.

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
            raise ValueError(f"no move from {self.source} to {self.to}")
