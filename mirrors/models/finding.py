"""What was found at a mirror: which of our files lie there already, and what its service can do."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from catalog.models import Version
from mirrors.models.mirror import Mirror
from releases.models import Job


class Adoption(models.Model):
    """One time that a person let us take what a mirror has of our public versions. Append-only.

    `job` is empty once the engine has forgotten a job that ended well; the findings stay.
    """

    mirror = models.ForeignKey(Mirror, models.PROTECT, related_name="adoptions", verbose_name=_("mirror"))
    job = models.OneToOneField(Job, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("job"))
    versions = models.PositiveIntegerField(_("versions to look at"))
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by"))
    asked_at = models.DateTimeField(_("asked at"))

    class Meta:
        ordering = ["-asked_at", "-pk"]
        verbose_name = _("adoption")
        verbose_name_plural = _("adoptions")
        indexes = [models.Index(fields=["mirror", "-asked_at"], name="adoption_newest")]

    def __str__(self) -> str:
        return f"{self.mirror} {self.asked_at:%Y-%m-%d %H:%M}"


class AdoptionFinding(models.Model):
    """What became of one file at a mirror, or (no `path`) of a whole version; `where` is the mirror's name for it."""

    class Result(models.TextChoices):
        ADOPTED = "adopted", _("Adopted")
        KNOWN = "known before", _("Known before")
        MISSING = "missing there", _("Missing there")
        OTHER = "other bytes", _("Other bytes")
        UNKNOWN = "unknown file", _("Unknown file")
        FOREIGN = "foreign record", _("Foreign record")
        DRAFT = "not public", _("Not public there")
        ABSENT = "nothing there", _("Nothing there")

    adoption = models.ForeignKey(Adoption, models.CASCADE, related_name="findings", verbose_name=_("adoption"))
    version = models.ForeignKey(Version, models.PROTECT, related_name="+", verbose_name=_("version"))
    path = models.TextField(_("file"), blank=True)
    result = models.CharField(_("result"), max_length=14, choices=Result)
    where = models.TextField(_("place there"), blank=True)
    found_at = models.DateTimeField(_("found at"))

    class Meta:
        ordering = ["-found_at", "pk"]
        verbose_name = _("finding of an adoption")
        verbose_name_plural = _("findings of adoptions")

    def __str__(self) -> str:
        return f"{self.version} {self.path}: {self.get_result_display()}"


class ExaminationQuerySet(models.QuerySet["Examination"]):
    def newest(self) -> "ExaminationQuerySet":
        """Give the newest examination of each mirror."""
        later = self.model.objects.filter(mirror=models.OuterRef("mirror")).order_by("-examined_at", "-pk")
        return self.filter(pk=models.Subquery(later.values("pk")[:1]))


class Examination(models.Model):
    """One time that a mirror's service was tried, with its worst finding as result.

    Kept are the newest, and each whose outcome was not that of the one before.
    """

    class Result(models.TextChoices):
        GOOD = "good", _("Good")
        WEAK = "weak", _("Works, with less")
        BAD = "bad", _("Cannot be used so")

    mirror = models.ForeignKey(Mirror, models.PROTECT, related_name="examinations", verbose_name=_("mirror"))
    result = models.CharField(_("result"), max_length=4, choices=Result)
    examined_at = models.DateTimeField(_("examined at"))
    objects = ExaminationQuerySet.as_manager()

    class Meta:
        ordering = ["-examined_at", "-pk"]
        verbose_name = _("examination")
        verbose_name_plural = _("examinations")
        indexes = [models.Index(fields=["mirror", "-examined_at"], name="examination_newest")]

    def __str__(self) -> str:
        return f"{self.mirror} {self.examined_at:%Y-%m-%d %H:%M}"

    def outcome(self) -> dict[str, str]:
        """Give each thing that was tried and what came of it; sentences differ from time to time, this does not."""
        return dict(self.findings.values_list("what", "result"))


class ExaminationFinding(models.Model):
    """What one try at a mirror's service gave."""

    examination = models.ForeignKey(
        Examination, models.CASCADE, related_name="findings", verbose_name=_("examination")
    )
    what = models.CharField(_("what was tried"), max_length=20)
    result = models.CharField(_("result"), max_length=4, choices=Examination.Result)
    finding = models.TextField(_("finding"), blank=True)

    class Meta:
        ordering = ["examination", "pk"]
        verbose_name = _("finding of an examination")
        verbose_name_plural = _("findings of examinations")
        constraints = [models.UniqueConstraint(fields=["examination", "what"], name="finding_once_per_examination")]

    def __str__(self) -> str:
        return f"{self.what}: {self.get_result_display()}"
