"""The work behind one Version: what was asked for, who said yes, and every change of state."""

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models import Asset, Version
from releases.states import Move


class ReleaseQuerySet(models.QuerySet["Release"]):
    def move(self, pk: int, step: "Move", **facts: object) -> bool:
        """Change state if it is still `step.source` and write the Transition, in one transaction.

        False means that someone else moved it. Which moves exist is said by releases/states.py.
        """
        with transaction.atomic():
            if self.filter(pk=pk, state=step.source).update(state=step.to, **facts) != 1:
                return False
            Transition.objects.create(
                release_id=pk,
                source=step.source,
                to=step.to,
                by=step.by,
                at=step.at,
                channel=step.channel,
                reason=step.reason,
            )
        return True


class Release(models.Model):
    """One Version on its way from draft to published. Failure is a state of Job and Step, never of this row.

    `definition` is the release.toml as drafted, verbatim. `reviewed_digest` binds an approval to exactly
    what was reviewed (releases/states.py says which transitions there are).
    """

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        BUILDING = "building", _("Building")
        BUILT = "built", _("Built twice")
        IN_REVIEW = "in_review", _("In review")
        APPROVED = "approved", _("Approved")
        PUBLISHING = "publishing", _("Publishing")
        PUBLISHED = "published", _("Published")

    class Reproducibility(models.TextChoices):
        IDENTICAL = "bit-identical", _("Bit-identical")
        SAME_CONTENT = "same-content", _("Same content, different bytes")
        NOT_REBUILDABLE = "not-rebuildable", _("Not rebuildable by others")

    version = models.OneToOneField(Version, models.PROTECT, related_name="release", verbose_name=_("version"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DRAFT)
    definition = models.TextField(_("release.toml"))
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("author"))
    submitter = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("submitted by"),
    )
    reviewed_digest = models.CharField(_("digest that was reviewed"), max_length=64, blank=True)
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)
    is_confirmed = models.BooleanField(
        _("is rebuilt before publication"), default=True
    )  # policy: rebuild from the bundle before publishing
    unconfirmed_reason_en = models.TextField(_("why it is not rebuilt, in English"), blank=True)
    unconfirmed_reason_fr = models.TextField(_("why it is not rebuilt, in French"), blank=True)
    includes_sources = models.BooleanField(
        _("includes its sources"), default=True
    )  # policy: sources travel as Assets
    includes_environment = models.BooleanField(
        _("includes its environment"), default=True
    )  # policy: the image of a container travels as an Asset
    reproducibility = models.CharField(
        _("reproducibility"), max_length=15, choices=Reproducibility, default=Reproducibility.IDENTICAL
    )
    reproducibility_reason_en = models.TextField(_("why it is not bit-identical, in English"), blank=True)
    reproducibility_reason_fr = models.TextField(_("why it is not bit-identical, in French"), blank=True)
    created_at = models.DateTimeField(_("created at"))
    objects = ReleaseQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("release")
        verbose_name_plural = _("releases")
        permissions = [
            ("draft_release", "Can draft a release"),
            ("build_release", "Can build a release"),
            ("submit_release", "Can submit a release for review"),
            ("approve_release", "Can approve a release"),
            ("steer_release", "Can retry, skip and stop steps of a publication"),
        ]
        constraints = [
            models.CheckConstraint(
                name="release_reviewed_has_digest",
                condition=Q(state__in=["draft", "building", "built"]) | ~Q(reviewed_digest=""),
            ),
            models.CheckConstraint(
                name="release_reviewed_has_submitter",
                condition=Q(state__in=["draft", "building", "built"]) | Q(submitter__isnull=False),
            ),
            models.CheckConstraint(
                name="release_approved_has_time",
                condition=~Q(state__in=["approved", "publishing", "published"]) | Q(approved_at__isnull=False),
            ),
            models.CheckConstraint(
                name="release_unconfirmed_has_reason",
                condition=Q(is_confirmed=True) | (~Q(unconfirmed_reason_en="") & ~Q(unconfirmed_reason_fr="")),
            ),
            models.CheckConstraint(
                name="release_grade_has_reason",
                condition=Q(reproducibility="bit-identical")
                | (~Q(reproducibility_reason_en="") & ~Q(reproducibility_reason_fr="")),
            ),
        ]

    def __str__(self) -> str:
        return str(self.version)


