"""Upstream files on their way into our storage: what was asked for, what servers said, and what we keep."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

MOST_AT_ONCE = 64


class IngestQuerySet(models.QuerySet["Ingest"]):
    def move(self, pk: int, *, source: str, to: str, **facts: object) -> bool:
        """Change state if it is still `source`; False means that someone else moved it."""
        return self.filter(pk=pk, state=source).update(state=to, **facts) == 1


class Ingest(models.Model):
    """A set of upstream files of one dataset, which need not exist yet.

    `run` counts the jobs that were started for it. What its list is derived from (the pasted list itself, an index, a
    listing) is kept in our storage as it was at `listed_at`.
    """

    class Origin(models.TextChoices):
        URLS = "urls", _("List of addresses")
        INDEX = "index", _("Index file")
        PREFIX = "prefix", _("Listing of a folder")
        UPLOAD = "upload", _("Uploaded files")
        REPOSITORY = "repository", _("Git repository")

    class State(models.TextChoices):
        PROBING = "probing", _("Being probed")
        PROBED = "probed", _("Probed")
        FETCHING = "fetching", _("Being fetched")
        PAUSED = "paused", _("Paused")
        INCOMPLETE = "incomplete", _("Incomplete")
        DONE = "done", _("Done")

    identifier = models.CharField(_("identifier of the dataset"), max_length=255)
    package = models.CharField(_("data package"), max_length=60)
    origin = models.CharField(_("kind of origin"), max_length=10, choices=Origin)
    address = models.CharField(_("address of the index, folder or repository"), max_length=1000, blank=True)
    selection = models.TextField(_("column or query"), blank=True)
    kept_key = models.CharField(_("place of the list in our storage"), max_length=600, blank=True)
    kept_sha256 = models.CharField(_("SHA-256 of the list"), max_length=64, blank=True)
    listed_at = models.DateTimeField(_("listed at"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PROBING)
    concurrency = models.PositiveSmallIntegerField(
        _("files at the same time"),
        default=12,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_AT_ONCE)],
    )
    run = models.PositiveIntegerField(_("runs"), default=0)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("begun by"))
    created_at = models.DateTimeField(_("begun at"))
    objects = IngestQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("ingest")
        verbose_name_plural = _("ingests")
        default_permissions = ("view",)
        permissions = [("ingest_release", "May bring upstream files in")]
        constraints = [
            models.CheckConstraint(
                name="ingest_concurrency_in_bounds", condition=Q(concurrency__gte=1, concurrency__lte=MOST_AT_ONCE)
            )
        ]

    def __str__(self) -> str:
        return f"{self.identifier} #{self.pk}"


class IngestFileQuerySet(models.QuerySet["IngestFile"]):
    def kept(self) -> "IngestFileQuerySet":
        """Give the files whose bytes we keep, whatever the last attempt at them gave."""
        return self.exclude(sha256="")


class IngestFile(models.Model):
    """One upstream file. `position` is its priority: the list's order.

    `announced_*` is what its server said last, before or while the bytes came; `etag`, `last_modified`, `size_bytes`
    and the digests are of the bytes that we keep at `storage_key`. `edition` counts the contents kept so far.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        FETCHING = "fetching", _("Being fetched")
        STORED = "stored", _("Stored")
        FAILED = "failed", _("Failed, needs a person")

    class Finding(models.TextChoices):
        REACHABLE = "reachable", _("Reachable")
        DEAD = "dead", _("Dead link")
        SILENT = "silent", _("No answer")
        REFUSED = "refused", _("Refused by our rules")

    ingest = models.ForeignKey(Ingest, models.CASCADE, related_name="files", verbose_name=_("ingest"))
    position = models.PositiveIntegerField(_("priority"))
    url = models.CharField(_("address"), max_length=1000, blank=True)
    name = models.CharField(_("name"), max_length=120)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.WAITING)
    finding = models.CharField(_("finding of the probe"), max_length=9, choices=Finding, blank=True)
    http_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True, blank=True)
    media_type = models.CharField(_("media type"), max_length=120, blank=True)
    moved_to = models.CharField(_("moved for good to"), max_length=1000, blank=True)
    announced_bytes = models.BigIntegerField(_("bytes announced"), null=True, blank=True)
    announced_etag = models.CharField(_("ETag announced"), max_length=255, blank=True)
    announced_last_modified = models.CharField(_("Last-Modified announced"), max_length=60, blank=True)
    etag = models.CharField(_("ETag kept"), max_length=255, blank=True)
    last_modified = models.CharField(_("Last-Modified kept"), max_length=60, blank=True)
    size_bytes = models.BigIntegerField(_("bytes kept"), null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    md5 = models.CharField(max_length=32, blank=True)
    sha1 = models.CharField(max_length=40, blank=True)
    storage_key = models.CharField(_("place in our storage"), max_length=600, blank=True)
    edition = models.PositiveIntegerField(_("contents kept"), default=0)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    error = models.TextField(_("error"), blank=True)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    objects = IngestFileQuerySet.as_manager()

    class Meta:
        ordering = ["ingest", "position"]
        verbose_name = _("file of an ingest")
        verbose_name_plural = _("files of ingests")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["ingest", "state"], name="ingest_file_state"),
            models.Index(fields=["sha256"], name="ingest_file_sha256"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["ingest", "position"], name="ingest_position_once"),
            models.UniqueConstraint(fields=["ingest", "url"], condition=~Q(url=""), name="ingest_url_once"),
            models.CheckConstraint(
                name="ingest_file_stored_is_kept",
                condition=~Q(state="stored")
                | (~Q(sha256="") & ~Q(storage_key="") & Q(size_bytes__isnull=False) & Q(finished_at__isnull=False)),
            ),
            models.CheckConstraint(name="ingest_file_failed_has_error", condition=~Q(state="failed") | ~Q(error="")),
        ]

    def __str__(self) -> str:
        return self.name
