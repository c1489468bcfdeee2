"""The rows of the durable engine. They are the truth; queue messages are only hints."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Job(models.Model):
    """One run of a pipeline for one subject, for example the publication of one Release.

    `key` is the business key (`publish:<dataset>:<version>`): starting the same work twice finds the same row.
    `subject` is the primary key of the row that the work is about; the pipeline says of which model.
    """

    class State(models.TextChoices):
        OPEN = "open", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed, needs a person")
        CANCELLED = "cancelled", _("Stopped")

    key = models.CharField(_("key"), max_length=255, unique=True)
    pipeline = models.CharField(_("pipeline"), max_length=60)
    subject = models.BigIntegerField(_("number of its subject"))
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.OPEN)
    stage = models.PositiveSmallIntegerField(_("stage"), default=0)
    created_at = models.DateTimeField(_("created at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        constraints = [
            models.CheckConstraint(
                name="job_ended_has_time",
                condition=(Q(state="open") & Q(ended_at__isnull=True)) | ~Q(state="open"),
            )
        ]

    def __str__(self) -> str:
        return self.key


class Step(models.Model):
    """One unit of durable work: a registered function and an integer key, run under a lease.

    A claim raises `fence` by one; every later write carries the fence, so a worker that lost its lease
    writes nothing. `attempts` counts claims since the last retry by a person, killed workers included.
    """

    class State(models.TextChoices):
        DUE = "due", _("Waiting")
        RUNNING = "running", _("Running")
        AWAITING = "awaiting", _("Waiting for other work")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed, needs a person")
        SKIPPED = "skipped", _("Skipped")
        CANCELLED = "cancelled", _("Stopped")

    job = models.ForeignKey(Job, models.CASCADE, related_name="steps")
    stage = models.PositiveSmallIntegerField()
    position = models.PositiveIntegerField()
    function = models.CharField(max_length=120)
    subject = models.BigIntegerField()
    label = models.CharField(_("label"), max_length=255)
    is_required = models.BooleanField(default=True)
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.DUE)
    fence = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    lease_until_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField()
    woken_at = models.DateTimeField(null=True, blank=True)
    awaits = models.ForeignKey(Job, models.PROTECT, null=True, blank=True, related_name="awaited_by")
    checkpoint = models.TextField(blank=True)  # JSON of the step's own making, opaque to the engine
    done_units = models.BigIntegerField(default=0)
    total_units = models.BigIntegerField(null=True, blank=True)
    done_bytes = models.BigIntegerField(_("bytes done"), default=0)
    total_bytes = models.BigIntegerField(_("bytes in all"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True)
    skip_reason = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta:
        ordering = ["job", "stage", "position"]
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        constraints = [
            models.UniqueConstraint(fields=["job", "stage", "function", "subject"], name="step_once_per_stage"),
            models.CheckConstraint(
                name="step_running_has_lease",
                condition=~Q(state="running") | Q(lease_until_at__isnull=False),
            ),
            models.CheckConstraint(
                name="step_awaiting_has_job", condition=~Q(state="awaiting") | Q(awaits__isnull=False)
            ),
            models.CheckConstraint(
                name="step_skipped_has_reason", condition=~Q(state="skipped") | ~Q(skip_reason="")
            ),
            models.CheckConstraint(name="step_failed_has_error", condition=~Q(state="failed") | ~Q(error="")),
        ]
        indexes = [models.Index(fields=["state", "due_at"], name="step_state_due")]

    def __str__(self) -> str:
        return f"{self.job.key} · {self.label}"


class Effect(models.Model):
    """The committed intent of one call to the outside, written before the call.

    An intent without `external_id` means that the call may or may not have happened: search before calling again.
    """

    step = models.ForeignKey(Step, models.CASCADE, related_name="effects")
    name = models.CharField(max_length=80)
    intent_at = models.DateTimeField()
    external_id = models.CharField(max_length=255, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["step", "name"], name="effect_once_per_step"),
            models.CheckConstraint(
                name="effect_settled_has_id", condition=Q(settled_at__isnull=True) | ~Q(external_id="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step} · {self.name}"


class StepEvent(models.Model):
    """What happened to a step or a whole job: a failed attempt, or a person's button. Append-only."""

    class Kind(models.TextChoices):
        FAILED = "failed", _("Attempt failed")
        RETRIED = "retried", _("Retried by a person")
        SKIPPED = "skipped", _("Skipped by a person")
        STOPPED = "stopped", _("Stopped by a person")
        RESUMED = "resumed", _("Resumed by a person")

    job = models.ForeignKey(Job, models.CASCADE, related_name="events")
    step = models.ForeignKey(Step, models.CASCADE, null=True, blank=True, related_name="events")
    kind = models.CharField(max_length=7, choices=Kind)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.TextField(blank=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.step or self.job}: {self.get_kind_display()}"
