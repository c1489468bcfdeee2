"""What a change of policies would do at a mirror, and the jobs that bring it about.

1. A change is shown before it is kept: which versions would come, which would go, how many bytes, at what cost.
2. What is wanted and not there is filled in by the deposit's own job. What is there and no longer wanted is removed
   only where that is safe (mirrors/remove.py), and never from a mirror that keeps for ever. What no policy ever
   wanted, as what was adopted, is left: nobody was shown that it would go.
3. Both follow from rows, so that following twice does nothing more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from catalog.models import Asset, DataPackage, Dataset, Version
from catalog.templatetags.amounts import plain_size
from mirrors.connect import traits_of
from mirrors.deposits.as_planned import used_bytes
from mirrors.errors import PolicyRefusedError
from mirrors.models import PUBLIC, Deposit, Mirror, Policy
from mirrors.remove import start_removal
from mirrors.replicate import owe_replicas, reopened, start_deposit, start_opening
from mirrors.safety import safety_of
from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec

GB = 10**9


@dataclass(frozen=True)
class Scope:
    """What one policy covers: one dataset, one package, or (both None) all."""

    package: DataPackage | None = None
    dataset: Dataset | None = None
    is_required: bool = True

    @classmethod
    def of(cls, policy: Policy) -> "Scope":
        return cls(policy.package, policy.dataset, policy.is_required)


@dataclass(frozen=True)
class Line:
    """One version at the mirror of a change: how many files, and their bytes."""

    version: Version
    files: int
    size_bytes: int

    @property
    def name(self) -> str:
        return str(self.version)


@dataclass(frozen=True)
class Outcome:
    """What a change of policies would do at one mirror.

    `kept` is no longer wanted, but cannot be removed there. A change with `refusals` may not be made; `notes` name
    the versions that the mirror cannot take, and why.
    """

    mirror: Mirror
    added: tuple[Line, ...]
    dropped: tuple[Line, ...]
    kept: tuple[Line, ...]
    used_bytes: int
    refusals: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def added_bytes(self) -> int:
        return sum(one.size_bytes for one in self.added)

    @property
    def dropped_bytes(self) -> int:
        return sum(one.size_bytes for one in self.dropped)

    @property
    def added_copies(self) -> int:
        return sum(one.files for one in self.added)

    @property
    def dropped_copies(self) -> int:
        return sum(one.files for one in self.dropped)

    @property
    def bytes_after(self) -> int:
        return self.used_bytes + self.added_bytes - self.dropped_bytes

    @property
    def monthly_cost(self) -> Decimal | None:
        """What the mirror would cost a month afterwards; None where nobody wrote down a price."""
        price = self.mirror.cost_per_gb_month
        return None if price is None else (price * self.bytes_after / GB).quantize(Decimal("0.01"))


def keep_policy(mirror: Mirror, scope: Scope, *, now: datetime) -> Outcome:
    """Add a policy, or change whether it is required, and start what follows; raises PolicyRefusedError."""
    same = mirror.policies.filter(package=scope.package, dataset=scope.dataset)
    outcome = replaced(mirror, same, [scope], now=now)
    with transaction.atomic():
        mirror.policies.update_or_create(
            package=scope.package, dataset=scope.dataset, defaults={"is_required": scope.is_required}
        )
        start_following(mirror, now=now)
    return outcome


def remove_policy(policy: Policy, *, now: datetime) -> Outcome:
    """Remove a policy and start what follows; raises PolicyRefusedError."""
    outcome = replaced(policy.mirror, Policy.objects.filter(pk=policy.pk), [], now=now)
    with transaction.atomic():
        policy.delete()
        start_following(policy.mirror, now=now)
    return outcome


def replaced(mirror: Mirror, old: QuerySet[Policy], new: Sequence[Scope], *, now: datetime) -> Outcome:
    outcome = outcome_if(mirror, old, new, now=now)
    if outcome.refusals:
        raise PolicyRefusedError(" ".join(outcome.refusals))
    return outcome


def outcome_if(mirror: Mirror, old: QuerySet[Policy], new: Sequence[Scope], *, now: datetime) -> Outcome:
    """Compute what would follow if `new` stood in the place of some policies of a mirror."""
    stood = [Scope.of(one) for one in old.select_related("package", "dataset")]
    others = mirror.policies.exclude(pk__in=old.values("pk")).select_related("package", "dataset")
    rest = [Scope.of(one) for one in others]
    return outcome_of(mirror, [*rest, *stood], [*rest, *new], now=now)


def outcome_of(mirror: Mirror, before: Sequence[Scope], after: Sequence[Scope], *, now: datetime) -> Outcome:
    """Compute what a change of a mirror's scopes would do; nothing is written."""
    wanted = set(covered(after).values_list("pk", flat=True))
    there = set(deposited(mirror).values_list("version", flat=True))
    no_more = set(covered(before).values_list("pk", flat=True)) & there - wanted
    lasting = traits_of(mirror).is_lasting
    dropped = lines_of(() if lasting else no_more)
    coming = lines_of(wanted - there)
    too_large = [(one, over_limits(mirror, one)) for one in coming]
    added = tuple(one for one, finding in too_large if not finding)
    refusals = [*refused_drops(mirror, before, dropped, now=now), *refused_bytes(mirror, added, dropped)]
    return Outcome(
        mirror,
        added=added,
        dropped=dropped,
        kept=lines_of(no_more if lasting else ()),
        used_bytes=used_bytes(mirror),
        refusals=tuple(refusals),
        notes=tuple(finding for _line, finding in too_large if finding),
    )


