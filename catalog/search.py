"""Find datasets by what people arrive with: words, a place, an identifier, a DGUID, a DOI or a digest.

A word is found at the beginning of a word of the names (titles, identifier, keywords, places, the data package) or of
the longer texts, in both languages whatever the language of the page. Both sides are folded (catalog/folding.py), so
that no database needs to know of accents. Every word has to be found; what the names have comes first, then what is
newest.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import and_

from django.db.models import Case, Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When

from catalog import places
from catalog.folding import indexed, wanted
from catalog.models import Asset, DataPackage, Dataset, Item, Version, VersionQuerySet

MAX_WORDS = 8
LISTED = (Version.State.PUBLISHED, Version.State.DEPRECATED)
DIGEST = re.compile(r"(?:^|[^0-9a-f])(?:1220)?([0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})(?![0-9a-f])")
COLUMN_BY_LENGTH = {64: "sha256", 40: "sha1", 32: "md5"}
DOI = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:\s*)?(10\.[0-9]{4,9}/\S+)", re.IGNORECASE)


@dataclass(frozen=True)
class Filters:
    """What narrows a list: data packages by slug, regions by code, and years, both ends included."""

    packages: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    first_year: int | None = None
    last_year: int | None = None


def public_datasets() -> "QuerySet[Dataset]":
    """Give the datasets that have a version which the public may see, by package and identifier."""
    shown = Version.objects.filter(dataset=OuterRef("pk")).exclude(state=Version.State.DRAFT)
    found = Dataset.objects.filter(Exists(shown)).select_related("package", "licence")
    return found.order_by("package__priority", "identifier")


def listed_datasets() -> "QuerySet[Dataset]":
    """Give the datasets that have a version with files; of the withdrawn, only the pages remain."""
    return Dataset.objects.filter(Exists(listed_versions())).order_by()


def listed_versions() -> VersionQuerySet:
    return Version.objects.filter(dataset=OuterRef("pk"), state__in=LISTED)


def search(query: str, filters: Filters = Filters()) -> "QuerySet[Dataset]":
    """Narrow the listed datasets, the best match first, then the newest; an empty query gives all."""
    conditions = in_names(query)
    found = listed_datasets().filter(narrowed(filters))
    for word, names in conditions.items():
        found = found.filter(names | Q(folded_texts__contains=f" {word}"))
    newest = listed_versions().order_by("-published_at").values("published_at")[:1]
    order = [rank(conditions)] if conditions else []
    return found.order_by(*order, Subquery(newest).desc(), "pk")


def in_names(query: str) -> dict[str, Q]:
    """Give for each word of a query the condition that the names have it."""
    words = wanted(query)[:MAX_WORDS]
    packages = list(DataPackage.objects.all()) if words else []
    return {word: in_names_or_package(word, packages) for word in words}


def in_names_or_package(word: str, packages: Iterable[DataPackage]) -> Q:
    named = [one.pk for one in packages if f" {word}" in indexed(one.title_en, one.title_fr)]
    names = Q(folded_names__contains=f" {word}")
    return names | Q(package__in=named) if named else names


def rank(conditions: dict[str, Q]) -> Case:
    """Give 0 where the names alone have every word, else 1."""
    every = When(reduce(and_, conditions.values()), then=Value(0))
    return Case(every, default=Value(1), output_field=IntegerField())


def narrowed(filters: Filters) -> Q:
    """Turn filters into a condition; a dataset fits years that its time range overlaps."""
    condition = Q()
    if filters.packages:
        condition &= Q(package__slug__in=filters.packages)
    if filters.regions:
        condition &= Q(region__in=filters.regions)
    if filters.first_year is not None:
        condition &= Q(ends_on__gte=date(filters.first_year, 1, 1))
    if filters.last_year is not None:
        condition &= Q(starts_on__lte=date(filters.last_year, 12, 31))
    return condition


def named_version(query: str) -> Version | None:
    """Give the version that a query names whole: by DOI (also as an address), or `<dataset>_v1.2.0`.

    The DOI of all versions of a dataset names the latest one.
    """
    query = query.strip()
    shown = Version.objects.public().select_related("dataset")
    doi = DOI.fullmatch(query)
    if doi:
        return shown.filter(doi__iexact=doi[1]).first() or latest_named(doi[1])
    item = Item.objects.filter(item_id=query, tile="").first() if "_v" in query else None
    return shown.filter(pk=item.version_id).first() if item else None


def latest_named(concept_doi: str) -> Version | None:
    dataset = Dataset.objects.filter(concept_doi__iexact=concept_doi).first()
    return Version.objects.latest_of(dataset) if dataset else None


def digest_in(query: str) -> str:
    """Give the digest in a query, in lower case; empty if there is none.

    It may stand alone, as a multihash (`1220…`), after `sha256:`, or in a magnet link.
    """
    match = DIGEST.search(query.strip().lower())
    return match[1] if match else ""


def asset_with(digest: str) -> Asset | None:
    """Give the public file with this sha256, sha1 or md5; of several, that of the newest version with files."""
    return best_of(Asset.objects.filter(**{COLUMN_BY_LENGTH[len(digest)]: digest}))


def best_of(assets: "QuerySet[Asset]") -> Asset | None:
    """Choose one of several files of the same bytes: published, else deprecated, else withdrawn; then the newest."""
    order = Case(
        When(item__version__state=Version.State.PUBLISHED, then=Value(0)),
        When(item__version__state=Version.State.DEPRECATED, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    shown = assets.exclude(item__version__state=Version.State.DRAFT).select_related("item__version__dataset")
    return shown.order_by(order, F("item__version__published_at").desc(), "pk").first()


def fold_texts(dataset: Dataset) -> None:
    """Bring the columns that `search` reads to what the dataset says and was called; the caller saves it."""
    former = dataset.aliases.values_list("identifier", flat=True) if dataset.pk else ()
    dataset.folded_names = indexed(
        dataset.title_en,
        dataset.title_fr,
        dataset.identifier,
        *former,
        dataset.keywords_en,
        dataset.keywords_fr,
        *places.names_of(dataset.region, dataset.dguid),
    )
    dataset.folded_texts = indexed(
        dataset.description_en, dataset.description_fr, dataset.attribution_en, dataset.attribution_fr
    )
