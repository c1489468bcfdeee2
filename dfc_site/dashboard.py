"""What needs a person: one row a thing, the worst first, then the oldest; and what runs by itself.

Counts that need nobody stay out of it. Each row has one verb, and leads to the page where that can be done.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from django.conf import settings
from django.db.models import Count, OuterRef, Q, Subquery
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from catalog.models import CatalogueChange, Version
from mirrors.models import Examination, ExaminationFinding, Incident, Mirror, Replica
from releases.models import Build, Decision, Job, Release, Step, UpstreamNotice
from swarm.models import Node

Words = str | Promise
AT_MOST = 50
LATE = timedelta(minutes=30)
ORDER = {"bad": 0, "warn": 1, "idle": 2}
RENEWING = (UpstreamNotice.Kind.CHANGED, UpstreamNotice.Kind.MOVED)
ENDED = (Step.State.DONE, Step.State.SKIPPED)


@dataclass(frozen=True)
class Task:
    """One thing to do. `kind` is bad, warn or idle; `label` names it, `what` the thing, `finding` what was found.

    `language` is that of a finding as it was stored; empty where it is said in the language of the page.
    """

    kind: str
    label: Words
    what: str
    finding: Words
    since: datetime
    verb: Words
    href: str
    language: str = ""


@dataclass(frozen=True)
class Running:
    """A job under way: how many of the steps known so far are done."""

    what: str
    state: Words
    done: int
    total: int
    is_failed: bool
    href: str


def tasks(user: Any, *, now: datetime) -> list[Task]:
    """Give what this person may do something about, at most AT_MOST of a kind."""
    sources: tuple[tuple[str, Callable[[Any, datetime], Iterator[Task]]], ...] = (
        ("mirrors.view_incident", incidents),
        ("mirrors.examine_mirror", examinations),
        ("releases.view_release", failed_steps),
        ("releases.view_release", reviews),
        ("releases.draft_release", failed_builds),
        ("releases.second_decision", decisions),
        ("releases.ingest_release", upstream_notices),
        ("swarm.approve_node", nodes),
        ("mirrors.verify_replica", overdue),
        ("releases.view_release", late_catalogue),
    )
    found = chain.from_iterable(source(user, now) for permission, source in sources if user.has_perm(permission))
    return sorted(found, key=lambda task: (ORDER[task.kind], task.since))


def incidents(_user: Any, _now: datetime) -> Iterator[Task]:
    related = ("mirror", "replica__asset__item__version__dataset")
    for one in Incident.objects.filter(ended_at=None).select_related(*related)[:AT_MOST]:
        is_copy = one.replica is not None
        yield Task(
            "bad",
            _("Damaged copy") if is_copy else _("Mirror does not answer"),
            f"{one.mirror}: {one.replica.asset}" if one.replica else str(one.mirror),
            one.finding or _("It left every list; a repair goes on by itself."),
            one.found_at,
            _("Open"),
            reverse("admin:mirrors_incident_change", args=[one.pk]),
            "en" if one.finding else "",
        )


def examinations(_user: Any, _now: datetime) -> Iterator[Task]:
    """Name each mirror in service whose newest examination says that it cannot be used so, with the first reason."""
    bad = Examination.objects.newest().filter(result=Examination.Result.BAD, mirror__in=Mirror.objects.in_service())
    reasons = ExaminationFinding.objects.filter(examination=OuterRef("pk"), result=Examination.Result.BAD)
    reason = Subquery(reasons.order_by("pk").values("finding")[:1])
    named: Any = bad.select_related("mirror").annotate(reason=reason)
    for one in named[:AT_MOST]:
        yield Task(
            "bad",
            _("Mirror cannot be used"),
            str(one.mirror),
            (one.reason or "")[:300],
            one.examined_at,
            _("Open"),
            reverse("admin:mirrors_mirror_change", args=[one.mirror_id]),
            "en",
        )


def board_href(job: Job) -> str:
    """Give the board of a release's own job; the list of steps for any other."""
    if job.pipeline in {"build", "publish"}:
        return reverse("admin:releases_release_board", args=[job.subject]) + f"?job={job.pipeline}"
    return reverse("admin:releases_job_change", args=[job.pk])


def failed_steps(_user: Any, _now: datetime) -> Iterator[Task]:
    failed = Step.objects.filter(state=Step.State.FAILED, job__state__in=[Job.State.OPEN, Job.State.FAILED])
    for step in failed.select_related("job").order_by("ended_at")[:AT_MOST]:
        since = step.ended_at or step.due_at
        what = f"{step.job.key}: {step.label}"
        href = board_href(step.job)
        yield Task("bad", _("Step failed"), what, step.error[:300], since, _("Open board"), href, "en")


def reviews(user: Any, _now: datetime) -> Iterator[Task]:
    """List releases in review; who made one is told that somebody else has to act."""
    waiting = Release.objects.filter(state=Release.State.IN_REVIEW).select_related("version__dataset")
    counted = waiting.annotate(errors=Count("findings", filter=Q(findings__severity="error")), all=Count("findings"))
    for release in counted.order_by("created_at")[:AT_MOST]:
        is_own = user.pk in {release.author_id, release.submitter_id}
        entered = release.transitions.filter(to=Release.State.IN_REVIEW).latest("at").at
        yield Task(
            "idle" if is_own else "warn",
            _("Review waits"),
            str(release),
            _("You made it; somebody else has to review it.") if is_own else findings_words(release),
            entered,
            _("Open") if is_own else _("Review"),
            reverse("admin:releases_release_change", args=[release.pk]),
        )


def findings_words(release: Any) -> Words:
    words = _("Findings of the inspection: %(all)s, of which errors: %(errors)s")
    return str(words) % {"all": release.all, "errors": release.errors}


