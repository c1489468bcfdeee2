"""DOIs: what we named, and what its registrar has of it."""

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models import Dataset, Version


class DoiQuerySet(models.QuerySet["Doi"]):
    def concept_of(self, dataset: Dataset) -> "Doi | None":
        """Give the DOI of all versions of a dataset."""
        return self.concepts_of([dataset]).first()

    def concepts_of(self, datasets: Sequence[Dataset]) -> "DoiQuerySet":
        """Give the DOIs of all versions of each of many datasets, as far as there are any."""
        return self.filter(dataset__in=datasets, version=None)


class Doi(models.Model):
    """One DOI: of a version, or (no `version`) of all versions of a dataset.

    `described_digest` is the sha256 of the metadata that the registrar has of it, empty while they are to be brought
    up to date; `registered_at` is when it was first findable. A tombstone is findable too: it leads to the page that
    a withdrawal left.
    """

    class State(models.TextChoices):
        RESERVED = "reserved", _("Reserved")
        FINDABLE = "findable", _("Findable")
        TOMBSTONE = "tombstone", _("Leads to the tombstone")

    name = models.CharField("DOI", max_length=200, unique=True)
    dataset = models.ForeignKey(Dataset, models.PROTECT, related_name="dois", verbose_name=_("dataset"))
    version = models.OneToOneField(
        Version, models.PROTECT, null=True, blank=True, related_name="doi_row", verbose_name=_("version")
    )
    provider = models.CharField(_("DOIs from"), max_length=8, choices=Dataset.DoiProvider)
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.RESERVED)
    described_digest = models.CharField(max_length=64, blank=True, editable=False)
    described_at = models.DateTimeField(_("described at"), null=True, blank=True)
    registered_at = models.DateTimeField(_("registered at"), null=True, blank=True)
    updated_at = models.DateTimeField(_("updated at"))
    objects = DoiQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = "DOI"
        verbose_name_plural = _("DOIs")
        constraints = [
            models.UniqueConstraint(
                fields=["dataset"], condition=Q(version__isnull=True), name="doi_of_all_versions_once"
            ),
            models.CheckConstraint(
                name="doi_registered_has_time",
                condition=Q(state="reserved") | Q(registered_at__isnull=False, described_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def subject(self) -> Any:
        """What it names: the version, or the whole dataset."""
        return self.version or self.dataset
