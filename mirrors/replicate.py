"""Put a version on its mirrors: one durable job a deposit, waited for by the publication.

What can be taken back comes first: directories, buckets, and drafts. When all of that is verified, and not before,
drafts become public and the mirrors are filled where all is public at once and for ever.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from catalog.models import Asset, Dataset, Version
from catalog.storage.connect import own_storage
from catalog.storage.files import OpenAt
from mirrors.backends.base import Draft, Receipt, Traits, Upload
from mirrors.connect import connect, traits_of
from mirrors.deposits.as_planned import refuse_unfit, refuse_unplanned
from mirrors.deposits.lineage import await_turn
from mirrors.deposits.record import digest_of, record
from mirrors.errors import MirrorRefusedError, MirrorSettlingError, NoMirrorError
from mirrors.models import PUBLIC, Deposit, Mirror, Policy, Replica
from releases.catalogue import request_edition
from releases.descriptions import request_descriptions
from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Job, Release
from releases.rereads import request_reread

QUESTIONS = 6  # that a mirror is asked at most to make a place for a version


def mirrors_of(version: Version) -> dict[Mirror, bool]:
    """Give the enabled mirrors that keep a version, and whether each is required; a required policy wins."""
    dataset = version.dataset
    covering = Policy.objects.filter(
        Q(dataset=dataset) | Q(package=dataset.package_id) | Q(dataset__isnull=True, package__isnull=True),
        mirror__is_enabled=True,
    ).select_related("mirror")
    found: dict[Mirror, bool] = {}
    for policy in covering:
        found[policy.mirror] = found.get(policy.mirror, False) or policy.is_required
    return found


def expand_places(release_id: int) -> Sequence[StepSpec]:
    """Write a Deposit row for each mirror that keeps the version; raises NoMirrorError where none is required."""
    version = Release.objects.select_related("version__dataset").get(pk=release_id).version
    places = mirrors_of(version)
    if not any(places.values()):
        raise NoMirrorError(
            f"{version}: no enabled mirror is required to keep it. Add a policy in the admin, then retry."
        )
    steps = []
    for mirror, is_required in in_order(places):
        deposit, _ = Deposit.objects.get_or_create(
            version=version, mirror=mirror, defaults={"created_at": timezone.now()}
        )
        steps.append(StepSpec("mirrors.replicate.prepare_deposit", deposit.pk, mirror.name, is_required))
    return steps


def in_order(places: dict[Mirror, bool]) -> list[tuple[Mirror, bool]]:
    return sorted(places.items(), key=lambda place: place[0].pk)


def expand_deposits(release_id: int) -> Sequence[StepSpec]:
    """Wait for the deposits that can be taken back, as drafts can be."""
    steps = owed(release_id, "mirrors.replicate.await_deposit")
    return [step for step, traits in steps if traits.has_drafts or not traits.is_lasting]


def expand_lasting(release_id: int) -> Sequence[StepSpec]:
    """Wait for what can never be taken back; it begins when all else is verified."""
    steps = owed(release_id, "mirrors.replicate.await_lasting")
    return [step for step, traits in steps if traits.is_lasting]


def owed(release_id: int, function: str) -> list[tuple[StepSpec, Traits]]:
    """Give a step for each deposit of a release, with pending Replica rows for all that is sealed by now."""
    version = Release.objects.select_related("version__dataset").get(pk=release_id).version
    steps = []
    for mirror, is_required in in_order(mirrors_of(version)):
        deposit, _ = Deposit.objects.get_or_create(
            version=version, mirror=mirror, defaults={"created_at": timezone.now()}
        )
        owe_replicas(deposit)
        steps.append((StepSpec(function, deposit.pk, mirror.name, is_required), traits_of(mirror)))
    return steps


def owe_replicas(deposit: Deposit) -> None:
    for asset in Asset.objects.filter(item__version=deposit.version_id):
        Replica.objects.get_or_create(asset=asset, mirror=deposit.mirror)


def await_deposit(step: StepContext, deposit_id: int) -> None:
    """Start the deposit's own job and wait for it; back-fill and repair use the same job."""
    step.wait_for(start_deposit(wanted_again(find(deposit_id))))