def failed_builds(user: Any, _now: datetime) -> Iterator[Task]:
    """List drafts of this person whose newest build did not succeed."""
    drafts = Release.objects.filter(state=Release.State.DRAFT, author=user.pk).select_related("version__dataset")
    for release in drafts.order_by("created_at")[:AT_MOST]:
        newest = release.builds.filter(purpose=Build.Purpose.REVIEW).exclude(finding="").order_by("-pk").first()
        if newest is not None:
            yield Task(
                "warn",
                _("Build failed"),
                str(release),
                newest.finding[:300],
                newest.ended_at or newest.started_at,
                _("Edit"),
                reverse("admin:releases_release_change", args=[release.pk]),
                "en",
            )


def decisions(user: Any, _now: datetime) -> Iterator[Task]:
    for one in Decision.objects.proposed().select_related("dataset", "version__dataset")[:AT_MOST]:
        is_own = one.proposer_id == user.pk and settings.DFC_APPROVERS > 0
        yield Task(
            "idle" if is_own else "warn",
            _("Proposal waits"),
            f"{one.get_kind_display()}: {one.version or one.dataset}",
            _("You proposed it; somebody else has to answer.") if is_own else one.reason_en,
            one.proposed_at,
            _("Open") if is_own else _("Answer"),
            reverse("admin:releases_decision_change", args=[one.pk]),
        )


def nodes(_user: Any, _now: datetime) -> Iterator[Task]:
    for node in Node.objects.filter(state=Node.State.VERIFIED).order_by("pk")[:AT_MOST]:
        yield Task(
            "warn",
            _("Volunteer waits"),
            node.display_name,
            _("The e-mail address is confirmed; approve or refuse."),
            node.registered_at,
            _("Answer"),
            reverse("admin:swarm_node_change", args=[node.pk]),
        )


def upstream_notices(_user: Any, _now: datetime) -> Iterator[Task]:
    """List what was found of sources and licences; of a source one begins the next version from there."""
    for one in UpstreamNotice.objects.open().select_related("watched__dataset").order_by("found_at")[:AT_MOST]:
        version = Version.objects.latest_of(one.watched.dataset)
        is_renewable = version is not None and one.kind in RENEWING
        yield Task(
            "warn",
            one.get_kind_display(),
            one.watched.dataset.identifier,
            one.finding[:300],
            one.found_at,
            _("New version from this") if is_renewable else _("Open"),
            reverse("admin:releases_release_next", args=[version.release.pk])
            if version is not None and is_renewable
            else reverse("admin:releases_upstreamnotice_changelist") + f"?q={one.pk}",
            "en",
        )


def overdue(_user: Any, now: datetime) -> Iterator[Task]:
    """Name each mirror with copies whose proof is too old; one row a mirror, however many copies."""
    limit = now - timedelta(days=settings.DFC_REPLICA_AGE_DAYS)
    old = Replica.objects.filter(state=Replica.State.VERIFIED, verified_at__lt=limit)
    for row in old.values("mirror__name", "mirror_id").annotate(copies=Count("pk")).order_by("mirror_id")[:AT_MOST]:
        first = old.filter(mirror=row["mirror_id"]).earliest("verified_at").verified_at
        yield Task(
            "warn",
            _("Check overdue"),
            row["mirror__name"],
            str(_("Copies past the policy: %(copies)s")) % row,
            (first or limit) + timedelta(days=settings.DFC_REPLICA_AGE_DAYS),
            _("See copies"),
            reverse("admin:mirrors_replica_changelist") + f"?mirror__id__exact={row['mirror_id']}",
        )


def late_catalogue(_user: Any, now: datetime) -> Iterator[Task]:
    owed = CatalogueChange.objects.filter(edition=None, at__lt=now - LATE).order_by("at").first()
    if owed is not None:
        yield Task(
            "bad",
            _("Catalogue is late"),
            owed.what,
            _("No edition covers this change yet. Look whether the workers run."),
            owed.at,
            _("Open"),
            reverse("admin:catalog_cataloguechange_changelist"),
        )


def running() -> list[Running]:
    """Give what runs now, and what stopped at a failed step, the newest first."""
    jobs = Job.objects.filter(state__in=[Job.State.OPEN, Job.State.FAILED], pipeline__in=["build", "publish"])
    counted = jobs.annotate(total=Count("steps"), done=Count("steps", filter=Q(steps__state__in=ENDED)))
    return [
        Running(
            what=job.key.partition(":")[2],
            state=job.get_state_display(),
            done=job.done,
            total=job.total,
            is_failed=job.state == Job.State.FAILED,
            href=board_href(job),
        )
        for job in counted.order_by("-created_at")[:10]
    ]


def figures(*, now: datetime) -> dict[str, Any]:
    """Give the few counts at the top: copies within the policy, mirrors that answer, steps due, the last edition."""
    limit = now - timedelta(days=settings.DFC_REPLICA_AGE_DAYS)
    proved = Q(state=Replica.State.VERIFIED, verified_at__gte=limit)
    copies = Replica.objects.there().aggregate(all=Count("pk"), proved=Count("pk", filter=proved))
    mirrors = Mirror.objects.filter(is_enabled=True).aggregate(
        all=Count("pk"), answering=Count("pk", filter=Q(state=Mirror.State.ANSWERS))
    )
    oldest = Replica.objects.filter(state=Replica.State.VERIFIED).order_by("verified_at").first()
    due = Step.objects.filter(state=Step.State.DUE, due_at__lte=now, job__state=Job.State.OPEN).count()
    return {"copies": copies, "mirrors": mirrors, "oldest": oldest.verified_at if oldest else None, "due": due}
