"""Identifiers that datasets had before they were renamed."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models.dataset import Dataset


class Alias(models.Model):
    """An identifier that a dataset had once. It leads to that dataset for good and never names another one."""

    identifier = models.CharField(_("identifier"), max_length=200, unique=True)
    dataset = models.ForeignKey(Dataset, models.PROTECT, related_name="aliases", verbose_name=_("dataset"))
    at = models.DateTimeField(_("at"))

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name = _("former identifier")
        verbose_name_plural = _("former identifiers")
        constraints = [models.CheckConstraint(name="alias_has_identifier", condition=~Q(identifier=""))]

    def __str__(self) -> str:
        return self.identifier
