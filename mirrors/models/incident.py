"""Incidents: what went wrong at a mirror, and when it was good again."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from mirrors.models.copy import Check, Replica
from mirrors.models.mirror import Mirror


class Incident(models.Model):
    """What went wrong at a mirror, and when it was good again: one copy of it, or (no `replica`) all of it.

    `found_by` is the failed check and `ended_by` the one that proved the copy again; both stay in the history.
    `source` is the mirror from which the copy was put again, empty where that was not needed.
    """

    class Kind(models.TextChoices):
        DAMAGED = "damaged", _("Damaged")
        MISSING = "missing", _("Missing")
        SILENT = "silent", _("No answer")

    mirror = models.ForeignKey(Mirror, models.PROTECT, related_name="incidents", verbose_name=_("mirror"))
    replica = models.ForeignKey(
        Replica, models.PROTECT, null=True, blank=True, related_name="incidents", verbose_name=_("copy")
    )
    kind = models.CharField(_("kind"), max_length=7, choices=Kind)
    finding = models.TextField(_("what was found"), blank=True)
    found_by = models.ForeignKey(
        Check, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("found by")
    )
    found_at = models.DateTimeField(_("found at"))
    source = models.ForeignKey(Mirror, models.PROTECT, null=True, blank=True, related_name="+")
    ended_by = models.ForeignKey(
        Check, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("ended by")
    )
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    told_at = models.DateTimeField(_("told at"), null=True, blank=True)

    class Meta:
        ordering = ["-found_at", "-pk"]
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        constraints = [
            models.UniqueConstraint(
                fields=["replica"],
                condition=Q(replica__isnull=False, ended_at__isnull=True),
                name="incident_open_once_per_copy",
            ),
            models.UniqueConstraint(
                fields=["mirror"],
                condition=Q(replica__isnull=True, ended_at__isnull=True),
                name="incident_open_once_per_mirror",
            ),
            models.CheckConstraint(
                name="incident_of_copy_has_check", condition=Q(replica__isnull=True) | Q(found_by__isnull=False)
            ),
            models.CheckConstraint(
                name="incident_kind_fits",
                condition=Q(kind="silent", replica__isnull=True) | (~Q(kind="silent") & Q(replica__isnull=False)),
            ),
        ]
        indexes = [models.Index(fields=["mirror", "-found_at"], name="incident_newest")]

    def __str__(self) -> str:
        return f"{self.mirror}: {self.kind} {self.found_at:%Y-%m-%d %H:%M}"

    @property
    def repair_key(self) -> str:
        """The business key of the job that puts the copy again; one finding has one."""
        return f"repair:{self.replica_id}:{self.found_by_id}"
