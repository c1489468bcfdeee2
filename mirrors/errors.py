"""What mirrors fail of: two ways, by what the caller does."""

from catalog.errors import PersonMustActError, TryLaterError


class MirrorUnavailableError(TryLaterError):
    """The mirror does not answer now; the same call may work later."""


class MirrorRefusedError(PersonMustActError):
    """The mirror, or our rules for it, say no; a person has to change something."""


class NoMirrorError(PersonMustActError):
    """No enabled mirror is required to keep this dataset."""


class UnverifiedError(PersonMustActError):
    """A required copy has not been read back whole."""
