"""Editions of datasets: Version, its STAC Items, and their Assets with all digests."""

from django.db import models
from django.db.models import F, OuterRef, Q, Subquery
from django.utils.translation import gettext_lazy as _

from catalog.models.dataset import Dataset, bbox_constraint, in_language


class VersionQuerySet(models.QuerySet["Version"]):
    def public(self) -> "VersionQuerySet":
        """Give the versions that a public page may show, newest precedence first."""
        return self.exclude(state=Version.State.DRAFT).order_by("-precedence")

    def latest_of(self, dataset: Dataset) -> "Version | None":
        """Give the highest published precedence; a pre-release only where there is no stable one."""
        published = self.filter(dataset=dataset, state=Version.State.PUBLISHED).order_by("-precedence")
        return published.filter(prerelease="").first() or published.first()

    def before(self, version: "Version") -> "Version | None":
        """Give the version before one, by precedence, of those of its dataset that are published or deprecated."""
        offered = (Version.State.PUBLISHED, Version.State.DEPRECATED)
        older = self.filter(dataset=version.dataset_id, state__in=offered, precedence__lt=version.precedence)
        return older.order_by("-precedence").first()

    def publish(self, pk: int, *, at: object) -> bool:
        """Make a draft public; False means that it was not a draft any more."""
        return (
            self.filter(pk=pk, state=Version.State.DRAFT).update(state=Version.State.PUBLISHED, published_at=at) == 1
        )

    def move(self, pk: int, *, source: str, to: str) -> bool:
        """Change state if it is still `source`; False means that someone else moved it."""
        return self.filter(pk=pk, state=source).update(state=to) == 1

    def with_item_ids(self) -> "VersionQuerySet":
        """Read the id of each version item along, so that `item_id` asks nothing."""
        own = Item.objects.filter(version=OuterRef("pk"), tile="").values("item_id")[:1]
        return self.annotate(read_item_id=Subquery(own))

    def give_doi(self, pk: int, doi: str) -> bool:
        """Write the DOI once; False means that another one stands already."""
        return self.filter(Q(doi__isnull=True) | Q(doi=doi), pk=pk).update(doi=doi) == 1


