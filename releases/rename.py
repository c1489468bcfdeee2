"""Rename a dataset: the new identifier names it from now on, the former one leads to it for good.

What was published under the former name stays as it is: ids of items, paths, storage keys, torrents and DOIs.
"""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from catalog import naming
from catalog.history import sign
from catalog.models import Alias, Dataset, Version
from catalog.search import fold_texts
from releases.draft import package_row
from releases.drafts.definition import strict_identifier
from releases.errors import NotProposableError
from releases.models import Release

UNDER_WAY = ("building", "built", "in_review", "approved", "publishing")


def check_name(dataset: Dataset, text: str) -> naming.Identifier:
    """Give the parts of a new identifier of a dataset.

    Raises IdentifierError or DefinitionError (not strict); NotProposableError (used now or ever, the dataset was
    never public, or a release of it is between its build and its publication).
    """
    identifier = strict_identifier(text)
    if not Version.objects.public().filter(dataset=dataset).exists():
        raise NotProposableError(
            _("%(dataset)s: it was never public. Draft it under the right identifier instead.") % {"dataset": dataset}
        )
    refuse_used(naming.compose(identifier))
    refuse_under_way(dataset)
    return identifier


def refuse_used(name: str) -> None:
    """Refuse an identifier that names or ever named a dataset.

    Datasets are asked before their former names: a rename that is committed in between is seen by the second.
    """
    used = Dataset.objects.filter(identifier=name).first()
    alias = Alias.objects.select_related("dataset").filter(identifier=name).first()
    if used is not None or alias is not None:
        raise NotProposableError(
            _("%(name)s: it names %(dataset)s, or named it once. An identifier is never used again; choose another.")
            % {"name": name, "dataset": used or (alias and alias.dataset)}
        )


def refuse_under_way(dataset: Dataset) -> None:
    release = Release.objects.filter(version__dataset=dataset, state__in=UNDER_WAY).first()
    if release is not None:
        raise NotProposableError(
            _("%(release)s: it is under way (%(state)s) under that name. Publish it, or edit it back to draft.")
            % {"release": release, "state": release.get_state_display()}
        )


def rename_dataset(dataset_id: int, text: str, *, by: Any, reason: str, now: datetime) -> None:
    """Give a dataset its new identifier and keep the former one as an alias, in the caller's transaction.

    Raises what `check_name` raises. Drafts keep the former name in their release.toml until they are edited.
    """
    dataset = Dataset.objects.select_for_update().get(pk=dataset_id)
    parts = check_name(dataset, text)
    Alias.objects.create(identifier=dataset.identifier, dataset=dataset, at=now)
    dataset.identifier = naming.compose(parts)
    dataset.region, dataset.source, dataset.dguid = parts.region, parts.source, parts.dguid
    dataset.vintage, dataset.variant = parts.vintage, parts.variant
    dataset.package = package_row(parts.package)
    dataset.grade = Dataset.Grade.STRICT
    fold_texts(dataset)
    sign(dataset, by=by, reason=reason)
    dataset.save()
