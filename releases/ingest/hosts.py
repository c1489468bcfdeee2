"""Whom to ask next: files in the order of their priority, and no server more often than it bears.

Pure: the instants are arguments, in seconds of a clock that never goes back.
- A server is asked by at most `most` at once; a sign of overload halves that, and every good answer adds a little.
- A server that asks for patience is left alone until then.
- A file that failed comes back after a pause; what waits for no pause goes in the order of the list.
"""

import heapq
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class Waiting:
    """A file to ask for: its priority, its row, and who has it."""

    position: int
    row: int
    host: str


@dataclass
class Host:
    """One server: how many of us may ask it at once, how many do, and from when on."""

    allowed: float
    asking: int = 0
    from_s: float = 0.0
    waiting: list[Waiting] = field(default_factory=list)

    def is_open(self, now_s: float) -> bool:
        return bool(self.waiting) and self.asking < max(1, int(self.allowed)) and now_s >= self.from_s


class Hosts:
    """The files that are still to be asked for, by server."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.hosts: dict[str, Host] = defaultdict(lambda: Host(allowed=most))
        self.paused: list[tuple[float, Waiting]] = []

    def __bool__(self) -> bool:
        return bool(self.paused) or any(host.waiting for host in self.hosts.values())

    def add(self, waiting: Waiting) -> None:
        heapq.heappush(self.hosts[waiting.host].waiting, waiting)

    def add_later(self, waiting: Waiting, due_s: float) -> None:
        heapq.heappush(self.paused, (due_s, waiting))

    def next(self, now_s: float) -> Waiting | None:
        """Take the first file in order whose server may be asked now; None if there is none."""
        while self.paused and self.paused[0][0] <= now_s:
            self.add(heapq.heappop(self.paused)[1])
        open_hosts = [host for host in self.hosts.values() if host.is_open(now_s)]
        if not open_hosts:
            return None
        host = min(open_hosts, key=lambda one: one.waiting[0])
        host.asking += 1
        return heapq.heappop(host.waiting)

    def next_change_s(self) -> float | None:
        """Give the first instant at which the clock alone lets somebody be asked; None if it never does."""
        held = [host.from_s for host in self.hosts.values() if host.waiting]
        return min([*held, *(due_s for due_s, _ in self.paused[:1])], default=None)

    def answered(self, name: str) -> None:
        host = self.hosts[name]
        host.asking -= 1
        host.allowed = min(self.most, host.allowed + 0.25)

    def failed(self, name: str) -> None:
        """Note an answer that says nothing about overload."""
        self.hosts[name].asking -= 1

    def overloaded(self, name: str, until_s: float) -> None:
        """Leave a server alone until then, and be fewer afterwards."""
        host = self.hosts[name]
        host.asking -= 1
        host.allowed = max(1.0, host.allowed / 2)
        host.from_s = max(host.from_s, until_s)
