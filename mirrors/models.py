"""Where it is kept: mirrors, deposits, replicas, and every check of them."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models import Asset, DataPackage, Dataset, Version


class Mirror(models.Model):
    """One place that keeps our bytes and serves them. Credentials come from the environment, by slug."""

    class Kind(models.TextChoices):
        LOCAL = "local", _("Local directory")
        S3 = "s3", "S3"
        ZENODO = "zenodo", "Zenodo"
        INTERNET_ARCHIVE = "internet_archive", "Internet Archive"

    class Tier(models.TextChoices):
        PRIMARY = "primary", _("Primary")
        PRESERVATION = "preservation", _("Preservation")
        STRATEGIC = "strategic", _("Strategic")
        COMMUNITY = "community", _("Community")

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=Kind)
    operator = models.CharField(max_length=120)
    jurisdiction = models.CharField(max_length=2, help_text=_("ISO 3166-1 country code, upper-case."))
    location = models.CharField(max_length=120, blank=True)
    tier = models.CharField(max_length=12, choices=Tier, default=Tier.PRIMARY)
    endpoint = models.CharField(max_length=400, help_text=_("For a local mirror: its directory."))
    public_url = models.URLField(
        max_length=400, help_text=_("Base address of its files, without a slash at the end.")
    )
    has_range = models.BooleanField(default=True)
    has_cors = models.BooleanField(default=True)
    offers_web_seed = models.BooleanField(default=True)
    is_enabled = models.BooleanField(default=True)
    added_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        verbose_name = _("mirror")
        verbose_name_plural = _("mirrors")
        constraints = [
            models.CheckConstraint(name="mirror_jurisdiction_iso", condition=Q(jurisdiction__regex=r"^[A-Z]{2}$"))
        ]

    def __str__(self) -> str:
        return self.name


class Policy(models.Model):
    """Which datasets go to a mirror: one dataset, one package, or (both empty) all of them."""

    mirror = models.ForeignKey(Mirror, models.CASCADE, related_name="policies")
    package = models.ForeignKey(DataPackage, models.PROTECT, null=True, blank=True, related_name="+")
    dataset = models.ForeignKey(Dataset, models.PROTECT, null=True, blank=True, related_name="+")
    is_required = models.BooleanField(default=True)

    class Meta:
        ordering = ["mirror", "pk"]
        verbose_name = _("policy")
        verbose_name_plural = _("policies")
        constraints = [
            models.CheckConstraint(
                name="policy_one_scope", condition=Q(package__isnull=True) | Q(dataset__isnull=True)
            ),
            models.UniqueConstraint(
                fields=["mirror", "package"], condition=Q(package__isnull=False), name="policy_once_per_package"
            ),
            models.UniqueConstraint(
                fields=["mirror", "dataset"], condition=Q(dataset__isnull=False), name="policy_once_per_dataset"
            ),
            models.UniqueConstraint(
                fields=["mirror"],
                condition=Q(package__isnull=True, dataset__isnull=True),
                name="policy_once_for_all",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.mirror}: {self.dataset or self.package or '*'}"


class Deposit(models.Model):
    """One Version on one Mirror."""

    class State(models.TextChoices):
        OPEN = "open", _("Being deposited")
        VERIFIED = "verified", _("Verified")
        PUBLIC = "public", _("Public")

    version = models.ForeignKey(Version, models.PROTECT, related_name="deposits")
    mirror = models.ForeignKey(Mirror, models.PROTECT, related_name="deposits")
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    record_id = models.CharField(max_length=200, blank=True)
    landing_url = models.URLField(max_length=600, blank=True)
    created_at = models.DateTimeField()

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

    def offered(self) -> "ReplicaQuerySet":
        """Give the replicas that people may be sent to: verified, on an enabled mirror, of a public version."""
        return self.filter(
            state=Replica.State.VERIFIED,
            mirror__is_enabled=True,
            asset__item__version__state__in=[Version.State.PUBLISHED, Version.State.DEPRECATED],
        )


class Replica(models.Model):
    """The bytes of one Asset as held by one Mirror."""

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        STORED = "stored", _("Stored, not verified")
        VERIFIED = "verified", _("Verified")
        DAMAGED = "damaged", _("Damaged")
        MISSING = "missing", _("Missing")

    asset = models.ForeignKey(Asset, models.PROTECT, related_name="replicas")
    mirror = models.ForeignKey(Mirror, models.PROTECT, related_name="replicas")
    locator = models.CharField(max_length=700, blank=True)
    url = models.URLField(max_length=1200, blank=True)
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    verified_at = models.DateTimeField(null=True, blank=True)
    objects = ReplicaQuerySet.as_manager()

    class Meta:
        verbose_name = _("copy")
        verbose_name_plural = _("copies")
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

    replica = models.ForeignKey(Replica, models.PROTECT, related_name="checks")
    level = models.PositiveSmallIntegerField(choices=Level)
    method = models.CharField(max_length=60)
    result = models.CharField(max_length=7, choices=Result)
    size_seen_bytes = models.BigIntegerField(null=True)
    checksum_seen = models.CharField(max_length=80, blank=True)
    checker = models.CharField(max_length=60)
    at = models.DateTimeField()

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