def covered(scopes: Iterable[Scope]) -> QuerySet[Version]:
    """Give the public versions that scopes want at their mirror."""
    return within(
        (one.package.pk if one.package else None, one.dataset.pk if one.dataset else None) for one in scopes
    )


def ever_covered(mirror: Mirror) -> QuerySet[Version]:
    """Give the public versions that any policy of a mirror wants or wanted once."""
    return within(Policy.history.filter(mirror=mirror).order_by().values_list("package", "dataset").distinct())


def within(scopes: Iterable[tuple[int | None, int | None]]) -> QuerySet[Version]:
    """Give the public versions of packages and datasets, by key; a pair of None is all of them."""
    wanted = Q(pk__in=[])
    for package, dataset in scopes:
        if dataset:
            wanted |= Q(dataset=dataset)
        elif package:
            wanted |= Q(dataset__package=package)
        else:
            wanted |= Q(pk__isnull=False)
    return Version.objects.filter(wanted, state__in=PUBLIC)


def deposited(mirror: Mirror) -> QuerySet[Deposit]:
    """Give the deposits of public versions that a mirror has, or that are on their way to it."""
    return Deposit.objects.filter(mirror=mirror, version__state__in=PUBLIC).exclude(state=Deposit.State.REMOVED)


def lines_of(versions: Iterable[int]) -> tuple[Line, ...]:
    """Count files and bytes of versions, given by key; in the order of their names."""
    keys = list(versions)
    sizes = {
        version: (files, size_bytes)
        for version, files, size_bytes in Asset.objects.filter(item__version__in=keys)
        .order_by()
        .values_list("item__version")
        .annotate(Count("pk"), Sum("size_bytes"))
    }
    rows = Version.objects.filter(pk__in=keys).select_related("dataset").order_by("dataset__identifier", "precedence")
    return tuple(Line(one, *sizes.get(one.pk, (0, 0))) for one in rows)


def refused_drops(mirror: Mirror, before: Sequence[Scope], dropped: Sequence[Line], *, now: datetime) -> list[str]:
    """Say why versions may not be dropped: they are required there, or too few whole copies would be left."""
    required = set(covered([one for one in before if one.is_required]).values_list("pk", flat=True))
    left = safety_of([one.version.pk for one in dropped], now=now)
    found = []
    for line in dropped:
        if line.version.pk in required:
            found.append(
                _("%(version)s is required at %(mirror)s. Make it best effort first, then remove it.")
                % {"version": line.version, "mirror": mirror}
            )
        elif line.version.pk in left and not left[line.version.pk].without(mirror.pk).is_enough:
            found.append(too_few(line.version, mirror))
    return found


