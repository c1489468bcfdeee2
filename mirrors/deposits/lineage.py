"""After which record of its dataset a version is deposited, where a mirror links a dataset's versions in a chain.

Such a mirror has one open draft a chain, so versions go there one after another: the older before the newer, and none
while another one's draft is open. A version whose deposit ended before the mirror was asked holds up nobody.
"""

from django.db.models import QuerySet

from mirrors.connect import traits_of
from mirrors.errors import MirrorSettlingError
from mirrors.models import Deposit
from releases.models import Job, Step

PREPARE = "mirrors.replicate.prepare_deposit"
UNDER_WAY = (Step.State.DUE, Step.State.RUNNING, Step.State.AWAITING)


def others_of(deposit: Deposit) -> QuerySet[Deposit]:
    """Give the deposits of the dataset's other versions at the same mirror, the oldest version first."""
    rows = Deposit.objects.filter(mirror=deposit.mirror_id, version__dataset=deposit.version.dataset_id)
    return rows.exclude(pk=deposit.pk).select_related("version__dataset").order_by("version__precedence")


def previous_record_id(deposit: Deposit) -> str:
    """Give the public record after which a version is to come: that of the version before it, else of the next one.

    Empty where there is none, where a mirror has no chains, and once the version has a record itself.
    """
    if deposit.record_id or not traits_of(deposit.mirror).has_drafts:
        return ""
    public = others_of(deposit).filter(state=Deposit.State.PUBLIC).exclude(record_id="")
    before = public.filter(version__precedence__lt=deposit.version.precedence).last()
    nearest = before or public.first()
    return nearest.record_id if nearest else ""


def await_turn(deposit: Deposit) -> None:
    """Raise MirrorSettlingError while another version has to become public at the same mirror first."""
    if not traits_of(deposit.mirror).has_drafts:
        return
    for other in others_of(deposit).filter(state__in=(Deposit.State.OPEN, Deposit.State.VERIFIED)):
        if other.record_id or (is_older(other, deposit) and is_being_prepared(other)):
            raise MirrorSettlingError(
                f"{deposit.version}: {other.version} is being deposited at {deposit.mirror.name}, and versions go "
                "there one after another. It waits until that one is public, or thrown away by manage.py mirror "
                "discard.",
                after_s=deposit.mirror.settle_s,
            )


def is_older(one: Deposit, than: Deposit) -> bool:
    return one.version.precedence < than.version.precedence


def is_being_prepared(deposit: Deposit) -> bool:
    steps = Step.objects.filter(function=PREPARE, subject=deposit.pk, state__in=UNDER_WAY)
    return steps.filter(job__state=Job.State.OPEN).exists()