def await_lasting(step: StepContext, deposit_id: int) -> None:
    """Start what makes a deposit public for ever, and wait for it."""
    deposit = wanted_again(find(deposit_id))
    start = start_opening if traits_of(deposit.mirror).has_drafts else start_deposit
    step.wait_for(start(deposit))


def wanted_again(deposit: Deposit) -> Deposit:
    """Let a deposit that was taken away begin anew where a policy wants it; gives any other as it is."""
    return reopened(deposit) if deposit.mirror in mirrors_of(deposit.version) else deposit


def reopened(deposit: Deposit) -> Deposit:
    """Let a deposit that was taken away begin anew, by jobs of their own; gives any other as it is."""
    again = Deposit.objects.filter(pk=deposit.pk, state=Deposit.State.REMOVED)
    again.update(state=Deposit.State.OPEN, round=F("round") + 1)
    return find(deposit.pk)


def start_deposit(deposit: Deposit) -> str:
    """Start the job that brings a version to a mirror, unless it was started; gives its key."""
    key = f"deposit:{name_of(deposit)}"
    engine.start(key, "deposit", deposit.pk)
    return key


def start_opening(deposit: Deposit) -> str:
    """Start the job that makes a filled draft public, unless it was started; gives its key."""
    key = f"open-deposit:{name_of(deposit)}"
    engine.start(key, "open-deposit", deposit.pk)
    return key


def name_of(deposit: Deposit) -> str:
    name = f"{deposit.version.dataset.identifier}:{deposit.version.number}:{deposit.mirror.slug}"
    return name if deposit.round == 1 else f"{name}:{deposit.round}"


def find(deposit_id: int) -> Deposit:
    related = ("version__dataset__package", "version__dataset__licence", "mirror")
    return Deposit.objects.select_related(*related).get(pk=deposit_id)


def deposit_key(version: Version) -> str:
    """Name a deposit as the sealed files lie in our storage; a rename of the dataset moves none of them.

    The layout below it is the same on every mirror.
    """
    sealed = Asset.objects.filter(item__version=version).earliest("pk")
    return sealed.storage_key.removesuffix(f"/{sealed.path}")


