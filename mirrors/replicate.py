"""Put a version on its mirrors: one durable job a deposit, waited for by the publication."""

from collections.abc import Sequence

from django.db.models import Q
from django.utils import timezone

from catalog.models import Asset, Version
from catalog.storage.connect import own_storage
from catalog.storage.files import OpenAt
from mirrors.backends.base import Record, Upload
from mirrors.connect import connect
from mirrors.errors import NoMirrorError
from mirrors.models import Deposit, Mirror, Policy, Replica
from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Release


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


def expand_deposits(release_id: int) -> Sequence[StepSpec]:
    """Write Deposit and pending Replica rows; raises NoMirrorError where no mirror is required."""
    version = Release.objects.select_related("version__dataset").get(pk=release_id).version
    places = mirrors_of(version)
    if not any(places.values()):
        raise NoMirrorError(
            f"{version}: no enabled mirror is required to keep it. Add a policy in the admin, then retry."
        )
    steps = []
    for mirror, is_required in sorted(places.items(), key=lambda place: place[0].pk):
        deposit, _ = Deposit.objects.get_or_create(
            version=version, mirror=mirror, defaults={"created_at": timezone.now()}
        )
        for asset in Asset.objects.filter(item__version=version):
            Replica.objects.get_or_create(asset=asset, mirror=mirror)
        steps.append(StepSpec("mirrors.replicate.await_deposit", deposit.pk, mirror.name, is_required))
    return steps


def await_deposit(step: StepContext, deposit_id: int) -> None:
    """Start the deposit's own job and wait for it; back-fill and repair use the same job."""
    deposit = find(deposit_id)
    version = deposit.version
    key = f"deposit:{version.dataset.identifier}:{version.number}:{deposit.mirror.slug}"
    engine.start(key, "deposit", deposit.pk)
    step.wait_for(key)


def find(deposit_id: int) -> Deposit:
    return Deposit.objects.select_related("version__dataset__package", "mirror").get(pk=deposit_id)


def deposit_key(version: Version) -> str:
    """Name a deposit as the sealed files lie in our storage; a rename of the dataset moves none of them.

    The layout below it is the same on every mirror.
    """
    sealed = Asset.objects.filter(item__version=version).earliest("pk")
    return sealed.storage_key.removesuffix(f"/{sealed.path}")


def record(version: Version) -> Record:
    dataset = version.dataset
    return Record(title_en=dataset.title_en, title_fr=dataset.title_fr, version=version.number, doi=version.doi or "")


def expand_prepare(deposit_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.replicate.prepare_deposit", deposit_id, find(deposit_id).mirror.name)]


def prepare_deposit(step: StepContext, deposit_id: int) -> None:
    """Find or make the deposit at the mirror, and keep the mirror's name for it."""
    deposit = find(deposit_id)
    draft = connect(deposit.mirror).prepare(deposit_key(deposit.version), record(deposit.version))
    with step.finish():
        Deposit.objects.filter(pk=deposit_id).update(record_id=draft.record_id)


def replicas_of(deposit: Deposit) -> list[Replica]:
    replicas = Replica.objects.filter(mirror=deposit.mirror, asset__item__version=deposit.version)
    return list(replicas.select_related("asset").order_by("asset_id"))


def expand_put(deposit_id: int) -> Sequence[StepSpec]:
    replicas = replicas_of(find(deposit_id))
    return [StepSpec("mirrors.replicate.put_replica", one.pk, one.asset.path) for one in replicas]


def put_replica(step: StepContext, replica_id: int) -> None:
    """Store one file at one mirror from our own storage. Safe to run twice."""
    replica = Replica.objects.select_related("asset__item__version__dataset__package", "mirror").get(pk=replica_id)
    storage = own_storage()
    place = store(replica, lambda start: storage.read(replica.asset.storage_key, start), step)
    with step.finish():
        Replica.objects.filter(pk=replica_id).exclude(state=Replica.State.VERIFIED).update(
            state=Replica.State.STORED, **place
        )


def store(replica: Replica, source: OpenAt, step: StepContext) -> dict[str, str]:
    """Put the bytes of a source at the copy's mirror, going on where it stopped; gives locator and public address."""
    asset, backend = replica.asset, connect(replica.mirror)
    draft = backend.prepare(deposit_key(asset.item.version), record(asset.item.version))
    step.progress(total_bytes=asset.size_bytes)
    locator = backend.put(
        draft, upload(asset, source), checkpoint=step, progress=lambda done: step.progress(done_bytes=done)
    )
    return {"locator": locator, "url": backend.url(locator)}


def upload(asset: Asset, source: OpenAt) -> Upload:
    return Upload(
        path=asset.path,
        size_bytes=asset.size_bytes,
        sha256=asset.sha256,
        md5=asset.md5,
        media_type=asset.media_type,
        open=source,
    )


def expand_verify(deposit_id: int) -> Sequence[StepSpec]:
    replicas = replicas_of(find(deposit_id))
    return [StepSpec("mirrors.verify.verify_deposit_replica", one.pk, one.asset.path) for one in replicas]


def expand_publish(deposit_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.replicate.publish_deposit", deposit_id, find(deposit_id).mirror.name)]


def publish_deposit(step: StepContext, deposit_id: int) -> None:
    """Make the deposit public at the mirror; mirrors without drafts have nothing to do."""
    deposit = find(deposit_id)
    draft = connect(deposit.mirror).prepare(deposit_key(deposit.version), record(deposit.version))
    receipt = connect(deposit.mirror).publish(draft)
    with step.finish():
        Deposit.objects.filter(pk=deposit_id).update(
            state=Deposit.State.PUBLIC, record_id=receipt.record_id, landing_url=receipt.landing_url
        )
