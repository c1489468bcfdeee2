"""Make the source bundle of a release: it names the mirrors that will hold its sources, before a byte is there."""

from collections.abc import Callable, Sequence

from catalog.models import Asset, Version
from mirrors.connect import connect
from mirrors.models import Deposit, Mirror
from mirrors.replicate import draft_of, mirrors_of
from releases.bundle import NAME, Places, write_and_seal
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Release

BUILT_FROM = (Asset.Role.SOURCE, Asset.Role.ENVIRONMENT)


def expand_bundle(release_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.deposits.bundle.make_bundle", release_id, NAME)]


def make_bundle(step: StepContext, release_id: int) -> None:
    """Write and seal the bundle of a release. Safe to run twice: the sealed bytes stay."""
    release = Release.objects.select_related("version__dataset__package", "recipe").get(pk=release_id)
    write_and_seal(step, release, places=places_of(release.version))


def places_of(version: Version) -> Places:
    """Give the addresses of each sealed source, and of the image of a container, by its path.

    The mirrors of others stand first, our own storage last. A best-effort mirror that
    has not made a place for the version yet is left out.
    """
    kept = mirrors_of(version)
    in_order = sorted(kept, key=lambda mirror: (mirror.is_own, not kept[mirror], mirror.pk))
    found = [addresses(version, mirror) for mirror in in_order]
    sealed = Asset.objects.filter(item__version=version, role__in=BUILT_FROM).order_by("path")
    return {path: [address(path) for address in found if address] for path in sealed.values_list("path", flat=True)}


def addresses(version: Version, mirror: Mirror) -> Callable[[str], str] | None:
    """Give what names the public address of a path on one mirror; None where that mirror has no place for it yet."""
    deposit = Deposit.objects.filter(version=version, mirror=mirror).exclude(record_id="").first()
    if deposit is None:
        return None
    backend, draft = connect(mirror), draft_of(deposit)
    return lambda path: backend.url(backend.locator(draft, path))