def expand_prepare(deposit_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.replicate.prepare_deposit", deposit_id, find(deposit_id).mirror.name)]


def prepare_deposit(step: StepContext, deposit_id: int) -> None:
    """Find or make the deposit at the mirror, and keep the mirror's name for it. Safe to run twice.

    Where the mirror chooses that name, the intent is committed before it is asked; after a crash its own search
    decides, no sooner than what was made can be seen there.
    """
    deposit = find(deposit_id)
    await_removal(step, deposit)
    refuse_removed(deposit)
    draft = draft_of(deposit) if deposit.record_id else made(step, deposit)
    with step.finish():
        keep_draft(deposit, draft)


def await_removal(step: StepContext, deposit: Deposit) -> None:
    """Wait until what was there before is removed, or its removal would take what is brought now."""
    removals = Job.objects.filter(pipeline="remove-deposit", subject=deposit.pk, state=Job.State.OPEN)
    for key in removals.values_list("key", flat=True):
        step.wait_for(key)


def refuse_removed(deposit: Deposit) -> None:
    """Raise MirrorRefusedError for a deposit that was removed or discarded since its job began."""
    if Deposit.objects.filter(pk=deposit.pk, state=Deposit.State.REMOVED).exists():
        raise MirrorRefusedError(
            f"{deposit.version}: it was taken away from {deposit.mirror.name} meanwhile. Stop this job; where a "
            "policy wants it there again, another one brings it."
        )


def await_publication(deposit: Deposit) -> None:
    """Raise MirrorSettlingError while a person has stopped the publication that wants it public for ever."""
    releases = Release.objects.filter(version=deposit.version, version__state=Version.State.DRAFT)
    publications = Job.objects.filter(pipeline="publish", subject__in=releases.values("pk"))
    if publications.exists() and not publications.exclude(state=Job.State.CANCELLED).exists():
        raise MirrorSettlingError(
            f"{deposit.version}: its publication was stopped, and what is public at {deposit.mirror.name} could "
            "never be taken back. It goes on when the publication does; stop this job too if that is given up.",
            after_s=deposit.mirror.settle_s,
        )


def keep_draft(deposit: Deposit, draft: Draft) -> None:
    """Write down what the mirror calls a deposit, and the DOIs that it reserved for it."""
    Deposit.objects.filter(pk=deposit.pk).update(
        record_id=draft.record_id, doi=draft.doi, concept_doi=draft.concept_doi
    )


def made(step: StepContext, deposit: Deposit) -> Draft:
    key, described, backend = deposit_key(deposit.version), record(deposit), connect(deposit.mirror)
    refuse_unfit(deposit)
    if not backend.traits.has_drafts:
        return backend.prepare(key, described)
    await_turn(deposit)

    def search() -> str | None:
        found = backend.find(key, described)
        return written(found) if found else None

    return Draft(
        *json.loads(
            step.effect(
                "record",
                find=search,
                call=lambda: written(backend.prepare(key, described)),
                timeout_s=QUESTIONS * settings.DFC_SERVICE_CALL_S + deposit.mirror.settle_s,
            )
        )
    )


def written(draft: Draft) -> str:
    """Write a draft as an effect keeps it."""
    return json.dumps([draft.key, draft.record_id, draft.doi, draft.concept_doi])


def draft_of(deposit: Deposit) -> Draft:
    """Give the deposit that a mirror was found to have; nothing is asked or made."""
    size = Asset.objects.filter(item__version=deposit.version).aggregate(files=Count("pk"), bytes=Sum("size_bytes"))
    return Draft(
        deposit_key(deposit.version),
        deposit.record_id,
        deposit.doi,
        deposit.concept_doi,
        record=record(deposit),
        files=size["files"],
        size_bytes=size["bytes"] or 0,
    )


def replicas_of(deposit: Deposit) -> list[Replica]:
    replicas = Replica.objects.filter(mirror=deposit.mirror, asset__item__version=deposit.version)
    return list(replicas.select_related("asset").order_by("asset_id"))


def expand_put(deposit_id: int) -> Sequence[StepSpec]:
    replicas = replicas_of(find(deposit_id))
    return [StepSpec("mirrors.replicate.put_replica", one.pk, one.asset.path) for one in replicas]


def put_replica(step: StepContext, replica_id: int) -> None:
    """Store one file at one mirror from our own storage. Safe to run twice."""
    replica = Replica.objects.select_related("asset__item__version__dataset__package", "mirror").get(pk=replica_id)
    traits = traits_of(replica.mirror)
    if traits.is_lasting and not traits.has_drafts:
        await_publication(deposit_of(replica))
    storage = own_storage()
    key, folder = replica.asset.storage_key, storage.directory
    place = store(replica, lambda start: storage.read(key, start), step, file=folder and folder / key)
    with step.finish():
        Version.objects.select_for_update().get(pk=replica.asset.item.version_id)  # as who removes it holds it
        if not is_removed(replica):
            unproved = Replica.objects.filter(pk=replica_id).exclude(state=Replica.State.VERIFIED)
            unproved.update(state=Replica.State.STORED, **place)


def is_removed(replica: Replica) -> bool:
    """Tell whether the deposit of a copy was removed meanwhile."""
    deposits = Deposit.objects.filter(mirror=replica.mirror_id, version=replica.asset.item.version_id)
    return deposits.filter(state=Deposit.State.REMOVED).exists()


def store(replica: Replica, source: OpenAt, step: StepContext, *, file: Path | None = None) -> dict[str, str]:
    """Put the bytes of a source at the copy's mirror, going on where it stopped; gives locator and public address.

    `file` is where the same bytes lie on this machine.
    """
    asset, backend = replica.asset, connect(replica.mirror)
    deposit = deposit_of(replica)
    refuse_removed(deposit)
    draft = draft_of(deposit) if deposit.record_id else made(step, deposit)
    step.progress(total_bytes=asset.size_bytes)
    locator = backend.put(
        draft, upload(asset, source, file), checkpoint=step, progress=lambda done: step.progress(done_bytes=done)
    )
    return {"locator": locator, "url": backend.url(locator)}


def deposit_of(replica: Replica) -> Deposit:
    """Give the deposit that a copy belongs to; one of before deposits had rows gets its row now."""
    return deposit_at(replica.asset.item.version, replica.mirror)


def deposit_at(version: Version, mirror: Mirror) -> Deposit:
    """Give the row of a version's deposit at a mirror, with all that describing it needs."""
    deposit, _ = Deposit.objects.get_or_create(
        version=version, mirror=mirror, defaults={"created_at": timezone.now()}
    )
    return find(deposit.pk)


def upload(asset: Asset, source: OpenAt, file: Path | None = None) -> Upload:
    return Upload(
        path=asset.path,
        size_bytes=asset.size_bytes,
        sha256=asset.sha256,
        md5=asset.md5,
        media_type=asset.media_type,
        open=source,
        file=file,
    )


def expand_verify(deposit_id: int) -> Sequence[StepSpec]:
    replicas = replicas_of(find(deposit_id))
    return [StepSpec("mirrors.verify.verify_deposit_replica", one.pk, one.asset.path) for one in replicas]


def expand_publish(deposit_id: int) -> Sequence[StepSpec]:
    """Where a mirror has drafts, they become public by a job of its own, later."""
    deposit = find(deposit_id)
    if traits_of(deposit.mirror).has_drafts:
        return []
    return [StepSpec("mirrors.replicate.publish_deposit", deposit_id, deposit.mirror.name)]


def expand_await(deposit_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.replicate.await_deposit", deposit_id, find(deposit_id).mirror.name)]


def expand_open(deposit_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.replicate.publish_deposit", deposit_id, find(deposit_id).mirror.name)]


def publish_deposit(step: StepContext, deposit_id: int) -> None:
    """Make the deposit public at the mirror, with the metadata of this moment. Safe to run twice."""
    deposit = find(deposit_id)
    refuse_removed(deposit)
    if traits_of(deposit.mirror).is_lasting:
        await_publication(deposit)
    described, backend = record(deposit), connect(deposit.mirror)
    if backend.traits.has_drafts:
        refuse_unplanned(deposit, backend.listing(draft_of(deposit)))
    receipt = backend.publish(draft_of(deposit), described)
    with step.finish():
        keep_concept(deposit.version, receipt)
        Deposit.objects.filter(pk=deposit_id).exclude(state=Deposit.State.REMOVED).update(
            state=Deposit.State.PUBLIC,
            record_id=receipt.record_id,
            landing_url=receipt.landing_url,
            doi=receipt.doi,
            concept_doi=receipt.concept_doi,
            described_digest=digest_of(described),
            described_at=timezone.now(),
        )
        if deposit.mirror.kind != Mirror.Kind.LOCAL:
            # Also before the version is public: whichever of the two is committed last has a job that sees both.
            request_reread(deposit.version_id, cause=f"deposit:{name_of(deposit)}")
        shown = Version.objects.filter(pk=deposit.version_id, state__in=PUBLIC).exists()
        if backend.traits.has_drafts and shown:  # till now nobody was sent there
            request_edition(f"{deposit.version}: public at {deposit.mirror.slug}", now=timezone.now())
        if receipt.landing_url:  # the records elsewhere name this one from now on
            request_descriptions(deposit.version.dataset_id, cause=f"deposit:{name_of(deposit)}")


def keep_concept(version: Version, receipt: Receipt) -> None:
    """Write the DOI of all versions once, where the mirror that names them has told it."""
    if receipt.concept_doi and receipt.doi.lower() == (version.doi or ""):
        unnamed = Dataset.objects.filter(pk=version.dataset_id, doi_provider=Dataset.DoiProvider.ZENODO)
        unnamed.filter(concept_doi="").update(concept_doi=receipt.concept_doi.lower())
