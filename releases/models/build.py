"""Manifests, and what came out when they were executed."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.say import say
from releases.builds.drift import worded
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


class EnvironmentImage(models.Model):
    """The container image that one Containerfile of one tree of code gave, kept in our storage as an archive.

    It is made once: from then on every build of that code runs in these bytes, loaded from the archive.
    """

    code_tree = models.CharField(_("tree of the code"), max_length=40)
    path = models.CharField(_("path of the Containerfile"), max_length=255)
    image_id = models.CharField(_("id of the image"), max_length=64)
    platform = models.CharField(_("platform"), max_length=40)
    engine = models.CharField(_("container engine"), max_length=80)
    bases = models.TextField(_("base images"), blank=True)  # name@sha256:digest, one a line
    packages = models.TextField(_("packages"), blank=True)  # one a line, sorted; their sha256 is in the manifest
    archive_sha256 = models.CharField(_("digest of the archive"), max_length=64)
    size_bytes = models.BigIntegerField(_("size in bytes"))
    storage_key = models.CharField(_("place in our storage"), max_length=600)
    built_at = models.DateTimeField(_("built at"))

    class Meta:
        ordering = ["-built_at"]
        verbose_name = _("environment image")
        verbose_name_plural = _("environment images")
        constraints = [
            models.UniqueConstraint(fields=["code_tree", "path"], name="image_once_per_definition"),
            models.CheckConstraint(name="image_id_is_hex", condition=Q(image_id__regex=r"^[0-9a-f]{64}$")),
            models.CheckConstraint(name="image_archive_is_hex", condition=Q(archive_sha256__regex=r"^[0-9a-f]{64}$")),
        ]

    def __str__(self) -> str:
        return f"{self.path}: {self.image_id[:12]}"


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
        SAME_CONTENT = "content", _("Same content")
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


class Difference(models.Model):
    """One file that the two builds of a round did not give alike, and what is known of why.

    `report` is diffoscope's, cut at its end; `without_report` says why there is none.
    """

    build = models.ForeignKey(Build, models.CASCADE, related_name="differences", verbose_name=_("build"))
    path = models.CharField(_("path"), max_length=255)
    offset = models.BigIntegerField(_("first byte that differs"))
    is_same_content = models.BooleanField(_("has the same content"), default=False)
    report = models.TextField(_("report"), blank=True)
    without_report = models.CharField(_("why there is no report"), max_length=400, blank=True)
    explained_at = models.DateTimeField(_("explained at"), null=True, blank=True)

    class Meta:
        ordering = ["build", "path"]
        verbose_name = _("difference between builds")
        verbose_name_plural = _("differences between builds")
        constraints = [models.UniqueConstraint(fields=["build", "path"], name="difference_once")]

    def __str__(self) -> str:
        return self.path


class KnownCause(models.Model):
    """One known cause of a difference; releases/builds/drift.py has its sentence with the switch that fixes it."""

    difference = models.ForeignKey(
        Difference, models.CASCADE, related_name="causes", verbose_name=_("difference between builds")
    )
    cause = models.CharField(_("known cause"), max_length=40)
    found = models.CharField(_("what shows it"), max_length=400, blank=True)

    class Meta:
        ordering = ["difference", "pk"]
        verbose_name = _("known cause")
        verbose_name_plural = _("known causes")

    def __str__(self) -> str:
        return self.cause

    @property
    def remedy(self) -> str:
        """Say the cause and the switch that fixes it, in the language of the moment."""
        return say(worded(self.cause))


class Finding(models.Model):
    """One thing that an inspection found in a source or output of the newest build, shown to the reviewer.

    `found` and `instead` are the facts of its sentence, which releases/reviews/findings.py finds for each `code`;
    `place` is the column, or the field of release.toml, that it is about.
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
