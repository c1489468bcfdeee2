"""Who helps keep it: one torrent an Asset, volunteers' nodes, and the letters that their owners get."""

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from catalog.models import Asset, DataPackage
from swarm.nodes import DECISIONS, ENDED, LISTED, Move


class Torrent(models.Model):
    """The single-file hybrid torrent of one Asset (BEP 3 and BEP 52).

    `info` is the bencoded info dict that never changes; web seeds are wrapped around it when it is asked for.
    """

    asset = models.OneToOneField(Asset, models.PROTECT, related_name="torrent", verbose_name=_("file"))
    name = models.CharField(_("name"), max_length=255)
    infohash_v1 = models.CharField(max_length=40, db_index=True)
    infohash_v2 = models.CharField(max_length=64, db_index=True)
    info = models.BinaryField(_("info dictionary"))
    made_at = models.DateTimeField(_("made at"))

    class Meta:
        verbose_name = _("torrent")
        verbose_name_plural = _("torrents")
        constraints = [
            models.CheckConstraint(name="torrent_v1_is_hex", condition=Q(infohash_v1__regex=r"^[0-9a-f]{40}$")),
            models.CheckConstraint(name="torrent_v2_is_hex", condition=Q(infohash_v2__regex=r"^[0-9a-f]{64}$")),
        ]

    def __str__(self) -> str:
        return self.name


class Region(models.TextChoices):
    """Where a node stands: a province or territory (ISO 3166-2, lower-case), or another country."""

    AB = "ca-ab", _("Alberta")
    BC = "ca-bc", _("British Columbia")
    MB = "ca-mb", _("Manitoba")
    NB = "ca-nb", _("New Brunswick")
    NL = "ca-nl", _("Newfoundland and Labrador")
    NT = "ca-nt", _("Northwest Territories")
    NS = "ca-ns", _("Nova Scotia")
    NU = "ca-nu", _("Nunavut")
    ON = "ca-on", _("Ontario")
    PE = "ca-pe", _("Prince Edward Island")
    QC = "ca-qc", _("Quebec")
    SK = "ca-sk", _("Saskatchewan")
    YT = "ca-yt", _("Yukon")
    ABROAD = "abroad", _("Outside Canada")


class NodeQuerySet(models.QuerySet["Node"]):
    def move(self, pk: int, step: Move, **facts: object) -> bool:
        """Change state if it is still `step.source` and write the NodeTransition, in one transaction.

        False means that someone else moved it. Which moves exist is said by swarm/nodes.py.
        """
        with transaction.atomic():
            if self.filter(pk=pk, state=step.source).update(state=step.to, **facts) != 1:
                return False
            NodeTransition.note(pk, step)
        return True

    def counted(self) -> "NodeQuerySet":
        """Give the nodes that the public totals count: approved by a curator and not gone."""
        return self.filter(state__in=LISTED)

    def listed(self) -> "NodeQuerySet":
        """Give the counted nodes whose owners agreed to be listed."""
        return self.counted().filter(is_listed=True)


# What an owner can have erased, and what has rows of its own; the rest of a node's fields has a history.
KEPT_OUT_OF_HISTORY = [
    "display_name",
    "email",
    "notes",
    "state",
    "token_digest",
    "token_number",
    "token_made_at",
    "erased_at",
]


