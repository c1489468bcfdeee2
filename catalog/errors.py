"""The failures of stewardship, split by what the caller does about them.

A message names the thing, the finding and the next step, and is shown to people as it stands.
Whatever is none of these is a bug of ours and crashes.
"""


class StewardshipError(Exception):
    """A refusal or failure that a person can understand from its message alone."""

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __str__(self) -> str:
        return self.message


class TryLaterError(StewardshipError):
    """The world was not ready; the same call may succeed later without anybody's help."""


class NotYetError(TryLaterError):
    """What was asked for is under way elsewhere and nothing is wrong, so that waiting for it counts as no failure."""


class PersonMustActError(StewardshipError):
    """The same call will fail again until a person changes something."""
