"""What pages ask of mirrors: copies with their newest check, and incidents with what became of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext, gettext_noop

from catalog.models import Asset, Version
from mirrors.models import PUBLIC, Check, Incident, Mirror, Replica
from mirrors.verify import PUBLICLY
from releases.models import Job

# The methods that checks are written with, and the words for them on pages.
METHODS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"listing", gettext_noop("not in its listing")),
        (r"nothing there", gettext_noop("nothing is there")),
        (r"size", gettext_noop("size")),
        (r"(?P<count>\d+) ranges", gettext_noop("%(count)s ranges")),
        (r"(?P<count>\d+) pieces", gettext_noop("pieces compared: %(count)s")),
        (r"range at byte (?P<place>\d+)", gettext_noop("range at byte %(place)s")),
        (r"piece (?P<place>\d+)", gettext_noop("piece %(place)s")),
        (r"(?P<name>sha256|sha1|md5) of the mirror", gettext_noop("%(name)s reported by the mirror")),
        (r"sha256, full re-read", gettext_noop("sha256 of every byte")),
    )
)


def method_words(method: str) -> str:
    """Give the method of a check in the language of the page; one that is not known stays as it was written."""
    base, is_public = method.removesuffix(PUBLICLY), method.endswith(PUBLICLY)
    for pattern, words in METHODS:
        if match := pattern.fullmatch(base):
            said = gettext(words) % match.groupdict()
            return gettext("%(method)s, through the public address") % {"method": said} if is_public else said
    return method


def is_due(replica: Replica, *, now: datetime) -> bool:
    """Tell whether a verified copy's proof is older than DFC_RECHECK_DAYS, so that it is to be read again."""
    if replica.state != Replica.State.VERIFIED or replica.verified_at is None:
        return False
    return now - replica.verified_at > timedelta(days=settings.DFC_RECHECK_DAYS)


def copies_of(version: Version) -> QuerySet[Replica]:
    return Replica.objects.filter(asset__item__version=version).exclude(state=Replica.State.REMOVED)


def mirrors_of_version(version: Version) -> list[Mirror]:
    """Give the mirrors that have a copy of any of a version's files, in the order of the registry."""
    return list(Mirror.objects.filter(pk__in=copies_of(version).values("mirror")))


@dataclass(frozen=True)
class Copy:
    """One copy with the newest check of it."""

    replica: Replica
    check: Check | None


def newest_checks(assets: Iterable[Asset]) -> dict[tuple[int, int], Copy]:
    """Give the copies of files by file and mirror, each with its newest check; two queries however many there are."""
    last = Check.objects.filter(replica=OuterRef("pk")).order_by("-at", "-pk").values("pk")[:1]
    rows = list(Replica.objects.filter(asset__in=[one.pk for one in assets]).annotate(last_check=Subquery(last)))
    checks = Check.objects.in_bulk([key for row in rows if (key := getattr(row, "last_check", None))])
    by_copy = {one.replica_id: one for one in checks.values()}
    return {(row.asset_id, row.mirror_id): Copy(row, by_copy.get(row.pk)) for row in rows}


def incidents() -> QuerySet[Incident]:
    """Give the incidents that pages may show, with what their lines need, the newest first."""
    related = ("mirror", "source", "found_by", "ended_by", "replica__asset__item__version__dataset")
    public = Q(replica=None) | Q(replica__asset__item__version__state__in=PUBLIC)
    return Incident.objects.filter(public).select_related(*related)


@dataclass(frozen=True)
class IncidentLine:
    """One incident, and what became of it: `over`, `under_way`, or `stuck` where a person has to act."""

    incident: Incident
    standing: str


def incident_lines(found: Iterable[Incident]) -> list[IncidentLine]:
    """Say what became of each incident; one query however many there are."""
    rows = list(found)
    keys = [one.repair_key for one in rows if one.replica_id and one.ended_at is None]
    jobs = dict(Job.objects.filter(key__in=keys).values_list("key", "state")) if keys else {}
    return [IncidentLine(one, standing_of(one, jobs.get(one.repair_key, ""))) for one in rows]


def standing_of(incident: Incident, job_state: str) -> str:
    if incident.ended_at is not None:
        return "over"
    return "stuck" if job_state in {Job.State.FAILED, Job.State.CANCELLED} else "under_way"
