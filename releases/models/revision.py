"""Numbered revisions of the texts that describe a dataset. A typo is not a new version."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models import Dataset
from releases.models.decision import Decision
from releases.models.release import Release


class MetadataRevisionQuerySet(models.QuerySet["MetadataRevision"]):
    def newest_of(self, dataset: Dataset) -> "MetadataRevision | None":
        """Give the revision that the public reads now."""
        return self.filter(dataset=dataset, number__isnull=False).order_by("-number").first()


class MetadataRevision(models.Model):
    """The texts of a dataset in both languages, as brought by a release or proposed by a decision.

    Numbered 1, 2, … when they become public; a proposal has no number. `replaces` is the number of the revision
    that its proposer saw, 0 for none.
    """

    dataset = models.ForeignKey(Dataset, models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField(null=True, blank=True)
    replaces = models.PositiveIntegerField(default=0)
    release = models.ForeignKey(Release, models.PROTECT, null=True, blank=True, related_name="revisions")
    decision = models.OneToOneField(Decision, models.PROTECT, null=True, blank=True, related_name="revision")
    title_en = models.CharField(max_length=200)
    title_fr = models.CharField(max_length=200)
    description_en = models.TextField()
    description_fr = models.TextField()
    attribution_en = models.CharField(max_length=400)
    attribution_fr = models.CharField(max_length=400)
    keywords_en = models.TextField(blank=True)
    keywords_fr = models.TextField(blank=True)
    public_at = models.DateTimeField(null=True, blank=True)
    objects = MetadataRevisionQuerySet.as_manager()

    class Meta:
        ordering = ["dataset", "-number", "-pk"]
        verbose_name = _("revision of texts")
        verbose_name_plural = _("revisions of texts")
        constraints = [
            models.UniqueConstraint(fields=["dataset", "number"], name="revision_number_once"),
            models.CheckConstraint(
                name="revision_has_one_origin",
                condition=Q(release__isnull=True, decision__isnull=False)
                | Q(release__isnull=False, decision__isnull=True),
            ),
            models.CheckConstraint(
                name="revision_of_release_is_public", condition=Q(release__isnull=True) | Q(number__isnull=False)
            ),
            models.CheckConstraint(
                name="revision_public_has_time",
                condition=Q(number__isnull=True, public_at__isnull=True)
                | Q(number__isnull=False, public_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset} · {self.number or '–'}"
