"""Begin a new version from a published one: its release.toml with the next number."""

from django.utils.translation import gettext as _

from catalog import versions
from catalog.errors import PersonMustActError
from catalog.models import Version
from catalog.say import say
from releases.draft import named
from releases.drafts.definition import Definition, read_definition
from releases.drafts.rewriting import Change, rewrite
from releases.errors import NotRenewableError
from releases.models import Release

NUMBER = (("version", "number"), ("outputs", None, "path"), ("recipe", "parameters"))
IDENTIFIER = (("dataset", "identifier"), ("outputs", None, "path"), ("recipe", "parameters"))


def renewed_definition(release: Release, number: str = "") -> str:
    """Give the release.toml of the next version: the next minor number that is free, or `number`.

    The number changes where it stands as a value (number, paths of outputs, parameters), and so does the identifier
    if the dataset was renamed. Raises VersionNumberError; NotRenewableError (not published, the number is taken, or
    the text cannot be rewritten by itself).
    """
    if release.state != Release.State.PUBLISHED:
        raise NotRenewableError(
            _("%(release)s: it is not published. Edit this draft instead.") % {"release": release}
        )
    wanted = versions.parse(number) if number else next_number(release.version)
    refuse_taken(release.version, wanted)
    former, present = str(read(release, release.definition).dataset.identifier), release.version.dataset.identifier
    changes = [Change(release.version.number, str(wanted), NUMBER)]
    if former != present:
        changes.append(Change(former, present, IDENTIFIER))
    text = rewrite(release.definition, changes)
    if named(read(release, text)) != f"{present} {wanted.shown}":
        raise NotRenewableError(
            _("%(release)s: the number in its release.toml could not be changed by itself. Change it by hand.")
            % {"release": release}
        )
    return text


def next_number(version: Version) -> versions.VersionNumber:
    """Give the next minor number that no version of the dataset has; a pre-release stays one."""
    taken = set(version.dataset.versions.values_list("number", flat=True))
    minor = version.minor + 1
    while str(versions.VersionNumber(version.major, minor, 0, version.prerelease)) in taken:
        minor += 1
    return versions.VersionNumber(version.major, minor, 0, version.prerelease)


def refuse_taken(version: Version, number: versions.VersionNumber) -> None:
    if version.dataset.versions.filter(number=str(number)).exists():
        raise NotRenewableError(
            _("%(dataset)s %(number)s: exists already. Choose another number.")
            % {"dataset": version.dataset, "number": number.shown}
        )


def read(release: Release, text: str) -> Definition:
    """Read a release.toml; raises NotRenewableError for one that today's rules refuse."""
    try:
        return read_definition(text)
    except PersonMustActError as error:
        raise NotRenewableError(
            _("%(release)s: its next release.toml would be refused. %(finding)s")
            % {"release": release, "finding": say(error)}
        ) from error
