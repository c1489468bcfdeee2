"""Where upstream files lie in our storage: `<package>/archive/<dataset>/…`, and which of them are kept already.

What is kept stays where it is, whatever its dataset is called later, and a file is never kept twice because it came
by another road: a draft takes from an ingest of its dataset what has the same digest.
"""

from catalog.models import Alias
from releases.ingest.lists import url_digest
from releases.models import IngestFile, SourceFile


def folder(package: str, identifier: str) -> str:
    return f"{package}/archive/{identifier}"


def digest_key(package: str, identifier: str, sha256: str, name: str) -> str:
    """Give the key of a file whose digest is known before it is kept; two of one name lie apart."""
    return f"{folder(package, identifier)}/{sha256}/{name}"


def edition_key(package: str, identifier: str, row: IngestFile, edition: int) -> str:
    """Give the key of the so many-th content of an address; no content takes the place of another."""
    return f"{folder(package, identifier)}/{url_digest(row.url)}-{edition}/{row.name}"


def kept_keys(identifier: str, sha256s: list[str]) -> dict[str, str]:
    """Give where files of a dataset lie already, by SHA-256; what a release names goes before what an ingest kept."""
    names = [identifier, *Alias.objects.filter(dataset__identifier=identifier).values_list("identifier", flat=True)]
    brought = IngestFile.objects.kept().filter(ingest__identifier__in=names, sha256__in=sha256s)
    named = SourceFile.objects.filter(release__version__dataset__identifier=identifier, sha256__in=sha256s)
    return dict(brought.values_list("sha256", "storage_key")) | dict(named.values_list("sha256", "storage_key"))