class Node(models.Model):
    """A volunteer's machine that keeps pieces. Its owner is known by an e-mail address alone, which stays private.

    `public_id` is drawn at random and is the only name that logs, jobs and history use: it stays when the owner has
    everything else erased. No package in `packages` means: whatever needs it most. Hours are by the machine's clock,
    both or none; a limit of None is no limit.
    """

    class State(models.TextChoices):
        REGISTERED = "registered", _("Registered, e-mail not confirmed")
        VERIFIED = "verified", _("Registered, e-mail confirmed")
        APPROVED = "approved", _("Joining")
        ACTIVE = "active", _("Active")
        SILENT = "silent", _("Silent")
        DRAINING = "draining", _("Leaving")
        LEFT = "left", _("Left")
        REFUSED = "refused", _("Refused")
        SUSPENDED = "suspended", _("Suspended")

    class Operator(models.TextChoices):
        PERSON = "person", _("A person")
        INSTITUTION = "institution", _("An institution")

    public_id = models.CharField(_("node"), max_length=24, unique=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.REGISTERED)
    display_name = models.CharField(_("name shown in public"), max_length=80, blank=True)
    operator_kind = models.CharField(_("who runs it"), max_length=11, choices=Operator)
    email = models.EmailField(_("e-mail"), blank=True, db_index=True)
    language = models.CharField(_("language"), max_length=2, choices=settings.LANGUAGES)
    region = models.CharField(_("region"), max_length=6, choices=Region)
    jurisdiction = models.CharField(_("jurisdiction"), max_length=2)
    quota_bytes = models.BigIntegerField(_("storage"))
    upload_limit_mbit_s = models.PositiveIntegerField(_("upload limit, Mbit/s"), null=True, blank=True)
    download_limit_mbit_s = models.PositiveIntegerField(_("download limit, Mbit/s"), null=True, blank=True)
    works_from = models.TimeField(_("works from"), null=True, blank=True)
    works_until = models.TimeField(_("works until"), null=True, blank=True)
    packages = models.ManyToManyField(DataPackage, related_name="+", blank=True, verbose_name=_("data packages"))
    is_listed = models.BooleanField(_("agreed to be listed"), default=False)
    notes = models.TextField(_("notes"), blank=True)
    token_digest = models.CharField(_("digest of the token"), max_length=64, blank=True)
    token_number = models.PositiveIntegerField(_("tokens made"), default=0)
    token_made_at = models.DateTimeField(_("token made"), null=True, blank=True)
    registered_at = models.DateTimeField(_("registered"))
    erased_at = models.DateTimeField(_("erased"), null=True, blank=True)
    history = HistoricalRecords(
        excluded_fields=KEPT_OUT_OF_HISTORY,
        m2m_fields=[packages],
        history_change_reason_field=models.TextField(null=True),
    )
    objects = NodeQuerySet.as_manager()

    class Meta:
        ordering = ["-registered_at", "-pk"]
        verbose_name = _("node")
        verbose_name_plural = _("nodes")
        permissions = [
            ("approve_node", "Can approve or refuse a node"),
            ("suspend_node", "Can suspend a node and let it back in"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["email"], condition=Q(state="registered"), name="node_one_open_registration"
            ),
            models.CheckConstraint(
                name="node_has_email_until_it_ends", condition=Q(state__in=sorted(ENDED)) | ~Q(email="")
            ),
            models.CheckConstraint(
                name="node_erased_is_blank",
                condition=Q(erased_at__isnull=True) | Q(email="", display_name="", notes="", token_digest=""),
            ),
            models.CheckConstraint(name="node_quota_positive", condition=Q(quota_bytes__gt=0)),
            models.CheckConstraint(name="node_jurisdiction_iso", condition=Q(jurisdiction__regex=r"^[A-Z]{2}$")),
            models.CheckConstraint(
                name="node_place_is_one",
                condition=Q(region="abroad") & ~Q(jurisdiction="CA") | ~Q(region="abroad") & Q(jurisdiction="CA"),
            ),
            models.CheckConstraint(
                name="node_hours_both_or_none",
                condition=Q(works_from__isnull=True, works_until__isnull=True)
                | Q(works_from__isnull=False, works_until__isnull=False),
            ),
            models.CheckConstraint(
                name="node_token_is_digest",
                condition=Q(token_digest="") | Q(token_digest__regex=r"^[0-9a-f]{64}$"),  # noqa: S106  a digest
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def word(self) -> str | Promise:
        """The state in the words of public pages, which do not tell a confirmed registration apart."""
        if self.state in {Node.State.REGISTERED, Node.State.VERIFIED}:
            return _("Registered")
        return self.get_state_display()

    @property
    def place(self) -> str:
        region = self.get_region_display()
        return f"{region} ({self.jurisdiction})" if self.region == Region.ABROAD else region


class NodeTransition(models.Model):
    """One change of a Node's state: who, when, why, and through which door. Append-only."""

    class Channel(models.TextChoices):
        WEB = "web", _("Public page")
        ADMIN = "admin", _("Admin")
        ENGINE = "engine", _("Durable engine")

    node = models.ForeignKey(Node, models.PROTECT, related_name="transitions", verbose_name=_("node"))
    source = models.CharField(_("state before"), max_length=10, choices=Node.State, blank=True)
    to = models.CharField(_("state after"), max_length=10, choices=Node.State)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("by")
    )
    at = models.DateTimeField(_("at"))
    reason = models.TextField(_("reason"), blank=True)
    channel = models.CharField(_("through"), max_length=6, choices=Channel)

    class Meta:
        ordering = ["at", "pk"]
        verbose_name = _("change of a node's state")
        verbose_name_plural = _("changes of nodes' states")

    def __str__(self) -> str:
        return f"{self.node}: {self.source} → {self.to}"

    @classmethod
    def note(cls, node_id: int, step: Move) -> None:
        cls.objects.create(
            node_id=node_id,
            source=step.source,
            to=step.to,
            by=step.by,
            at=step.at,
            channel=step.channel,
            reason=step.reason,
        )


class NodeLetter(models.Model):
    """One e-mail that the owner of a node is owed. Its text is made when it is sent and kept nowhere.

    `key` names the letter in its link and in its Message-ID; the link also needs our signature (swarm/links.py) and
    works once. A letter about a decision is that decision: who, why, and `settled_at` when it was carried out or
    dropped. `tries` counts how often it was handed to the mail server without an answer.
    """

    class Kind(models.TextChoices):
        CONFIRM = "confirm", _("Confirm the e-mail address")
        OPEN = "open", _("Link to the owner's page")
        APPROVED = "approved", _("Approved")
        REFUSED = "refused", _("Refused")
        SUSPENDED = "suspended", _("Suspended")
        REINSTATED = "reinstated", _("Let back in")

    node = models.ForeignKey(Node, models.PROTECT, related_name="letters", verbose_name=_("node"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    key = models.CharField(_("key of its link"), max_length=16, unique=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("by")
    )
    reason = models.TextField(_("reason"), blank=True)
    made_at = models.DateTimeField(_("made at"))
    tries = models.PositiveSmallIntegerField(_("attempts"), default=0)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    used_at = models.DateTimeField(_("used at"), null=True, blank=True)
    settled_at = models.DateTimeField(_("settled at"), null=True, blank=True)

    class Meta:
        ordering = ["-made_at", "-pk"]
        verbose_name = _("letter to a node's owner")
        verbose_name_plural = _("letters to nodes' owners")
        constraints = [
            models.UniqueConstraint(
                fields=["node"],
                condition=Q(kind__in=sorted(DECISIONS), settled_at__isnull=True),
                name="letter_one_open_decision",
            )
        ]

    def __str__(self) -> str:
        return f"{self.node}: {self.get_kind_display()}"

    @property
    def job_key(self) -> str:
        """The business key of the durable job that sends it, and carries it out if it is a decision."""
        if self.kind == NodeLetter.Kind.APPROVED:
            return f"register-node:{self.node.public_id}"
        return f"{'decide-node' if self.kind in DECISIONS else 'node-letter'}:{self.pk}"


class FormUse(models.Model):
    """One use of a public form, kept for a day to count by (swarm/limits.py): keyed digests, no address, no name."""

    class Form(models.TextChoices):
        REGISTER = "register"
        LINK = "link"
        ATTEST = "attest"

    form = models.CharField(max_length=8, choices=Form)
    network_digest = models.CharField(max_length=64)
    email_digest = models.CharField(max_length=64)
    at = models.DateTimeField(db_index=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.form} {self.at:%Y-%m-%d %H:%M}"