def too_few(version: Version, mirror: Mirror) -> str:
    return _(
        "%(version)s: without its copy at %(mirror)s fewer than %(operators)s operators in %(countries)s countries "
        "(%(home)s in %(country)s) would hold it whole. Bring it to another mirror first."
    ) % {
        "version": version,
        "mirror": mirror,
        "operators": settings.DFC_MIN_OPERATORS,
        "countries": settings.DFC_MIN_COUNTRIES,
        "home": settings.DFC_MIN_HOME_COPIES,
        "country": settings.DFC_HOME_JURISDICTION,
    }


def refused_bytes(mirror: Mirror, added: Sequence[Line], dropped: Sequence[Line]) -> list[str]:
    """Say that a mirror has no room for what would come."""
    after = used_bytes(mirror) + sum(one.size_bytes for one in added) - sum(one.size_bytes for one in dropped)
    if mirror.capacity_bytes is None or after <= mirror.capacity_bytes:
        return []
    return [
        _(
            "%(mirror)s gives us %(capacity)s, and %(after)s would lie there. Ask its operator for more, or "
            "choose less."
        )
        % {"mirror": mirror, "capacity": plain_size(mirror.capacity_bytes), "after": plain_size(after)}
    ]


def over_limits(mirror: Mirror, line: Line) -> str:
    """Say that a version has more files or bytes than one deposit may have at a mirror; empty if it fits."""
    traits = traits_of(mirror)
    if traits.most_files is not None and line.files > traits.most_files:
        return _("%(version)s has %(files)s files; one record at %(mirror)s may have %(most)s.") % {
            "version": line.version,
            "files": line.files,
            "mirror": mirror,
            "most": traits.most_files,
        }
    if traits.most_bytes is not None and line.size_bytes > traits.most_bytes:
        return _("%(version)s has %(size)s; one record at %(mirror)s may have %(most)s.") % {
            "version": line.version,
            "size": plain_size(line.size_bytes),
            "mirror": mirror,
            "most": plain_size(traits.most_bytes),
        }
    return ""


def start_following(mirror: Mirror, *, now: datetime) -> None:
    """Start the job that brings a mirror to what its policies say; call it where they changed, in its transaction."""
    engine.start(f"follow-policy:{mirror.pk}:{now:%Y%m%dT%H%M%S%f}", "follow-policy", mirror.pk, now=now)


def expand_follow(mirror_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.policies.follow_policies", mirror_id, Mirror.objects.get(pk=mirror_id).name)]


def follow_policies(step: StepContext, mirror_id: int) -> None:
    """Start the deposits that a mirror's policies want and the removals that they allow. Safe to run twice.

    A mirror out of service is left as it is.
    """
    mirror = Mirror.objects.get(pk=mirror_id)
    if not mirror.is_enabled:
        return
    scopes = [Scope.of(one) for one in mirror.policies.select_related("package", "dataset")]
    wanted = covered(scopes)
    there = deposited(mirror)
    owed = [
        one
        for one in lines_of(wanted.exclude(deposits__in=there).values_list("pk", flat=True))
        if not over_limits(mirror, one)
    ]
    step.progress(total_units=len(owed))
    for done, line in enumerate(owed, start=1):
        fill(line.version, mirror)
        step.progress(done_units=done)
    if not traits_of(mirror).is_lasting:
        no_more = there.filter(version__in=ever_covered(mirror)).exclude(version__in=wanted)
        for deposit in no_more.select_related("version__dataset", "mirror"):
            start_removal(deposit, now=timezone.now())


def fill(version: Version, mirror: Mirror) -> None:
    """Owe a mirror the copies of a version, and start the job that brings them."""
    deposit, is_new = Deposit.objects.get_or_create(
        version=version, mirror=mirror, defaults={"created_at": timezone.now()}
    )
    if not is_new:
        deposit = reopened(deposit)
    owe_replicas(deposit)
    (start_opening if traits_of(mirror).has_drafts else start_deposit)(deposit)
