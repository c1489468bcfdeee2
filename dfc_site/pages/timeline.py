"""The public versions of a dataset in their order, each with what became of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from catalog.models import Version
from releases.models import Decision

KINDS = {Version.State.DEPRECATED: Decision.Kind.DEPRECATE, Version.State.WITHDRAWN: Decision.Kind.WITHDRAW}


@dataclass(frozen=True)
class Moment:
    """One version, and the decision that made it deprecated or withdrawn."""

    version: Version
    decision: Decision | None


def timeline_of(versions: Iterable[Version]) -> list[Moment]:
    """Find the decision behind the state of each version, in one query."""
    found = list(versions)
    taken = Decision.objects.filter(
        version__in=[one.pk for one in found if one.state in KINDS], state=Decision.State.TAKEN
    )
    decisions = {(one.version_id, one.kind): one for one in taken}
    return [Moment(one, decisions.get((one.pk, KINDS.get(Version.State(one.state), "")))) for one in found]
