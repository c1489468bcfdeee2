"""A change of state with its evidence; each room says which of them there are. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar


@dataclass(frozen=True)
class StateMove:
    """One change of state: who (None is the engine, or a node's owner), when, why, through which door.

    Raises ValueError for a pair that is not in `allowed`: that is a bug of ours, never a person's mistake.
    """

    allowed: ClassVar[frozenset[tuple[str, str]]] = frozenset()
    source: str
    to: str
    by: Any
    at: datetime
    channel: str
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.source, self.to) not in self.allowed:
            raise ValueError(f"no move from {self.source or 'nothing'} to {self.to}")
