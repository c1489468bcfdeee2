"""What a release may be refused for."""

from catalog.errors import PersonMustActError, TryLaterError


class DefinitionError(PersonMustActError):
    """A release.toml, or what it names, is wrong."""


class NotDraftableError(PersonMustActError):
    """The version cannot be drafted as described."""


class NotBuildableError(PersonMustActError):
    """The release cannot be built now."""


class NotSubmittableError(PersonMustActError):
    """The release cannot go to review now."""


class NotApprovableError(PersonMustActError):
    """The release cannot be approved, or not by this person."""


class NotEditableError(PersonMustActError):
    """The release can no longer be changed."""


class RepositoryError(PersonMustActError):
    """A processing repository or its commit cannot be read."""


class EnvironmentDefinitionError(PersonMustActError):
    """The environment of a build is not locked, or cannot be made."""


class ContainerEngineError(TryLaterError):
    """No container engine of this machine does what it is asked for; another worker's may."""


class BuildFailedError(PersonMustActError):
    """The recipe ran and did not give what it declares."""


class SealError(PersonMustActError):
    """The bytes on disk are no longer those that were reviewed."""


class PublicationError(PersonMustActError):
    """A publication cannot go on without a person."""


class NotAllowedError(PersonMustActError):
    """The person lacks the permission that the act needs."""


class ReleaseUnknownError(PersonMustActError):
    """No release has that identifier and number."""


class NotReturnableError(PersonMustActError):
    """The release cannot be sent back to its author, or not by this person."""


class NotRenewableError(PersonMustActError):
    """No next version can be written from this release by itself."""


class NotProposableError(PersonMustActError):
    """The second thought cannot be proposed as it is described."""


class NotDecidableError(PersonMustActError):
    """The proposal cannot be answered now, or not by this person."""


class ReasonError(PersonMustActError):
    """A reason is missing, too short or too long."""


class DecisionUnknownError(PersonMustActError):
    """No decision has that number."""


class DatasetUnknownError(PersonMustActError):
    """No dataset has that identifier now."""


class KeyTextError(PersonMustActError):
    """A text is not the key that it should be."""


class AttestationRefusedError(PersonMustActError):
    """A statement about a build is not kept; its fact `code` says why in one word, the same for every language."""


class RebuilderError(PersonMustActError):
    """A rebuilder cannot be recognised or revoked as asked."""


class NotIngestibleError(PersonMustActError):
    """An ingest cannot begin, go on or be changed as it is asked for."""


class IngestUnknownError(PersonMustActError):
    """No ingest has that number."""


class NotDismissableError(PersonMustActError):
    """A notice of upstream has ended already."""


class ListingError(PersonMustActError):
    """A list of addresses, or what it is derived from, cannot be read or leads nowhere."""


class UpstreamUnavailableError(TryLaterError):
    """A server of somebody else does not give a file now. Fact: `after_s`, if it said when to ask again."""


class UpstreamRefusedError(PersonMustActError):
    """A server of somebody else, or our rules for it, say no; asking again would not help."""


class NotComparableError(PersonMustActError):
    """There is nothing to compare with the version before, or it was compared already."""
