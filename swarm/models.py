"""Who helps keep it: one torrent an Asset."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models import Asset


class Torrent(models.Model):
    """The single-file hybrid torrent of one Asset (BEP 3 and BEP 52).

    `info` is the bencoded info dict that never changes; web seeds are wrapped around it when it is asked for.
    """

    asset = models.OneToOneField(Asset, models.PROTECT, related_name="torrent")
    name = models.CharField(max_length=255)
    infohash_v1 = models.CharField(max_length=40, db_index=True)
    infohash_v2 = models.CharField(max_length=64, db_index=True)
    info = models.BinaryField()
    made_at = models.DateTimeField()

    class Meta:
        verbose_name = _("torrent")
        verbose_name_plural = _("torrents")
        constraints = [
            models.CheckConstraint(name="torrent_v1_is_hex", condition=Q(infohash_v1__regex=r"^[0-9a-f]{40}$")),
            models.CheckConstraint(name="torrent_v2_is_hex", condition=Q(infohash_v2__regex=r"^[0-9a-f]{64}$")),
        ]

    def __str__(self) -> str:
        return self.name
