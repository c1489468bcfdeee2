"""What volunteers and curators may be refused in the swarm."""

from catalog.errors import PersonMustActError, TryLaterError


class TooManyUsesError(TryLaterError):
    """A public form was used too often today. Fact: `again_at`, from when on it is open again."""


class LinkForgedError(PersonMustActError):
    """The address was not made by us, or a part of it is missing."""


class LinkExpiredError(PersonMustActError):
    """The link is too old, or what it was for is gone."""


class LinkUsedError(PersonMustActError):
    """The link has done its work already; it works once."""


class NodeStateError(PersonMustActError):
    """The act does not fit the state of the node, or somebody moved it just now."""


class TooManyNodesError(PersonMustActError):
    """One e-mail address has as many nodes as it may have."""


class ReasonMissingError(PersonMustActError):
    """A decision against a node needs a reason, since its owner is told."""


class TokenTakenError(PersonMustActError):
    """A token was made since the page was opened; the page shows which number it has."""


class MailboxError(TryLaterError):
    """The mail server does not take the letter now."""


class MailRefusedError(PersonMustActError):
    """The mail server will not take the letter for this address."""


class LetterUnsureError(PersonMustActError):
    """A letter was handed over twice and nobody knows whether it went out; it is not sent a third time."""