class Approval(models.Model):
    """One reviewer's yes to exactly one reviewed digest. Voided by an edit, never deleted."""

    release = models.ForeignKey(Release, models.PROTECT, related_name="approvals")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reviewed_digest = models.CharField(max_length=64)
    reason = models.TextField(blank=True)
    at = models.DateTimeField()
    voided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(
                fields=["release", "by"],
                condition=Q(voided_at__isnull=True),
                name="approval_once_per_reviewer",
            )
        ]

    def __str__(self) -> str:
        return f"{self.release} · {self.by}"


class Transition(models.Model):
    """One change of a Release's state: who, when, why, and through which door. Append-only."""

    class Channel(models.TextChoices):
        ADMIN = "admin", _("Admin")
        COMMAND = "command", _("Command")
        ENGINE = "engine", _("Durable engine")

    release = models.ForeignKey(Release, models.PROTECT, related_name="transitions")
    source = models.CharField(max_length=10, blank=True)
    to = models.CharField(max_length=10)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()
    reason = models.TextField(blank=True)
    channel = models.CharField(max_length=7, choices=Channel)

    class Meta:
        ordering = ["at", "pk"]

    def __str__(self) -> str:
        return f"{self.release}: {self.source} → {self.to}"


class Recipe(models.Model):
    """How the version is made: code at an exact commit, entry point, environment definition, parameters."""

    release = models.OneToOneField(Release, models.CASCADE, related_name="recipe")
    repository = models.CharField(max_length=120)
    commit = models.CharField(max_length=40)
    entry_point = models.CharField(max_length=255)
    environment = models.CharField(max_length=255)
    parameters = models.TextField(default="{}")  # RFC 8785 JSON, handed to the recipe verbatim

    class Meta:
        constraints = [
            models.CheckConstraint(name="recipe_commit_is_exact", condition=Q(commit__regex=r"^[0-9a-f]{40}$"))
        ]

    def __str__(self) -> str:
        return f"{self.repository}@{self.commit[:12]}"


class DeclaredOutput(models.Model):
    """One file that the recipe promises to make."""

    release = models.ForeignKey(Release, models.CASCADE, related_name="outputs")
    path = models.CharField(max_length=255)
    key = models.CharField(max_length=40)
    role = models.CharField(max_length=13, choices=Asset.Role)
    media_type = models.CharField(max_length=120)

    class Meta:
        ordering = ["release", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["release", "path"], name="output_path_once"),
            models.UniqueConstraint(fields=["release", "key"], name="output_key_once"),
        ]

    def __str__(self) -> str:
        return self.path


class SourceFile(models.Model):
    """One upstream file that a release is made from, as received and kept in our storage."""

    release = models.ForeignKey(Release, models.CASCADE, related_name="sources", verbose_name=_("release"))
    name = models.CharField(_("name"), max_length=120)
    url = models.URLField(_("address"), max_length=1000)
    size_bytes = models.BigIntegerField(_("size in bytes"))
    sha256 = models.CharField(max_length=64)
    media_type = models.CharField(_("media type"), max_length=120)
    storage_key = models.CharField(_("place in our storage"), max_length=600)
    stored_at = models.DateTimeField(_("stored at"))

    class Meta:
        ordering = ["release", "name"]
        verbose_name = _("source file")
        verbose_name_plural = _("source files")
        constraints = [
            models.UniqueConstraint(fields=["release", "name"], name="source_name_once"),
            models.CheckConstraint(name="source_sha256_is_hex", condition=Q(sha256__regex=r"^[0-9a-f]{64}$")),
        ]

    def __str__(self) -> str:
        return self.name
