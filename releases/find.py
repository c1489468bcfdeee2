"""Find a release by the words people use: the dataset's identifier and the version's number."""

from catalog import versions
from releases.errors import ReleaseUnknownError
from releases.models import Release


def find_release(dataset: str, number: str) -> Release:
    """Give the release of `dataset` at `0.1.0-beta` or `v0.1.0-beta`; raises ReleaseUnknownError."""
    stored = str(versions.parse(number))
    release = (
        Release.objects.select_related("version__dataset__package", "author", "submitter")
        .filter(version__dataset__identifier=dataset, version__number=stored)
        .first()
    )
    if release is None:
        raise ReleaseUnknownError(
            f"{dataset} v{stored}: no such release. Look at `manage.py release status` for those that exist."
        )
    return release