class Version(models.Model):
    """One edition of a Dataset, numbered by SemVer 2.0.0 without build metadata.

    `state` is the public fact and the only thing that public pages ask. `precedence` sorts as SemVer does.
    """

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        PUBLISHED = "published", _("Published")
        DEPRECATED = "deprecated", _("Deprecated")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    dataset = models.ForeignKey(Dataset, models.PROTECT, related_name="versions", verbose_name=_("dataset"))
    number = models.CharField(_("number"), max_length=80)
    major = models.PositiveIntegerField(_("first number"))
    minor = models.PositiveIntegerField(_("second number"))
    patch = models.PositiveIntegerField(_("third number"))
    prerelease = models.CharField(_("pre-release"), max_length=40, blank=True)
    precedence = models.CharField(_("precedence"), max_length=200)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DRAFT)
    notes_en = models.TextField(_("notes in English"), blank=True)
    notes_fr = models.TextField(_("notes in French"), blank=True)
    doi = models.CharField(max_length=200, null=True, blank=True, unique=True)
    published_at = models.DateTimeField(_("published at"), null=True, blank=True)
    objects = VersionQuerySet.as_manager()

    class Meta:
        ordering = ["dataset", "-precedence"]
        verbose_name = _("version")
        verbose_name_plural = _("versions")
        constraints = [
            models.UniqueConstraint(fields=["dataset", "number"], name="version_number_once"),
            models.CheckConstraint(
                name="version_public_has_time", condition=Q(state="draft") | Q(published_at__isnull=False)
            ),
            models.CheckConstraint(name="version_public_has_doi", condition=Q(state="draft") | Q(doi__isnull=False)),
        ]
        indexes = [
            models.Index(fields=["dataset", "state", "precedence"], name="version_latest"),
            models.Index(fields=["dataset", "state", "published_at"], name="version_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.dataset.identifier} {self.shown}"

    @property
    def shown(self) -> str:
        """The number as people and addresses have it: `v0.1.0-beta`."""
        return f"v{self.number}"

    @property
    def year(self) -> str:
        """The year of publication, as citations have it; empty for a draft."""
        return str(self.published_at.year) if self.published_at else ""

    @property
    def item_id(self) -> str:
        """The id of the version item; it stays when the dataset is renamed."""
        return getattr(self, "read_item_id", None) or self.items.get(tile="").item_id

    @property
    def notes(self) -> str:
        return in_language(self, "notes")


class Item(models.Model):
    """One STAC Item: the version item (`tile` is empty), or one tile of it.

    `footprint_wkb` is a WGS 84 geometry as WKB, longitude before latitude; the box is west, south, east, north.
    """

    version = models.ForeignKey(Version, models.CASCADE, related_name="items")
    item_id = models.CharField(max_length=300, unique=True)
    tile = models.CharField(max_length=80, blank=True)
    footprint_wkb = models.BinaryField()
    west = models.FloatField()
    south = models.FloatField()
    east = models.FloatField()
    north = models.FloatField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        ordering = ["version", "tile"]
        constraints = [
            models.UniqueConstraint(fields=["version", "tile"], name="item_once_per_tile"),
            models.CheckConstraint(name="item_time_in_order", condition=Q(starts_at__lte=F("ends_at"))),
            bbox_constraint("item_bbox_in_wgs84"),
        ]

    def __str__(self) -> str:
        return self.item_id


class ItemLink(models.Model):
    """Something of an Item that we do not hold: a STAC link such as `via`, never an Asset."""

    item = models.ForeignKey(Item, models.CASCADE, related_name="links")
    rel = models.CharField(max_length=40)
    href = models.URLField(max_length=1000)
    media_type = models.CharField(max_length=120)
    title_en = models.CharField(max_length=200)
    title_fr = models.CharField(max_length=200)

    class Meta:
        ordering = ["item", "pk"]
        constraints = [models.UniqueConstraint(fields=["item", "rel", "href"], name="item_link_once")]

    def __str__(self) -> str:
        return f"{self.rel} {self.href}"


def digest_constraint(field: str, length: int, name: str) -> models.CheckConstraint:
    return models.CheckConstraint(name=name, condition=Q(**{f"{field}__regex": rf"^[0-9a-f]{{{length}}}$"}))


class Asset(models.Model):
    """One published file with its digests. Created only by the step that seals it, never updated."""

    class Role(models.TextChoices):
        DATA = "data", _("Data")
        OVERVIEW = "overview", _("Overview")
        THUMBNAIL = "thumbnail", _("Thumbnail")
        METADATA = "metadata", _("Metadata")
        SOURCE = "source", _("Source file")
        ENVIRONMENT = "environment", _("Environment")
        SOURCE_BUNDLE = "source-bundle", _("Source bundle")

    item = models.ForeignKey(Item, models.PROTECT, related_name="assets", verbose_name=_("STAC Item"))
    key = models.CharField(_("key"), max_length=40)
    role = models.CharField(_("role"), max_length=13, choices=Role)
    path = models.CharField(_("path"), max_length=255)
    media_type = models.CharField(_("media type"), max_length=120)
    size_bytes = models.BigIntegerField(_("size in bytes"))
    sha256 = models.CharField(max_length=64, db_index=True)
    sha1 = models.CharField(max_length=40)
    md5 = models.CharField(max_length=32)
    storage_key = models.CharField(_("place in our storage"), max_length=600)
    sealed_at = models.DateTimeField(_("sealed at"))

    class Meta:
        ordering = ["item", "pk"]
        verbose_name = _("file")
        verbose_name_plural = _("files")
        constraints = [
            models.UniqueConstraint(fields=["item", "key"], name="asset_key_once_per_item"),
            models.UniqueConstraint(fields=["item", "path"], name="asset_path_once_per_item"),
            models.CheckConstraint(name="asset_size_not_negative", condition=Q(size_bytes__gte=0)),
            digest_constraint("sha256", 64, "asset_sha256_is_hex"),
            digest_constraint("sha1", 40, "asset_sha1_is_hex"),
            digest_constraint("md5", 32, "asset_md5_is_hex"),
        ]
        indexes = [
            models.Index(fields=["sha1"], name="asset_by_sha1"),
            models.Index(fields=["md5"], name="asset_by_md5"),
        ]

    def __str__(self) -> str:
        return self.path


class PieceTable(models.Model):
    """The BitTorrent hashes of one Asset, kept apart because they can be megabytes.

    `v1` is 20 bytes a piece (BEP 3), `v2_root` 32 bytes and `v2_layer` 32 bytes a piece (BEP 52);
    the layer is empty when the file is at most one piece. A file of 0 bytes has no row.
    """

    asset = models.OneToOneField(Asset, models.CASCADE, related_name="pieces")
    piece_length = models.PositiveIntegerField()
    v1 = models.BinaryField()
    v2_root = models.BinaryField()
    v2_layer = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.asset} ({self.piece_length} B)"
