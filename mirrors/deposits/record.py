"""What a deposit says of itself, from our rows: one mapping for every mirror and every DOI."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date
from typing import Any

from django.conf import settings
from django.db.models import Sum

from catalog.citation import PUBLISHER
from catalog.models import Asset, Dataset, Provider, Version
from mirrors.backends.base import Party, Record, Relation
from mirrors.deposits.lineage import previous_record_id
from mirrors.models import Deposit
from releases.models import Decision, Release

SAME_BYTES, BEFORE, AFTER = "IsIdenticalTo", "IsNewVersionOf", "IsPreviousVersionOf"
OF_ALL, ONE_OF_ALL = "IsVersionOf", "HasVersion"
NOTICES: dict[str, tuple[str, str, str]] = {
    Version.State.WITHDRAWN: (Decision.Kind.WITHDRAW, "Withdrawn", "Retirée"),
    Version.State.DEPRECATED: (Decision.Kind.DEPRECATE, "Deprecated", "Désuète"),
}


def record(deposit: Deposit) -> Record:
    """Describe a deposit as our rows do at this moment; needs version, dataset, licence and package read along."""
    described = describe_version(deposit.version, urn=f"urn:uuid:{deposit.urn}", besides=deposit)
    return replace(described, previous_record_id=previous_record_id(deposit))


def describe_version(version: Version, *, urn: str, besides: Deposit | None = None) -> Record:
    """Describe a version; what is public at other mirrors than that of `besides` is named as relations."""
    notice_en, notice_fr = notices(version)
    sealed = Asset.objects.filter(item__version=version)
    data = sealed.filter(role=Asset.Role.DATA).order_by("media_type")
    return Record(
        urn=urn,
        version=version.number,
        published_on=published_on(version),
        landing_url=landing_page(version),
        doi=version.doi or "",
        size_bytes=sealed.aggregate(total=Sum("size_bytes"))["total"] or 0,
        formats=tuple(data.values_list("media_type", flat=True).distinct()),
        relations=tuple(relations(version, besides)),
        notice_en=notice_en,
        notice_fr=notice_fr,
        **texts_of(version.dataset),
    )


def describe_dataset(dataset: Dataset, *, urn: str) -> Record:
    """Describe a dataset whatever its version, as the DOI of all versions names it; published with the first one."""
    versions = list(Version.objects.public().filter(dataset=dataset).order_by("precedence"))
    first = min((one.published_at for one in versions if one.published_at), default=None)
    return Record(
        urn=urn,
        version="",
        published_on=first.date() if first else first_approval(dataset),
        landing_url=dataset_page(dataset),
        doi=dataset.concept_doi,
        relations=tuple(Relation(ONE_OF_ALL, one.doi, "DOI") for one in versions if one.doi),
        **texts_of(dataset),
    )


def texts_of(dataset: Dataset) -> dict[str, Any]:
    """Give what all versions of a dataset say alike."""
    return {
        "identifier": dataset.identifier,
        "title_en": dataset.title_en,
        "title_fr": dataset.title_fr,
        "description_en": dataset.description_en,
        "description_fr": dataset.description_fr,
        "keywords_en": tuple(dataset.keywords_en.splitlines()),
        "keywords_fr": tuple(dataset.keywords_fr.splitlines()),
        "attribution_en": dataset.attribution_en,
        "attribution_fr": dataset.attribution_fr,
        "licence": dataset.licence.spdx_id,
        "licence_title_en": dataset.licence.title_en,
        "licence_title_fr": dataset.licence.title_fr,
        "licence_url": dataset.licence.url,
        "creators": makers(dataset),
        "publisher": PUBLISHER["en"],
        "concept_doi": dataset.concept_doi,
        "bbox_wgs84": box_of(dataset),
        "starts_on": dataset.starts_on,
        "ends_on": dataset.ends_on,
    }


def dataset_page(dataset: Dataset) -> str:
    return f"{settings.DFC_SITE_URL}/en/datasets/{dataset.identifier}/"


def landing_page(version: Version) -> str:
    return f"{dataset_page(version.dataset)}{version.shown}/"


def box_of(dataset: Dataset) -> tuple[float, float, float, float] | None:
    west, south, east, north = dataset.west, dataset.south, dataset.east, dataset.north
    return None if None in (west, south, east, north) else (west, south, east, north)  # type: ignore[return-value]


def makers(dataset: Dataset) -> tuple[Party, ...]:
    """Give who made the version, which are we, and then who made what it is derived from."""
    producers = dataset.providers.filter(role=Provider.Role.PRODUCER)
    names = [Party(one.name, url=one.url) for one in producers if one.name not in PUBLISHER.values()]
    return (Party(PUBLISHER["en"], url=settings.DFC_SITE_URL), *names)


def published_on(version: Version) -> date | None:
    """Give the day of publication, and before it that of the approval, which the bundle names too."""
    if version.published_at:
        return version.published_at.date()
    approved = Release.objects.filter(version=version).values_list("approved_at", flat=True).first()
    return approved.date() if approved else None


def first_approval(dataset: Dataset) -> date | None:
    approved = Release.objects.filter(version__dataset=dataset, approved_at__isnull=False).order_by("approved_at")
    instant = approved.values_list("approved_at", flat=True).first()
    return instant.date() if instant else None


def relations(version: Version, besides: Deposit | None) -> Iterator[Relation]:
    yield Relation(SAME_BYTES, landing_page(version), "URL")
    others = Deposit.objects.filter(version=version, state=Deposit.State.PUBLIC, mirror__is_sandbox=False)
    if besides:
        others = others.exclude(pk=besides.pk)
    for other in others.order_by("mirror"):
        if other.doi and other.doi != version.doi:
            yield Relation(SAME_BYTES, other.doi, "DOI")
        elif other.landing_url:
            yield Relation(SAME_BYTES, other.landing_url, "URL")
    own = besides.doi if besides else ""
    if version.doi and version.doi != own:
        yield Relation(SAME_BYTES, version.doi, "DOI")
    yield from neighbours(version)


def neighbours(version: Version) -> Iterator[Relation]:
    """Name the version before and the version after, by DOI, and the dataset as a whole."""
    if version.dataset.concept_doi:
        yield Relation(OF_ALL, version.dataset.concept_doi, "DOI")
    for relation, other in zip((BEFORE, AFTER), around(version), strict=True):
        if other:
            yield Relation(relation, str(other.doi), "DOI")


def around(version: Version) -> tuple[Version | None, Version | None]:
    """Give the public versions before and after one, withdrawn ones too, since their DOIs stay."""
    public = Version.objects.public().filter(dataset=version.dataset_id, doi__isnull=False)
    before = public.filter(precedence__lt=version.precedence).first()
    after = public.filter(precedence__gt=version.precedence).reverse().first()
    return before, after


def notices(version: Version) -> tuple[str, str]:
    """Say that a version was withdrawn or deprecated, and why; nothing for any other."""
    if version.state not in NOTICES:
        return "", ""
    kind, english, french = NOTICES[version.state]
    decision = Decision.objects.taken_of(version, kind)
    if decision is None:
        return english, french
    return f"{english}: {decision.reason_en}", f"{french}\N{NO-BREAK SPACE}: {decision.reason_fr}"


def digest_of(described: Record) -> str:
    """Give the sha256 of a record, by which is seen whether a mirror has the newest one."""
    return hashlib.sha256(json.dumps(asdict(described), sort_keys=True, default=str).encode()).hexdigest()
