"""What mirrors fail of: two ways, by what the caller does."""

from catalog.errors import NotYetError, PersonMustActError, TryLaterError


class MirrorUnavailableError(TryLaterError):
    """The mirror does not answer now; the same call may work later."""


class MirrorSettlingError(MirrorUnavailableError, NotYetError):
    """The mirror has accepted what it does not show yet; after `after_s` it is asked again, however often."""


class MirrorRefusedError(PersonMustActError):
    """The mirror, or our rules for it, say no; a person has to change something."""


class AbsentError(MirrorRefusedError):
    """The public address of a copy says that nothing is there."""


class NotServedError(PersonMustActError):
    """A mirror holds a copy whole, and its public address says that nothing is there."""


class NoMirrorError(PersonMustActError):
    """No enabled mirror is required to keep this dataset."""


class UnverifiedError(PersonMustActError):
    """A required copy has not been read back whole."""


class NoGoodCopyError(PersonMustActError):
    """No copy anywhere has the published digest, so there is nothing to repair from."""


class RepairFailedError(TryLaterError):
    """What was put again is not good yet; the repair begins anew."""


class NotQueueableError(PersonMustActError):
    """A copy or a mirror cannot be looked at now, or is queued already."""


class NotDiscardableError(PersonMustActError):
    """A deposit is no draft that may be thrown away."""


class NotPausableError(PersonMustActError):
    """The mirror is not in a state that can be paused or resumed."""


class MailNotTakenError(TryLaterError):
    """The mail server did not take a letter to the curators."""


class RegistrarUnavailableError(TryLaterError):
    """The registrar of a DOI does not answer now, or not clearly; the same call may work later."""


class RegistrarRefusedError(PersonMustActError):
    """The registrar of a DOI, or our rules for it, say no; a person has to change something."""


class ReservationError(PersonMustActError):
    """A version cannot have the DOI that it would get."""


class AskStaffError(PersonMustActError):
    """What was withdrawn lies where only the staff of the service can take it away."""


class UnsafeRemovalError(PersonMustActError):
    """Copies may not be removed: they are wanted, or what would be left is too little."""


class NoRoomError(PersonMustActError):
    """The mirror has no room for a version by what its operator gives us."""


class NotEndableError(PersonMustActError):
    """The end of a mirror's service cannot be announced or recalled now."""


class PolicyRefusedError(PersonMustActError):
    """A change of policies would leave too little, or has no room at the mirror."""
