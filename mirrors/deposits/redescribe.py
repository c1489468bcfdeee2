"""Bring what mirrors and registrars say of our versions to what our rows say: after a change, and only what differs.

1. A job looks first, in a step of its own, so that it sees whatever was committed before, by whomever.
2. A step acts on the rows as they are then, and once more if they changed meanwhile, so that the last word is right
   in whatever order two of them end.
3. Nothing is ever made here: a deposit and a DOI that exist are described. All of it can be repeated.
"""

from collections.abc import Callable, Sequence

from django.db.models import DateTimeField, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from catalog.citation import is_test_doi
from catalog.models import Dataset, Version
from mirrors.backends.base import Record
from mirrors.connect import connect, traits_of
from mirrors.deposits.record import around, digest_of, record
from mirrors.deposits.stale import mark_stale, public_deposits, public_dois, stale_rows
from mirrors.doi import rows
from mirrors.doi.connect import provider_of
from mirrors.errors import AskStaffError
from mirrors.models import Deposit, Doi, Mirror
from mirrors.replicate import draft_of, find
from releases.catalogue import request_edition
from releases.descriptions import request_descriptions
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Job, Release, Step

ASK = "mirrors.deposits.redescribe.ask_staff"
STAFF = {
    Mirror.Kind.ZENODO: "the form at https://zenodo.org/support",
    Mirror.Kind.INTERNET_ARCHIVE: "info@archive.org",
}


def expand_dois(release_id: int) -> Sequence[StepSpec]:
    """Give a step for the DOI of a version, for that of all versions, and for those of the versions beside it."""
    version = Release.objects.select_related("version__dataset").get(pk=release_id).version
    rows.ensure_rows(version.dataset_id)
    beside = [one.pk for one in around(version) if one is not None]
    dois = Doi.objects.filter(dataset=version.dataset_id)
    found = [*dois.filter(version=version), *dois.filter(version=None), *dois.filter(version__in=beside)]
    return [doi_step(one) for one in found]


def doi_step(doi: Doi) -> StepSpec:
    return StepSpec("mirrors.deposits.redescribe.bring_doi", doi.pk, f"DOI · {doi.name}")


def expand_others(release_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.deposits.redescribe.describe_others", release_id, "Records that name this version")]


def describe_others(_step: StepContext, release_id: int) -> None:
    """Start the job that brings the other records of a dataset up to date, and do not wait for it."""
    release = Release.objects.select_related("version").get(pk=release_id)
    request_descriptions(release.version.dataset_id, cause=f"release:{release_id}")


def expand_look(dataset_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.deposits.redescribe.look_at", dataset_id, "Records and DOIs")]


def look_at(_step: StepContext, dataset_id: int) -> None:
    """Write the rows of DOIs that a mirror has told since, and mark what is stale."""
    rows.ensure_rows(dataset_id)
    mark_stale(dataset_id)


def expand_stale(dataset_id: int) -> Sequence[StepSpec]:
    """Give a step for each deposit and each DOI that is marked as stale."""
    deposits, dois = public_deposits(dataset_id), public_dois(dataset_id)
    return [
        *(deposit_step(one) for one in deposits.filter(described_digest="")),
        *(doi_step(one) for one in dois.filter(described_digest="")),
    ]


def deposit_step(deposit: Deposit) -> StepSpec:
    return StepSpec("mirrors.deposits.redescribe.describe_deposit", deposit.pk, str(deposit))


def expand_sweep(period: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.deposits.redescribe.sweep_stale", period, "Records and DOIs that are not up to date")]


def sweep_stale(step: StepContext, period: int) -> None:
    """Start what no cause has started: after a mirror's pause, a skipped step, a change of this site's address.

    A dataset with such a job that is open, or waits for a person, is left to that.
    """
    begun = Job.objects.filter(pipeline="describe", state__in=[Job.State.OPEN, Job.State.FAILED])
    datasets = list(Dataset.objects.exclude(pk__in=begun.values("subject")).values_list("pk", flat=True))
    step.progress(total_units=len(datasets))
    for done, dataset_id in enumerate(datasets, start=1):
        if any(stale_rows(dataset_id)):
            request_descriptions(dataset_id, cause=f"sweep:{period}:{dataset_id}")
        step.progress(done_units=done)


def describe_deposit(step: StepContext, deposit_id: int) -> None:
    """Bring the metadata of a public deposit to what our rows say. Safe to run twice."""
    deposit = find(deposit_id)
    backend, draft = connect(deposit.mirror), draft_of(deposit)
    described = until_settled(lambda: record(find(deposit_id)), lambda one: backend.describe(draft, one))
    with step.finish():
        Deposit.objects.filter(pk=deposit_id).update(
            described_digest=digest_of(described), described_at=timezone.now()
        )


def bring_doi(step: StepContext, doi_id: int) -> None:
    """Let a DOI be found, lead to its page and say what our rows say; nothing for what is not public yet.

    Safe to run twice.
    """
    doi = rows.read(doi_id)
    if not rows.is_public(doi):
        return
    provider = provider_of(doi.dataset)
    described = until_settled(lambda: rows.record_of(rows.read(doi_id)), lambda one: provider.register(doi.name, one))
    now, newest = timezone.now(), rows.read(doi_id)
    with step.finish():
        Doi.objects.filter(pk=doi_id).update(
            state=rows.state_of(newest),
            described_digest=digest_of(described),
            described_at=now,
            registered_at=Coalesce("registered_at", Value(now, output_field=DateTimeField())),
            updated_at=now,
        )
        if newest.version is None and newest.registered_at is None and not is_test_doi(newest.name):
            # The catalogue cites the dataset by it from now on.
            request_edition(f"{newest.dataset}: {newest.name} leads to it", now=now)


def until_settled(read: Callable[[], Record], act: Callable[[Record], None]) -> Record:
    """Act on what the rows say, and again if that changed while it was done; gives what was said last."""
    described = read()
    while True:
        act(described)
        newest = read()
        if newest == described:
            return described
        described = newest


def expand_ask(dataset_id: int) -> Sequence[StepSpec]:
    """Give a step for each deposit of a withdrawn version that only the staff of its service can take away.

    It is asked for once, whatever is described afterwards.
    """
    withdrawn = public_deposits(dataset_id).filter(version__state=Version.State.WITHDRAWN)
    lasting = {one.pk: one for one in withdrawn if traits_of(one.mirror).is_lasting}
    asked = Step.objects.filter(function=ASK, subject__in=lasting).values_list("subject", flat=True)
    return [StepSpec(ASK, pk, str(one)) for pk, one in lasting.items() if pk not in set(asked)]


def ask_staff(_step: StepContext, deposit_id: int) -> None:
    """Tell a person whom to write to; it waits until somebody skips it with the answer as the reason.

    Raises AskStaffError always: our own rights there end at the metadata.
    """
    deposit = find(deposit_id)
    place = deposit.landing_url or deposit.record_id
    by = STAFF.get(Mirror.Kind(deposit.mirror.kind), "its operator")
    raise AskStaffError(
        f"{deposit.version}: it was withdrawn, and its metadata at {deposit.mirror.name} says so, but the files of "
        f"{place} stay public there: only the staff can restrict them. Write to {by}, name that record and the "
        "reason of the withdrawal, and ask them to restrict the files. Then skip this step with their answer as the "
        "reason."
    )
