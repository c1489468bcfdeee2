"""`manage.py release diff` and `compare`: what changed since the version before, and to look at it anew."""

from collections.abc import Callable
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from releases.errors import NotComparableError
from releases.find import find_release
from releases.management.acts import add_version, add_writing, user_of
from releases.models import Transition
from releases.review import newest_diff
from releases.reviews.review_diff import request_diff
from releases.reviews.shown_diff import document_of, overview

CHANNEL = Transition.Channel.COMMAND
Options = dict[str, Any]


def add_acts(acts: Any) -> None:
    one = acts.add_parser("diff", help="Show what changed since the version before, and the number it asks for")
    add_version(one)
    one.add_argument("--json", action="store_true", help="print the whole difference")
    one = acts.add_parser("compare", help="Compare again, after another version was published or withdrawn")
    add_version(one)
    one.add_argument("--wait", action="store_true", help="wait for the job to end, showing progress")
    add_writing(one)


def diff(options: Options) -> dict[str, Any]:
    """Give the whole document, or lines for people."""
    release = find_release(options["dataset"], options["number"])
    found = newest_diff(release)
    if found is None:
        raise NotComparableError(_("%(release)s: nothing was compared yet. Build it first.") % {"release": release})
    document = document_of(found)
    return document if options["json"] else {"lines": [{"line": line} for line in lines_of(document)]}


def lines_of(document: dict[str, Any]) -> list[str]:
    shown, number = overview(document), document["bump"]
    head = f"v{number['before']} → v{number['chosen']}" if number["before"] else f"v{number['chosen']}"
    proposal = _("%(level)s: %(number)s is proposed") % {
        "level": shown["number"]["label"],
        "number": number["proposed"],
    }
    sums = [f"{one['title']}: {one['before']} → {one['after']}" for one in shown["sums"]]
    findings = [f"{one.label}: {one.file} {one.place}: {one.sentence}" for one in shown["remarks"]]
    return [head, *([proposal] if number["before"] else []), *sums, *findings]


def compare(options: Options) -> dict[str, Any]:
    release = find_release(options["dataset"], options["number"])
    job = request_diff(release, by=user_of(options), channel=CHANNEL, now=timezone.now())
    return {"release": str(release.version), "state": release.state, "job": job.key}


ACTS: dict[str, Callable[[Options], dict[str, Any]]] = {"diff": diff, "compare": compare}
