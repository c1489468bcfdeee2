"""What a deposit says of itself, from our rows: one mapping for every mirror and every DOI."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date

from django.conf import settings

from catalog.citation import PUBLISHER
from catalog.models import Dataset, Provider, Version
from mirrors.backends.base import Party, Record, Relation
from mirrors.lineage import previous_record_id
from mirrors.models import Deposit
from releases.models import Decision, Release

SAME_BYTES, BEFORE, AFTER, OF_ALL = "IsIdenticalTo", "IsNewVersionOf", "IsPreviousVersionOf", "IsVersionOf"


def record(deposit: Deposit) -> Record:
    """Describe a deposit as our rows do at this moment; needs version, dataset, licence and package read along."""
    described = describe_version(deposit.version, urn=f"urn:uuid:{deposit.urn}", besides=deposit)
    return replace(described, previous_record_id=previous_record_id(deposit))


def describe_version(version: Version, *, urn: str, besides: Deposit | None = None) -> Record:
    """Describe a version; the records of other mirrors than that of `besides` are named as relations."""
    dataset = version.dataset
    notice_en, notice_fr = notices(version)
    return Record(
        urn=urn,
        identifier=dataset.identifier,
        version=version.number,
        title_en=dataset.title_en,
        title_fr=dataset.title_fr,
        description_en=dataset.description_en,
        description_fr=dataset.description_fr,
        keywords_en=tuple(dataset.keywords_en.splitlines()),
        keywords_fr=tuple(dataset.keywords_fr.splitlines()),
        attribution_en=dataset.attribution_en,
        attribution_fr=dataset.attribution_fr,
        licence=dataset.licence.spdx_id,
        licence_title_en=dataset.licence.title_en,
        licence_title_fr=dataset.licence.title_fr,
        licence_url=dataset.licence.url,
        creators=makers(dataset),
        publisher=PUBLISHER["en"],
        published_on=published_on(version),
        landing_url=landing_page(version),
        doi=version.doi or "",
        concept_doi=dataset.concept_doi,
        bbox_wgs84=box_of(dataset),
        starts_on=dataset.starts_on,
        ends_on=dataset.ends_on,
        relations=tuple(relations(version, besides)),
        notice_en=notice_en,
        notice_fr=notice_fr,
    )


def landing_page(version: Version) -> str:
    return f"{settings.DFC_SITE_URL}/en/datasets/{version.dataset.identifier}/{version.shown}/"


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


def relations(version: Version, besides: Deposit | None) -> Iterator[Relation]:
    yield Relation(SAME_BYTES, landing_page(version), "URL")
    others = Deposit.objects.filter(version=version)
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
    public = Version.objects.filter(dataset=version.dataset, doi__isnull=False).exclude(state=Version.State.DRAFT)
    before = public.filter(precedence__lt=version.precedence).order_by("-precedence").first()
    after = public.filter(precedence__gt=version.precedence).order_by("precedence").first()
    if before:
        yield Relation(BEFORE, str(before.doi), "DOI")
    if after:
        yield Relation(AFTER, str(after.doi), "DOI")


def notices(version: Version) -> tuple[str, str]:
    """Say that a version was withdrawn, and why; nothing for any other."""
    if version.state != Version.State.WITHDRAWN:
        return "", ""
    decision = Decision.objects.taken_of(version, Decision.Kind.WITHDRAW)
    why_en, why_fr = (decision.reason_en, decision.reason_fr) if decision else ("", "")
    return f"Withdrawn: {why_en}".rstrip(": "), f"Retirée : {why_fr}".rstrip(": ")


def digest_of(described: Record) -> str:
    """Give the sha256 of a record, by which is seen whether a mirror has the newest one."""
    return hashlib.sha256(json.dumps(asdict(described), sort_keys=True, default=str).encode()).hexdigest()
