"""Whether upstream is still as it was when a version was made of it."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models import Dataset


class WatchedAddress(models.Model):
    """One address that a dataset depends on, with what its server said when it was as we know it.

    `about` is the SHA-256 of the source file, or of the words of a licence's page; another source begins anew.
    `gone_times` counts the looks in a row that found nothing there.
    """

    class Kind(models.TextChoices):
        SOURCE = "source", _("Source file")
        LICENCE = "licence", _("Licence")

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="+", verbose_name=_("dataset"))
    kind = models.CharField(_("kind"), max_length=7, choices=Kind)
    url = models.CharField(_("address"), max_length=1000)
    about = models.CharField(_("SHA-256 of what is known"), max_length=64, blank=True)
    etag = models.CharField(_("ETag known"), max_length=255, blank=True)
    last_modified = models.CharField(_("Last-Modified known"), max_length=60, blank=True)
    size_bytes = models.BigIntegerField(_("size in bytes"), null=True, blank=True)
    gone_times = models.PositiveIntegerField(_("times not found"), default=0)
    checked_at = models.DateTimeField(_("looked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("watched address")
        verbose_name_plural = _("watched addresses")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["dataset", "kind", "url"], name="watched_address_once")]

    def __str__(self) -> str:
        return self.url


class UpstreamNoticeQuerySet(models.QuerySet["UpstreamNotice"]):
    def open(self) -> "UpstreamNoticeQuerySet":
        return self.filter(ended_at__isnull=True)


class UpstreamNotice(models.Model):
    """One thing that was found of an address: a person answers it, or it ends when it is so no longer.

    `seen` names what was found, so that what somebody has dismissed does not come back until it is another thing.
    """

    class Kind(models.TextChoices):
        CHANGED = "changed", _("Source changed")
        MOVED = "moved", _("Source moved")
        GONE = "gone", _("Source is gone")
        LICENCE = "licence", _("Licence page altered")

    watched = models.ForeignKey(
        WatchedAddress, models.CASCADE, related_name="notices", verbose_name=_("watched address")
    )
    kind = models.CharField(_("kind"), max_length=7, choices=Kind)
    seen = models.CharField(_("what was seen"), max_length=1000)
    finding = models.TextField(_("finding"))
    found_at = models.DateTimeField(_("found at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    dismissed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("dismissed by"),
    )
    objects = UpstreamNoticeQuerySet.as_manager()

    class Meta:
        ordering = ["-found_at", "-pk"]
        verbose_name = _("upstream notice")
        verbose_name_plural = _("upstream notices")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["watched", "kind"], condition=Q(ended_at__isnull=True), name="upstream_notice_once_open"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.watched}"
