"""Editions of the catalogue, and the changes that each of them covers."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Edition(models.Model):
    """One state of the whole catalogue as files. The newest row is the current edition.

    `manifest_sha256` names its files, so the same content has the same name and the same bytes; they lie in our
    storage under `catalogue/<first 16 digits>/`.
    """

    manifest_sha256 = models.CharField(_("SHA-256 of its manifest"), max_length=64, db_index=True)
    versions = models.PositiveIntegerField(_("versions"))
    size_bytes = models.BigIntegerField(_("size in bytes"))
    made_at = models.DateTimeField(_("made at"))

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("edition of the catalogue")
        verbose_name_plural = _("editions of the catalogue")
        constraints = [
            models.CheckConstraint(
                name="edition_sha256_is_hex", condition=models.Q(manifest_sha256__regex=r"^[0-9a-f]{64}$")
            )
        ]

    def __str__(self) -> str:
        return self.folder

    @property
    def folder(self) -> str:
        return f"catalogue/{self.manifest_sha256[:16]}"


class CatalogueChange(models.Model):
    """Why the catalogue has to be made anew: a version went public, a copy was lost or found. Append-only.

    `edition` is the first edition that covers the change; empty means that it is owed.
    """

    what = models.CharField(_("what"), max_length=400)
    at = models.DateTimeField(_("at"))
    edition = models.ForeignKey(
        Edition, models.PROTECT, null=True, blank=True, related_name="changes", verbose_name=_("edition")
    )

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("change of the catalogue")
        verbose_name_plural = _("changes of the catalogue")

    def __str__(self) -> str:
        return self.what
