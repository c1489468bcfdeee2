"""Copies: a version's deposit at a mirror, the replica of each file, and every check of it."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models import Asset, Version
from mirrors.models.mirror import Mirror

PUBLIC = (Version.State.PUBLISHED, Version.State.DEPRECATED)


class Deposit(models.Model):
    """One Version on one Mirror.

    `urn` names it at services that choose their names themselves, and is written before the first of them is asked.
    `round` counts how often it was brought there: once more after each removal. `described_digest` is the sha256 of
    the metadata that the mirror has of it, empty while they are to be brought up to date.
    """

    class State(models.TextChoices):
        OPEN = "open", _("Being deposited")
        VERIFIED = "verified", _("Verified")
        PUBLIC = "public", _("Public")
        REMOVED = "removed", _("Removed")

    version = models.ForeignKey(Version, models.PROTECT, related_name="deposits", verbose_name=_("version"))
    mirror = models.ForeignKey(Mirror, models.PROTECT, related_name="deposits", verbose_name=_("mirror"))
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.OPEN)
    urn = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    record_id = models.CharField(_("record"), max_length=200, blank=True)
    doi = models.CharField(_("DOI of the record"), max_length=200, blank=True)
    concept_doi = models.CharField(_("DOI of all versions"), max_length=200, blank=True)
    described_digest = models.CharField(max_length=64, blank=True, editable=False)
    described_at = models.DateTimeField(_("described at"), null=True, blank=True)
    landing_url = models.URLField(_("landing page"), max_length=600, blank=True)
    surveyed_at = models.DateTimeField(_("surveyed at"), null=True, blank=True, editable=False)
    round = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("deposit")
        verbose_name_plural = _("deposits")
        constraints = [models.UniqueConstraint(fields=["version", "mirror"], name="deposit_once_per_mirror")]

    def __str__(self) -> str:
        return f"{self.version} · {self.mirror}"


class ReplicaQuerySet(models.QuerySet["Replica"]):
    def move(self, pk: int, *, source: str, to: str, **facts: object) -> bool:
        """Change state if it is still `source`; False means that someone else moved it."""
        return self.filter(pk=pk, state=source).update(state=to, **facts) == 1

    def there(self) -> "ReplicaQuerySet":
        """Leave out what was never stored, and what we removed ourselves."""
        return self.exclude(state__in=[Replica.State.PENDING, Replica.State.REMOVED])

    def proved(self) -> "ReplicaQuerySet":
        """Give the verified copies of public versions at mirrors in service: what we have to keep good."""
        return self.filter(
            state=Replica.State.VERIFIED,
            mirror__in=Mirror.objects.in_service(),
            asset__item__version__state__in=PUBLIC,
        )


class Replica(models.Model):
    """The bytes of one Asset as held by one Mirror."""

    class State(models.TextChoices):
        PENDING = "pending", _("Waiting")
        STORED = "stored", _("Stored, not checked")
        VERIFIED = "verified", _("Verified")
        DAMAGED = "damaged", _("Damaged")
        MISSING = "missing", _("Missing")
        REMOVED = "removed", _("Removed by us")

    asset = models.ForeignKey(Asset, models.PROTECT, related_name="replicas", verbose_name=_("file"))
    mirror = models.ForeignKey(Mirror, models.PROTECT, related_name="replicas", verbose_name=_("mirror"))
    locator = models.CharField(_("locator"), max_length=700, blank=True)
    url = models.URLField(_("address"), max_length=1200, blank=True)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.PENDING)
    verified_at = models.DateTimeField(_("verified at"), null=True, blank=True)
    objects = ReplicaQuerySet.as_manager()

    class Meta:
        verbose_name = _("copy")
        verbose_name_plural = _("copies")
        permissions = [("verify_replica", "Can queue copies for re-verification")]
        constraints = [
            models.UniqueConstraint(fields=["asset", "mirror"], name="replica_once_per_mirror"),
            models.CheckConstraint(
                name="replica_verified_has_time",
                condition=~Q(state="verified") | Q(verified_at__isnull=False),
            ),
            models.CheckConstraint(
                name="replica_stored_has_locator",
                condition=Q(state="pending") | (~Q(locator="") & ~Q(url="")),
            ),
        ]
        indexes = [models.Index(fields=["state", "verified_at"], name="replica_oldest_proof")]

    def __str__(self) -> str:
        return f"{self.asset} · {self.mirror}"


class Check(models.Model):
    """One verification of one Replica. Append-only evidence.

    Levels: 0 listed, 1 size, 2 the mirror's own checksum compared with ours, 3 sampled ranges, 4 full re-read.
    """

    class Level(models.IntegerChoices):
        LISTED = 0, _("Listed")
        SIZE = 1, _("Size compared")
        CHECKSUM = 2, _("Checksum reported by the mirror")
        SAMPLED = 3, _("Sampled ranges re-read")
        FULL = 4, _("Re-read by us in full")

    class Result(models.TextChoices):
        PASSED = "passed", _("Passed")
        DAMAGED = "damaged", _("Bytes differ")
        MISSING = "missing", _("Missing")

    replica = models.ForeignKey(Replica, models.PROTECT, related_name="checks", verbose_name=_("copy"))
    level = models.PositiveSmallIntegerField(_("level"), choices=Level)
    method = models.CharField(_("method"), max_length=60)
    result = models.CharField(_("result"), max_length=7, choices=Result)
    size_seen_bytes = models.BigIntegerField(_("size seen, bytes"), null=True)
    checksum_seen = models.CharField(_("checksum seen"), max_length=80, blank=True)
    checker = models.CharField(_("checker"), max_length=60)
    at = models.DateTimeField(_("at"))

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name = _("check")
        verbose_name_plural = _("checks")
        constraints = [
            models.CheckConstraint(name="check_level_known", condition=Q(level__range=(0, 4))),
        ]
        indexes = [models.Index(fields=["replica", "-at"], name="check_newest")]

    def __str__(self) -> str:
        return f"L{self.level} {self.result} {self.at:%Y-%m-%d %H:%M}"
