"""What is known of a version's rebuilds: ours, and k of n rebuilders that got the same bytes."""

from dataclasses import dataclass

from catalog.models import Version
from releases.models import Attestation


@dataclass(frozen=True)
class Rebuilds:
    """The statements about one version. `counted` has the newest of each recognised rebuilder, the newest run first.

    `others` are the statements that do not count: earlier ones, and those whose key was revoked.
    """

    ours: Attestation | None
    counted: tuple[Attestation, ...]
    others: tuple[Attestation, ...]

    @property
    def total(self) -> int:
        return len(self.counted)

    @property
    def identical(self) -> int:
        return sum(one.verdict == Attestation.Verdict.IDENTICAL for one in self.counted)

    @property
    def is_clean(self) -> bool:
        """Whether everybody who tried got the published bytes."""
        return self.identical == self.total


def rebuilds_of(version: Version) -> Rebuilds:
    counted: dict[int, Attestation] = {}
    ours, others = None, []
    for one in version.attestations.newest_first().prefetch_related("differences"):
        by = one.rebuilder
        if by is None:
            ours = one
        elif by.is_recognised and by.pk not in counted:
            counted[by.pk] = one
        else:
            others.append(one)
    return Rebuilds(ours, tuple(counted.values()), tuple(others))
