"""Who rebuilds what we publish, and their signed statements about it. Statements are kept verbatim, failures too."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models import Version

DIFFERENCES_SHOWN = 10
IS_SHA256 = r"^[0-9a-f]{64}$"


@dataclass(frozen=True)
class RebuilderMove:
    """One change of a rebuilder's state: who, why, when, and through which door."""

    source: str
    to: str
    by: Any
    why: str
    at: datetime
    channel: str


class RebuilderQuerySet(models.QuerySet["Rebuilder"]):
    def move(self, pk: int, move: RebuilderMove) -> bool:
        """Change state and write the transition, if it is still `source`; False means that someone else moved it."""
        with transaction.atomic():
            if self.filter(pk=pk, state=move.source).update(state=move.to) != 1:
                return False
            RebuilderTransition.note(pk, move)
        return True


class Rebuilder(models.Model):
    """Somebody who builds our versions again on machines of their own, known by one ed25519 key.

    A new key is a new row. Whoever uses a revoked key is refused; what it signed before stays and counts no more.
    """

    class State(models.TextChoices):
        RECOGNISED = "recognised", _("Recognised")
        REVOKED = "revoked", _("Revoked")

    class Operator(models.TextChoices):
        PERSON = "person", _("A person")
        INSTITUTION = "institution", _("An institution")

    name = models.CharField(_("name shown in public"), max_length=120)
    operator_kind = models.CharField(_("who runs it"), max_length=11, choices=Operator)
    jurisdiction = models.CharField(
        _("jurisdiction"), max_length=2, help_text=_("ISO 3166-1 country code, upper-case.")
    )
    contact = models.EmailField(_("contact, never shown in public"), blank=True)
    public_key = models.TextField(_("public key (PEM)"), max_length=1000)
    keyid = models.CharField(_("key's id"), max_length=64, unique=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.RECOGNISED)
    added_at = models.DateTimeField(_("added at"))
    objects = RebuilderQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = _("rebuilder")
        verbose_name_plural = _("rebuilders")
        permissions = [("recognise_rebuilder", "Can recognise and revoke rebuilders' keys")]
        constraints = [
            models.CheckConstraint(name="rebuilder_jurisdiction_iso", condition=Q(jurisdiction__regex=r"^[A-Z]{2}$")),
            models.CheckConstraint(name="rebuilder_keyid_is_hex", condition=Q(keyid__regex=IS_SHA256)),
            models.UniqueConstraint(
                fields=["name"], condition=Q(state="recognised"), name="rebuilder_name_once_recognised"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_recognised(self) -> bool:
        return self.state == Rebuilder.State.RECOGNISED


class Channel(models.TextChoices):
    """Through which door a statement or a decision about a key came."""

    ADMIN = "admin", _("Admin")
    COMMAND = "command", _("Command")
    ENGINE = "engine", _("Durable engine")
    API = "api", _("API")
    FORM = "form", _("Public form")


class RebuilderTransition(models.Model):
    """One change of a rebuilder's state; the first one has no state before. Append-only."""

    rebuilder = models.ForeignKey(Rebuilder, models.PROTECT, related_name="transitions", verbose_name=_("rebuilder"))
    source = models.CharField(_("state before"), max_length=10, choices=Rebuilder.State, blank=True)
    to = models.CharField(_("state after"), max_length=10, choices=Rebuilder.State)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by"))
    why = models.TextField(_("reason"))
    at = models.DateTimeField(_("at"))
    channel = models.CharField(_("through"), max_length=7, choices=Channel)

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name = _("change of a rebuilder's state")
        verbose_name_plural = _("changes of rebuilders' states")

    def __str__(self) -> str:
        return f"{self.rebuilder}: {self.source or '–'} → {self.to}"

    @classmethod
    def note(cls, rebuilder_id: int, move: RebuilderMove) -> "RebuilderTransition":
        facts = {"source": move.source, "to": move.to, "by": move.by, "why": move.why, "at": move.at}
        return cls.objects.create(rebuilder_id=rebuilder_id, channel=move.channel, **facts)


class SigningKey(models.Model):
    """The public part of a key that we signed with. The private one comes from a file and is in no row."""

    keyid = models.CharField(_("key's id"), max_length=64, unique=True)
    public_key = models.TextField(_("public key (PEM)"))
    first_used_at = models.DateTimeField(_("first used at"))

    class Meta:
        ordering = ["-first_used_at"]
        verbose_name = _("key of ours")
        verbose_name_plural = _("keys of ours")

    def __str__(self) -> str:
        return self.keyid


class AttestationQuerySet(models.QuerySet["Attestation"]):
    def ours(self) -> "AttestationQuerySet":
        return self.filter(rebuilder__isnull=True)

    def newest_first(self) -> "AttestationQuerySet":
        """Give all with who made them, the newest run first; the signed texts are not read along."""
        return self.select_related("rebuilder").defer("envelope").order_by("-finished_at", "-pk")


class Attestation(models.Model):
    """One signed statement about a Version: ours (no rebuilder), or by a rebuilder about its own files. Append-only.

    `envelope` is kept byte for byte and `sha256` names it. `verdict` is what *we* found by comparing its subjects
    with the published files; `statement_sha256` is of the signed payload, so that new wrapping makes no new row.
    """

    class Verdict(models.TextChoices):
        IDENTICAL = "identical", _("Identical")
        DIFFERENT = "different", _("Different")
        FAILED = "failed", _("Failed")

    version = models.ForeignKey(Version, models.PROTECT, related_name="attestations", verbose_name=_("version"))
    rebuilder = models.ForeignKey(
        Rebuilder,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="attestations",
        verbose_name=_("rebuilder"),
    )
    keyid = models.CharField(_("key's id"), max_length=64)
    envelope = models.TextField(_("signed statement"))
    sha256 = models.CharField(max_length=64, unique=True)
    statement_sha256 = models.CharField(_("digest of the statement"), max_length=64)
    predicate_type = models.CharField(_("kind of statement"), max_length=100)
    verdict = models.CharField(_("verdict"), max_length=9, choices=Verdict)
    finding = models.TextField(_("what failed there"), blank=True)
    other_code_tree = models.CharField(
        _("git tree of its code, where it is not the published one"), max_length=40, blank=True
    )
    finished_at = models.DateTimeField(_("finished at"))
    received_at = models.DateTimeField(_("received at"))
    channel = models.CharField(_("through"), max_length=7, choices=Channel)
    objects = AttestationQuerySet.as_manager()

    class Meta:
        ordering = ["-received_at", "-pk"]
        verbose_name = _("attestation")
        verbose_name_plural = _("attestations")
        constraints = [
            models.CheckConstraint(name="attestation_sha256_is_hex", condition=Q(sha256__regex=IS_SHA256)),
            models.UniqueConstraint(fields=["keyid", "statement_sha256"], name="attestation_statement_once"),
            models.UniqueConstraint(
                fields=["version"], condition=Q(rebuilder__isnull=True), name="attestation_ours_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} · {self.rebuilder or self.keyid[:12]}"

    @property
    def first_differences(self) -> list["AttestedDifference"]:
        """Give as many of the differing files as a page names."""
        return list(self.differences.all())[:DIFFERENCES_SHOWN]

    @property
    def more_differences(self) -> int:
        return max(0, len(self.differences.all()) - DIFFERENCES_SHOWN)


class AttestedDifference(models.Model):
    """One file that did not come out there as published; an empty digest means that it was not on that side."""

    attestation = models.ForeignKey(Attestation, models.CASCADE, related_name="differences")
    path = models.CharField(_("path"), max_length=255)
    published_sha256 = models.CharField(_("published digest"), max_length=64, blank=True)
    sha256 = models.CharField(_("digest there"), max_length=64, blank=True)

    class Meta:
        ordering = ["attestation", "path"]
        verbose_name = _("differing file")
        verbose_name_plural = _("differing files")
        constraints = [
            models.UniqueConstraint(fields=["attestation", "path"], name="attested_difference_once"),
            models.CheckConstraint(
                name="attested_difference_differs", condition=~Q(sha256=models.F("published_sha256"))
            ),
        ]

    def __str__(self) -> str:
        return self.path

    @property
    def kind(self) -> str:
        """Give `different`, `missing` (published, and did not come out) or `extra`."""
        if not self.sha256:
            return "missing"
        return "different" if self.published_sha256 else "extra"
