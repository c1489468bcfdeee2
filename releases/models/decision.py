"""Second thoughts about what is public: one person proposes, another one takes or refuses it."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from catalog.models import Dataset, Version
from catalog.models.dataset import in_language
from releases.models.release import Transition


class DecisionQuerySet(models.QuerySet["Decision"]):
    def move(self, pk: int, *, to: str, **facts: object) -> bool:
        """Answer a decision that is still proposed; False means that someone else did."""
        return self.filter(pk=pk, state=Decision.State.PROPOSED).update(state=to, **facts) == 1

    def proposed(self) -> "DecisionQuerySet":
        return self.filter(state=Decision.State.PROPOSED)

    def taken_of(self, version: Version, kind: str) -> "Decision | None":
        """Give the decision by which a version was deprecated or withdrawn."""
        people = self.select_related("proposer", "seconder", "replacement__dataset")
        return people.filter(version=version, kind=kind, state=Decision.State.TAKEN).first()


class Decision(models.Model):
    """One second thought and its answer. It is written when it is proposed and once more when it is answered.

    `version` is what is deprecated or withdrawn; a rename and a revision are about the whole dataset. Taken without
    a `seconder` means that this installation asks for no second person (DFC_APPROVERS=0).
    """

    class Kind(models.TextChoices):
        DEPRECATE = "deprecate", _("Deprecate")
        WITHDRAW = "withdraw", _("Withdraw")
        RENAME = "rename", _("Rename")
        REVISE = "revise", _("Revise texts")

    class State(models.TextChoices):
        PROPOSED = "proposed", _("Proposed")
        TAKEN = "taken", _("Taken")
        REFUSED = "refused", _("Refused")
        DROPPED = "dropped", _("Dropped")

    kind = models.CharField(_("what"), max_length=9, choices=Kind)
    dataset = models.ForeignKey(Dataset, models.PROTECT, related_name="decisions", verbose_name=_("dataset"))
    version = models.ForeignKey(
        Version, models.PROTECT, null=True, blank=True, related_name="decisions", verbose_name=_("version")
    )
    replacement = models.ForeignKey(
        Version, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("to use instead")
    )
    new_identifier = models.CharField(_("new identifier"), max_length=200, blank=True)
    reason_en = models.TextField(_("reason in English"))
    reason_fr = models.TextField(_("reason in French"))
    proposer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("proposed by")
    )
    proposed_at = models.DateTimeField(_("proposed at"))
    channel = models.CharField(_("proposed through"), max_length=7, choices=Transition.Channel)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.PROPOSED)
    seconder = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("answered by"),
    )
    decided_at = models.DateTimeField(_("answered at"), null=True, blank=True)
    answer = models.TextField(_("reason of the answer"), blank=True)
    answer_channel = models.CharField(_("answered through"), max_length=7, choices=Transition.Channel, blank=True)
    objects = DecisionQuerySet.as_manager()

    class Meta:
        ordering = ["-proposed_at", "-pk"]
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")
        permissions = [
            ("propose_decision", "Can propose to deprecate, withdraw, rename or revise"),
            ("second_decision", "Can second or refuse what somebody else proposed"),
        ]
        constraints = [
            models.CheckConstraint(
                name="decision_kind_fits",
                condition=Q(kind__in=["deprecate", "withdraw"], version__isnull=False, new_identifier="")
                | Q(kind="rename", version__isnull=True, replacement__isnull=True) & ~Q(new_identifier="")
                | Q(kind="revise", version__isnull=True, replacement__isnull=True, new_identifier=""),
            ),
            models.CheckConstraint(
                name="decision_replacement_is_another",
                condition=Q(replacement__isnull=True) | ~Q(replacement=F("version")),
            ),
            models.CheckConstraint(name="decision_has_reasons", condition=~Q(reason_en="") & ~Q(reason_fr="")),
            models.CheckConstraint(
                name="decision_answered_has_time",
                condition=Q(state="proposed", decided_at__isnull=True, seconder__isnull=True)
                | ~Q(state="proposed") & Q(decided_at__isnull=False) & ~Q(answer_channel=""),
            ),
            models.CheckConstraint(
                name="decision_seconder_is_another",
                condition=Q(seconder__isnull=True) | ~Q(seconder=F("proposer")),
            ),
            models.CheckConstraint(
                name="decision_refused_by_another",
                condition=~Q(state="refused") | Q(seconder__isnull=False) & ~Q(answer=""),
            ),
            models.UniqueConstraint(
                fields=["version", "kind"],
                condition=Q(state="proposed", version__isnull=False),
                name="decision_open_once_per_version",
            ),
            models.UniqueConstraint(
                fields=["dataset", "kind"],
                condition=Q(state="proposed", version__isnull=True),
                name="decision_open_once_per_dataset",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.subject}"

    @property
    def subject(self) -> Any:
        """What it is about: the version, or the whole dataset."""
        return self.version or self.dataset

    @property
    def reason(self) -> str:
        return in_language(self, "reason")

    @property
    def has_second_person(self) -> bool:
        return self.seconder_id is not None
