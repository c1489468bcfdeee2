"""What tests of DOIs share: releases that reserve and publish, step by step, without the rest of a publication."""

import itertools
import time
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from catalog.models import Dataset, Version
from mirrors.backends.base import Draft, Receipt, Record
from mirrors.backends.memory import MemoryMirror
from mirrors.deposits.redescribe import bring_doi, expand_dois
from mirrors.deposits.reserve import reserve_doi
from mirrors.models import Deposit, Doi, Mirror
from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.models import Decision, Job, MetadataRevision, Release, Step
from releases.take import take_decision
from tests import factories

COUNT = itertools.count(1)
TEXTS = [
    f"{name}_{suffix}" for name in ("title", "description", "attribution", "keywords") for suffix in ("en", "fr")
]
UNDER_WAY = {"state": Release.State.PUBLISHING, "approved_at": timezone.now(), "reviewed_digest": "0" * 64}


def roads(provider: str = Dataset.DoiProvider.TEST, **fields: Any) -> Dataset:
    texts = {
        "description_en": "Every road.",
        "description_fr": "Chaque route.",
        "attribution_en": "R.",
        "attribution_fr": "R.",
    }
    return factories.dataset(**{"doi_provider": provider, **texts, **fields})


def approved(of: Dataset, number: str = "1.0.0") -> Release:
    """Give a release on its way to the public, whose version has one file."""
    version = factories.version(of, number, state=Version.State.DRAFT)
    factories.asset(factories.item(version))
    author = get_user_model().objects.get_or_create(username="author")[0]
    return factories.release(version, author=author, submitter=author, **UNDER_WAY)


def attempt(function: str, subject: int) -> StepContext:
    """Give the context of one more attempt at a step."""
    context = factories.step(function, subject)
    Job.objects.filter(key=context.job_key).update(key=f"{context.job_key}:{next(COUNT)}")
    return context


def reserve(release: Release) -> Version:
    reserve_doi(attempt("mirrors.deposits.reserve.reserve_doi", release.pk), release.pk)
    return fresh(release.version)


def fresh(version: Version) -> Version:
    return Version.objects.select_related("dataset").get(pk=version.pk)


def register(release: Release) -> None:
    """Do what the stage of the publication does that follows the commit."""
    for spec in expand_dois(release.pk):
        bring_doi(attempt(spec.function, spec.subject), spec.subject)


def make_public(release: Release) -> Version:
    """Publish the version alone; its DOI is registered afterwards."""
    assert Version.objects.publish(release.version_id, at=timezone.now())
    Release.objects.filter(pk=release.pk).update(state=Release.State.PUBLISHED)
    return fresh(release.version)


def published(of: Dataset, number: str = "1.0.0") -> Version:
    """Give a version that went the whole way of a DOI."""
    release = approved(of, number)
    reserve(release)
    make_public(release)
    register(release)
    return fresh(release.version)


def states() -> dict[str, str]:
    return dict(Doi.objects.values_list("name", "state"))


def related(record: Record) -> set[tuple[str, str]]:
    return {(one.relation, one.identifier) for one in record.relations}


class MemoryService(MemoryMirror):
    """A mirror in memory that has pages of its own and gives DOIs, as Zenodo does, under one concept for all."""

    concept = "10.5281/zenodo.100"

    def __init__(self) -> None:
        super().__init__("https://service.example.org")
        self.made = 0

    def prepare(self, key: str, record: Record) -> Draft:
        if key not in self.deposits:
            self.made += 1
        draft = super().prepare(key, record)
        return Draft(draft.key, draft.record_id, self.doi_of(key))

    def doi_of(self, key: str) -> str:
        return f"10.5281/ZENODO.{101 + list(self.deposits).index(key)}"

    def publish(self, draft: Draft, record: Record) -> Receipt:
        self.describe(draft, record)
        page = f"{self.public_url}/records/{draft.record_id}"
        return Receipt(draft.record_id, page, self.doi_of(draft.key), self.concept)


def service_mirror(slug: str = "service", **fields: Any) -> Mirror:
    return factories.mirror(slug, kind=Mirror.Kind.ZENODO, endpoint="https://service.example.org", **fields)


def public_deposit(version: Version, mirror: Mirror, number: int = 0, **fields: Any) -> Deposit:
    """Give a deposit that is public at a mirror with pages, described with nothing yet."""
    facts = {
        "state": Deposit.State.PUBLIC,
        "record_id": f"r{version.pk}",
        "landing_url": f"{mirror.public_url}/records/{version.pk}",
        "created_at": timezone.now(),
    }
    return Deposit.objects.create(version=version, mirror=mirror, **{**facts, **fields})


def describe(seconds: float = 20) -> None:
    """Do all that is owed of descriptions; nothing else is run."""
    deadline = time.monotonic() + seconds
    open_steps = Step.objects.filter(job__pipeline="describe", job__state=Job.State.OPEN)
    while open_steps.filter(state__in=engine.RUNNABLE).exists() and time.monotonic() < deadline:
        for pk in open_steps.filter(pk__in=engine.due_steps()).values_list("pk", flat=True):
            engine.run_step(pk, has_heartbeat=False)
        time.sleep(0.005)


def decide(kind: str, version: Version, **facts: Any) -> Decision:
    """Take a decision about a version or, without one, its dataset, with what follows from it at mirrors."""
    by = get_user_model().objects.get_or_create(username="decider")[0]
    about = version if kind in {Decision.Kind.DEPRECATE, Decision.Kind.WITHDRAW} else None
    decision = Decision.objects.create(
        kind=kind,
        dataset=version.dataset,
        version=about,
        reason_en="The licence text was wrong.",
        reason_fr="Le texte de licence était faux.",
        proposer=by,
        proposed_at=timezone.now(),
        channel="command",
        **facts,
    )
    if kind == Decision.Kind.REVISE:
        texts = {name: getattr(version.dataset, name) for name in TEXTS} | {"title_fr": "Chemins"}
        MetadataRevision.objects.create(dataset=version.dataset, decision=decision, **texts)
    take_decision(decision, seconder=None, channel="command", now=timezone.now())
    return decision
