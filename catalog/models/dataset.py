"""What exists: data packages, licences, and datasets (STAC Collections)."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords


def in_language(row: models.Model, field: str) -> str:
    """Read the `_en` or `_fr` column of a public text, by the language of the moment."""
    suffix = "fr" if get_language() == "fr" else "en"
    return str(getattr(row, f"{field}_{suffix}"))


def bbox_constraint(name: str) -> models.CheckConstraint:
    """Bound a west, south, east, north box to WGS 84; west may exceed east across the antimeridian."""
    return models.CheckConstraint(
        name=name,
        condition=Q(west__isnull=True, south__isnull=True, east__isnull=True, north__isnull=True)
        | Q(west__range=(-180, 180), east__range=(-180, 180), south__gte=-90, north__lte=90)
        & Q(south__lte=F("north")),
    )


class DataPackage(models.Model):
    """A group of datasets with one priority, such as `d4c-datapkg-orthoimagery`."""

    slug = models.SlugField(_("short name"), max_length=60, unique=True)
    title_en = models.CharField(_("title in English"), max_length=120)
    title_fr = models.CharField(_("title in French"), max_length=120)
    priority = models.PositiveSmallIntegerField(_("priority"), default=100, help_text=_("Lower comes first."))

    class Meta:
        ordering = ["priority", "slug"]
        verbose_name = _("data package")
        verbose_name_plural = _("data packages")

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        return in_language(self, "title")


class Licence(models.Model):
    """A licence under which data may be redistributed: an SPDX id, or `LicenseRef-…` where SPDX has none."""

    spdx_id = models.CharField(_("SPDX identifier"), max_length=80, unique=True)
    title_en = models.CharField(_("title in English"), max_length=160)
    title_fr = models.CharField(_("title in French"), max_length=160)
    url = models.URLField(_("address"), max_length=400)

    class Meta:
        ordering = ["spdx_id"]
        verbose_name = _("licence")
        verbose_name_plural = _("licences")

    def __str__(self) -> str:
        return self.spdx_id

    @property
    def title(self) -> str:
        return in_language(self, "title")


class Dataset(models.Model):
    """One STAC Collection. `identifier` follows the D4C file naming convention, without version.

    The columns `region` to `variant` are the parts of the identifier; composing them gives it back.
    The box is WGS 84 degrees: west, south, east, north. The folded columns are what catalog/search.py reads; whoever
    writes a text, an identifier or a place has them filled by its `fold_texts`.
    """

    class Grade(models.TextChoices):
        STRICT = "strict", _("Strict")
        LEGACY = "legacy", _("Legacy")

    class DoiProvider(models.TextChoices):
        TEST = "test", _("Test prefix")
        DATACITE = "datacite", "DataCite"
        ZENODO = "zenodo", "Zenodo"

    identifier = models.CharField(_("identifier"), max_length=200, unique=True)
    grade = models.CharField(_("grade"), max_length=6, choices=Grade, default=Grade.STRICT)
    region = models.CharField(_("region"), max_length=8, blank=True)
    source = models.CharField(max_length=80, blank=True)
    dguid = models.CharField(_("DGUID"), max_length=24, blank=True, db_index=True)
    vintage = models.CharField(_("vintage"), max_length=32, blank=True)
    variant = models.CharField(_("variant"), max_length=80, blank=True)
    package = models.ForeignKey(DataPackage, models.PROTECT, related_name="datasets", verbose_name=_("data package"))
    title_en = models.CharField(_("title in English"), max_length=200)
    title_fr = models.CharField(_("title in French"), max_length=200)
    description_en = models.TextField(_("description in English"))
    description_fr = models.TextField(_("description in French"))
    attribution_en = models.CharField(_("attribution in English"), max_length=400)
    attribution_fr = models.CharField(_("attribution in French"), max_length=400)
    keywords_en = models.TextField(_("keywords in English"), blank=True, help_text=_("One a line."))
    keywords_fr = models.TextField(_("keywords in French"), blank=True, help_text=_("One a line."))
    licence = models.ForeignKey(Licence, models.PROTECT, related_name="+", verbose_name=_("licence"))
    west = models.FloatField(_("west"), null=True, blank=True)
    south = models.FloatField(_("south"), null=True, blank=True)
    east = models.FloatField(_("east"), null=True, blank=True)
    north = models.FloatField(_("north"), null=True, blank=True)
    starts_on = models.DateField(_("begins on"), null=True, blank=True)
    ends_on = models.DateField(_("ends on"), null=True, blank=True)
    doi_provider = models.CharField(_("DOIs from"), max_length=8, choices=DoiProvider, default=DoiProvider.TEST)
    concept_doi = models.CharField(_("DOI of all versions"), max_length=200, blank=True, editable=False)
    folded_names = models.TextField(blank=True, editable=False)
    folded_texts = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(_("made at"))
    history = HistoricalRecords(
        excluded_fields=["concept_doi", "folded_names", "folded_texts"],
        history_change_reason_field=models.TextField(null=True),
    )

    class Meta:
        ordering = ["identifier"]
        verbose_name = _("dataset")
        verbose_name_plural = _("datasets")
        constraints = [
            models.CheckConstraint(
                name="dataset_strict_has_parts",
                condition=Q(grade="legacy") | (~Q(region="") & ~Q(source="") & ~Q(dguid="") & ~Q(vintage="")),
            ),
            models.CheckConstraint(
                name="dataset_time_in_order",
                condition=Q(starts_on__isnull=True) | Q(ends_on__isnull=True) | Q(starts_on__lte=F("ends_on")),
            ),
            bbox_constraint("dataset_bbox_in_wgs84"),
        ]
        indexes = [models.Index(fields=["package", "region"], name="dataset_by_package_and_place")]

    def __str__(self) -> str:
        return self.identifier

    @property
    def title(self) -> str:
        return in_language(self, "title")

    @property
    def description(self) -> str:
        return in_language(self, "description")

    @property
    def attribution(self) -> str:
        return in_language(self, "attribution")

    @property
    def keywords(self) -> list[str]:
        return in_language(self, "keywords").splitlines()


class Provider(models.Model):
    """An organisation named by a dataset, with its STAC role."""

    class Role(models.TextChoices):
        PRODUCER = "producer", _("Producer")
        LICENSOR = "licensor", _("Licensor")
        PROCESSOR = "processor", _("Processor")
        HOST = "host", _("Host")

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="providers")
    name = models.CharField(max_length=160)
    role = models.CharField(max_length=9, choices=Role)
    url = models.URLField(max_length=400, blank=True)

    class Meta:
        ordering = ["dataset", "pk"]
        constraints = [models.UniqueConstraint(fields=["dataset", "name", "role"], name="provider_once_per_role")]

    def __str__(self) -> str:
        return self.name
