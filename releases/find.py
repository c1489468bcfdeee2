"""Find rows by the words people use: a dataset's identifier, a version's number, a decision's number."""

from django.utils.translation import gettext as _

from catalog import versions
from catalog.models import Alias, Dataset
from releases.errors import DatasetUnknownError, DecisionUnknownError, ReleaseUnknownError
from releases.models import Decision, Release


def find_release(dataset: str, number: str) -> Release:
    """Give the release of `dataset` at `0.1.0-beta` or `v0.1.0-beta`.

    Raises ReleaseUnknownError; DatasetUnknownError that names the new identifier where `dataset` was renamed.
    """
    stored = str(versions.parse(number))
    release = (
        Release.objects.select_related("version__dataset__package", "author", "submitter")
        .filter(version__dataset__identifier=dataset, version__number=stored)
        .first()
    )
    if release is None:
        refuse_former(dataset)
        raise ReleaseUnknownError(
            _("%(name)s: no such release. Look at `manage.py release status` for those that exist.")
            % {"name": f"{dataset} v{stored}"}
        )
    return release


def find_dataset(identifier: str) -> Dataset:
    """Give the dataset of that name; raises DatasetUnknownError, which names the new one where it was renamed."""
    dataset = Dataset.objects.filter(identifier=identifier).first()
    if dataset is None:
        refuse_former(identifier)
        raise DatasetUnknownError(
            _("%(name)s: no such dataset. Look at `manage.py release status` for those that exist.")
            % {"name": identifier}
        )
    return dataset


def refuse_former(identifier: str) -> None:
    alias = Alias.objects.select_related("dataset").filter(identifier=identifier).first()
    if alias is not None:
        raise DatasetUnknownError(
            _("%(name)s: this dataset was renamed. Its name is %(dataset)s now.")
            % {"name": identifier, "dataset": alias.dataset}
        )


def find_decision(number: int) -> Decision:
    """Give the decision of that number; raises DecisionUnknownError."""
    related = ("dataset", "version__dataset", "replacement__dataset", "proposer", "seconder")
    decision = Decision.objects.select_related(*related).filter(pk=number).first()
    if decision is None:
        raise DecisionUnknownError(
            _("%(number)s: no such decision. Look at `manage.py release decisions` for those that are open.")
            % {"number": number}
        )
    return decision
