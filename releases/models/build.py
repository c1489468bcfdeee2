"""Manifests, and what came out when they were executed."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from releases.models.release import Release


class Manifest(models.Model):
    """A locked recipe: RFC 8785 JSON in the shape of SLSA's buildDefinition. Its sha256 is its name."""

    sha256 = models.CharField(max_length=64, unique=True)
    body = models.TextField(_("text"))  # a foreign document, kept verbatim: hashing it gives `sha256`
    locked_at = models.DateTimeField(_("locked at"))

    class Meta:
        ordering = ["-locked_at"]
        verbose_name = _("manifest")
        verbose_name_plural = _("manifests")
        constraints = [
            models.CheckConstraint(name="manifest_sha256_is_hex", condition=Q(sha256__regex=r"^[0-9a-f]{64}$"))
        ]

    def __str__(self) -> str:
        return self.sha256


class Build(models.Model):
    """One execution of a Manifest for a Release.

    Round 1, 2, … of the same release replace each other while it is a draft; `number` counts within a round.
    """

    class Purpose(models.TextChoices):
        REVIEW = "review", _("Before review")
        CONFIRM = "confirm", _("From the source bundle")

    class State(models.TextChoices):
        RUNNING = "running", _("Running")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")

    class Verdict(models.TextChoices):
        FIRST = "first", _("First")
        IDENTICAL = "identical", _("Identical")
        DIFFERENT = "different", _("Different")
        FAILED = "failed", _("Failed")

    release = models.ForeignKey(Release, models.PROTECT, related_name="builds", verbose_name=_("release"))
    manifest = models.ForeignKey(Manifest, models.PROTECT, related_name="builds", verbose_name=_("manifest"))
    purpose = models.CharField(_("purpose"), max_length=7, choices=Purpose)
    round = models.PositiveSmallIntegerField(_("round"))
    number = models.PositiveSmallIntegerField(_("number"))
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.RUNNING)
    verdict = models.CharField(_("verdict"), max_length=9, choices=Verdict, blank=True)
    executor = models.CharField(_("executor"), max_length=20, blank=True)
    # What really confined the process, in words.
    isolation = models.CharField(_("isolation"), max_length=200, blank=True)
    environment_sha256 = models.CharField(_("digest of its environment"), max_length=64, blank=True)
    log = models.TextField(_("log"), blank=True)  # the last 200 KiB of the recipe's own output
    finding = models.TextField(_("what was found"), blank=True)  # why it failed or which files differ, as a sentence
    started_at = models.DateTimeField(_("started at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta:
        ordering = ["release", "round", "purpose", "number"]
        verbose_name = _("build")
        verbose_name_plural = _("builds")
        constraints = [
            models.UniqueConstraint(fields=["release", "round", "purpose", "number"], name="build_once_per_number"),
            models.CheckConstraint(
                name="build_ended_has_verdict",
                condition=Q(state="running") | (~Q(verdict="") & Q(ended_at__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.release} · {self.get_purpose_display()} {self.number}"


class BuildOutput(models.Model):
    """One file that a build made, with its digests from one pass."""

    build = models.ForeignKey(Build, models.CASCADE, related_name="outputs")
    path = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    sha1 = models.CharField(max_length=40)
    md5 = models.CharField(max_length=32)

    class Meta:
        ordering = ["build", "path"]
        constraints = [models.UniqueConstraint(fields=["build", "path"], name="build_output_once")]

    def __str__(self) -> str:
        return self.path


class Finding(models.Model):
    """One thing that an inspection found in a source or output of the newest build, shown to the reviewer.

    `found` and `instead` are the facts of its sentence, which releases/findings.py finds for each `code`; `place` is
    the column, or the field of release.toml, that it is about.
    """

    class Severity(models.TextChoices):
        ERROR = "error", _("Error")
        WARNING = "warning", _("Warning")
        NOTE = "note", _("Note")

    release = models.ForeignKey(Release, models.CASCADE, related_name="findings")
    file = models.CharField(max_length=255)
    is_source = models.BooleanField()
    code = models.CharField(max_length=40)
    severity = models.CharField(max_length=7, choices=Severity)
    place = models.CharField(max_length=255, blank=True)
    found = models.CharField(max_length=255, blank=True)
    instead = models.CharField(max_length=255, blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["release", "-is_source", "file", "pk"]

    def __str__(self) -> str:
        return f"{self.file}: {self.code}"
