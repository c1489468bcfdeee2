"""What changed since the version before, as a reviewer saw it."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models import Version
from releases.models.release import Release


class ReviewDiff(models.Model):
    """The difference between the outputs of a build round and the version before, of which a first edition has none.

    The newest row of a round counts; an approval is bound to its `sha256`.
    """

    release = models.ForeignKey(Release, models.CASCADE, related_name="diffs", verbose_name=_("release"))
    round = models.PositiveSmallIntegerField(_("round"))
    against = models.ForeignKey(
        Version, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("version before")
    )
    body = models.TextField(_("text"))  # RFC 8785 JSON of releases/diff/document.py: hashing it gives `sha256`
    sha256 = models.CharField(max_length=64)
    made_at = models.DateTimeField(_("made at"))

    class Meta:
        ordering = ["release", "round", "made_at"]
        verbose_name = _("difference to the version before")
        verbose_name_plural = _("differences to the version before")
        constraints = [
            models.UniqueConstraint(fields=["release", "round", "sha256"], name="review_diff_once"),
            models.CheckConstraint(name="review_diff_sha256_is_hex", condition=Q(sha256__regex=r"^[0-9a-f]{64}$")),
        ]

    def __str__(self) -> str:
        return f"{self.release} · {self.sha256[:12]}"
