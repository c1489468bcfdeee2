"""Mirrors: the registry, what is to be kept where, and whether a mirror answers."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from catalog.models import DataPackage, Dataset

OWN_SLUG = "origin"


@dataclass(frozen=True)
class MirrorMove:
    """One change of a mirror's state; `by` is empty where no person made it."""

    source: str
    to: str
    why: str
    at: datetime
    by: Any = None


class MirrorQuerySet(models.QuerySet["Mirror"]):
    def move(self, pk: int, move: MirrorMove) -> bool:
        """Change state and write the transition, if it is still `source`; False means that someone else moved it."""
        with transaction.atomic():
            if self.filter(pk=pk, state=move.source).update(state=move.to) != 1:
                return False
            MirrorTransition.objects.create(
                mirror_id=pk, source=move.source, to=move.to, why=move.why, by=move.by, at=move.at
            )
        return True

    def in_service(self) -> "MirrorQuerySet":
        """Give the mirrors that we look after: enabled, and not paused by their operator."""
        return self.filter(is_enabled=True).exclude(state=Mirror.State.PAUSED)


class Mirror(models.Model):
    """One place that keeps our bytes and serves them. Credentials come from the environment, by slug.

    What a kind has no use for stays empty: bucket, prefix, region, addressing, storage class, checksum and part size
    are those of S3.

    `is_enabled` is our decision; `state` is what the newest probe found, or that its operator paused it.
    """

    class State(models.TextChoices):
        ANSWERS = "answers", _("Answers")
        SILENT = "silent", _("No answer")
        PAUSED = "paused", _("Paused by operator")

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

    class Addressing(models.TextChoices):
        AUTO = "auto", _("As the service prefers")
        PATH = "path", _("Bucket in the path")
        VIRTUAL = "virtual", _("Bucket in the host name")

    class UploadChecksum(models.TextChoices):
        SHA256 = "sha256", "SHA-256"
        MD5 = "md5", "MD5"

    slug = models.SlugField(_("short name"), max_length=40, unique=True)
    name = models.CharField(_("name"), max_length=120)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    operator = models.CharField(_("operator"), max_length=120)
    jurisdiction = models.CharField(
        _("jurisdiction"), max_length=2, help_text=_("ISO 3166-1 country code, upper-case.")
    )
    location = models.CharField(_("location"), max_length=120, blank=True)
    tier = models.CharField(_("tier"), max_length=12, choices=Tier, default=Tier.PRIMARY)
    endpoint = models.CharField(
        _("endpoint"),
        max_length=400,
        help_text=_("For a local mirror its directory, else the address of the service."),
    )
    public_url = models.URLField(
        _("public address"), max_length=400, help_text=_("Base address of its files, without a slash at the end.")
    )
    bucket = models.CharField(_("bucket"), max_length=120, blank=True)
    prefix = models.CharField(
        _("prefix"), max_length=200, blank=True, help_text=_("Stands before every key; ends in a slash, or is empty.")
    )
    region = models.CharField(_("region"), max_length=60, blank=True)
    addressing = models.CharField(_("addressing"), max_length=7, choices=Addressing, default=Addressing.AUTO)
    storage_class = models.CharField(_("storage class"), max_length=40, blank=True)
    upload_checksum = models.CharField(
        _("checksum of uploads"), max_length=6, choices=UploadChecksum, default=UploadChecksum.SHA256
    )
    part_mib = models.PositiveIntegerField(
        _("part size in MiB"), default=64, help_text=_("Of large files; it grows with the file where it has to.")
    )
    collection = models.CharField(
        _("collection or community"),
        max_length=120,
        blank=True,
        help_text=_("Of the Internet Archive, or of Zenodo; empty where there is none."),
    )
    settle_s = models.PositiveIntegerField(
        _("settle time in seconds"),
        default=30,
        help_text=_("How long what was made there may stay unseen; nothing is made a second time before."),
    )
    is_sandbox = models.BooleanField(
        _("is a sandbox"), default=False, help_text=_("What lies there is for trials and counts as no copy.")
    )
    owner_email = models.EmailField(
        _("operator's e-mail"), blank=True, help_text=_("Private. Told before the mirror is disabled.")
    )
    cost_per_gb_month = models.DecimalField(
        _("cost of a gigabyte and month"), max_digits=8, decimal_places=4, null=True, blank=True
    )
    capacity_bytes = models.BigIntegerField(
        _("capacity in bytes"),
        null=True,
        blank=True,
        help_text=_("What the operator gives us; empty where there is no limit."),
    )
    daily_read_bytes = models.BigIntegerField(
        _("bytes read again in a day"),
        null=True,
        blank=True,
        help_text=_("How much is read again by itself; empty for the usual (DFC_RECHECK_GIB), 0 for nothing."),
    )
    has_range = models.BooleanField(_("answers ranges"), default=True)
    has_cors = models.BooleanField(_("answers browsers (CORS)"), default=True)
    offers_web_seed = models.BooleanField(_("offers web seeds"), default=True)
    is_enabled = models.BooleanField(_("is enabled"), default=True)
    ends_on = models.DateField(_("goes out of service on"), null=True, blank=True, editable=False)
    end_reason = models.TextField(_("reason of the end"), blank=True, editable=False)
    state = models.CharField(_("state"), max_length=7, choices=State, default=State.ANSWERS, editable=False)
    added_at = models.DateTimeField(_("added at"))
    history = HistoricalRecords(excluded_fields=["state"], history_change_reason_field=models.TextField(null=True))
    objects = MirrorQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        verbose_name = _("mirror")
        verbose_name_plural = _("mirrors")
        permissions = [
            ("pause_mirror", "Can pause and resume mirrors"),
            ("adopt_mirror", "Can adopt what lies at mirrors"),
            ("examine_mirror", "Can examine mirrors"),
        ]
        constraints = [
            models.CheckConstraint(name="mirror_jurisdiction_iso", condition=Q(jurisdiction__regex=r"^[A-Z]{2}$")),
            models.CheckConstraint(
                name="mirror_capacity_not_negative",
                condition=Q(capacity_bytes__isnull=True) | Q(capacity_bytes__gte=0),
            ),
            models.CheckConstraint(
                name="mirror_daily_read_not_negative",
                condition=Q(daily_read_bytes__isnull=True) | Q(daily_read_bytes__gte=0),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_own(self) -> bool:
        """Whether this is our own storage, whose bytes prove nothing about themselves."""
        return self.slug == OWN_SLUG


class MirrorTransition(models.Model):
    """One change of a mirror's state. Append-only."""

    mirror = models.ForeignKey(Mirror, models.PROTECT, related_name="transitions", verbose_name=_("mirror"))
    source = models.CharField(_("state before"), max_length=7, choices=Mirror.State)
    to = models.CharField(_("state after"), max_length=7, choices=Mirror.State)
    why = models.TextField(_("reason"), blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("by")
    )
    at = models.DateTimeField(_("at"))

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name = _("change of a mirror's state")
        verbose_name_plural = _("changes of mirrors' states")

    def __str__(self) -> str:
        return f"{self.mirror}: {self.source} → {self.to}"


class MirrorProbe(models.Model):
    """One look at a mirror as a client sees it, by one of its copies. Kept for some days; MirrorDay sums them up.

    `latency_ms` is the time to the last byte of a short range; empty where nothing answered.
    """

    class Result(models.TextChoices):
        PASSED = "passed", _("Answered")
        FAILED = "failed", _("No answer")
        UNASKED = "unasked", _("Not asked")

    mirror = models.ForeignKey(Mirror, models.PROTECT, related_name="probes", verbose_name=_("mirror"))
    url = models.URLField(_("address"), max_length=1200, blank=True)
    result = models.CharField(_("result"), max_length=7, choices=Result)
    finding = models.TextField(_("finding"), blank=True)
    latency_ms = models.PositiveIntegerField(_("latency in ms"), null=True, blank=True)
    checker = models.CharField(_("checker"), max_length=60)
    at = models.DateTimeField(_("at"))

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name = _("probe")
        verbose_name_plural = _("probes")
        indexes = [models.Index(fields=["mirror", "-at"], name="probe_newest")]

    def __str__(self) -> str:
        return f"{self.mirror} {self.result} {self.at:%Y-%m-%d %H:%M}"


class MirrorDayQuerySet(models.QuerySet["MirrorDay"]):
    def note(self, probe: MirrorProbe) -> None:
        """Count one probe to its day in UTC."""
        day: date = probe.at.date()
        row, _made = self.get_or_create(mirror=probe.mirror, on=day)
        passed = int(probe.result == MirrorProbe.Result.PASSED)
        self.filter(pk=row.pk).update(probes=F("probes") + 1, passed=F("passed") + passed)

    def charge(self, mirror_id: int, on: date, size_bytes: int) -> None:
        """Add bytes to what was read of a mirror on a day in UTC; less than nothing gives back what was not read."""
        row, _made = self.get_or_create(mirror_id=mirror_id, on=on)
        self.filter(pk=row.pk).update(read_bytes=F("read_bytes") + size_bytes)


class MirrorDay(models.Model):
    """How many probes of a mirror were made on one day in UTC, how many of them it answered, and what was read of it.

    `read_bytes` is what looks at copies have read (mirrors/checks/budget.py).
    """

    mirror = models.ForeignKey(Mirror, models.PROTECT, related_name="days")
    on = models.DateField()
    probes = models.PositiveIntegerField(default=0)
    passed = models.PositiveIntegerField(default=0)
    read_bytes = models.BigIntegerField(default=0, db_default=0)
    objects = MirrorDayQuerySet.as_manager()

    class Meta:
        ordering = ["mirror", "on"]
        constraints = [
            models.UniqueConstraint(fields=["mirror", "on"], name="mirror_day_once"),
            models.CheckConstraint(name="mirror_day_passed_counted", condition=Q(passed__lte=F("probes"))),
        ]

    def __str__(self) -> str:
        return f"{self.mirror} {self.on}: {self.passed}/{self.probes}"


class Policy(models.Model):
    """Which datasets go to a mirror: one dataset, one package, or (both empty) all of them."""

    mirror = models.ForeignKey(Mirror, models.CASCADE, related_name="policies", verbose_name=_("mirror"))
    package = models.ForeignKey(
        DataPackage, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("data package")
    )
    dataset = models.ForeignKey(
        Dataset, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("dataset")
    )
    is_required = models.BooleanField(_("is required"), default=True)
    history = HistoricalRecords(history_change_reason_field=models.TextField(null=True))

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
