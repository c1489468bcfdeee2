"""Take a mirror out of service for good: its operator is told first, and has time to answer.

1. The letter goes at once; the mirror serves on until DFC_NOTICE_DAYS later. Without an address of its operator, the
   same time passes.
2. It waits, too, while a version would be left without a whole copy, or with fewer than the settings ask for.
3. Until then the end can be recalled. Afterwards nobody is sent there, and nothing is checked or deposited there;
   what lies there is left, and the evidence of it stays.
"""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override
from simple_history.utils import update_change_reason

from catalog.models import Version
from mirrors.errors import MailNotTakenError, NotEndableError, UnsafeRemovalError
from mirrors.models import PUBLIC, Mirror, Replica
from mirrors.safety import Safety, safety_of
from releases.catalogue import request_edition
from releases.errors import NotAllowedError
from releases.jobs import engine, steering
from releases.jobs.clock import clock
from releases.jobs.context import StepContext
from releases.jobs.errors import StepPaused
from releases.jobs.registry import StepSpec
from releases.models import Job

AT_ONCE = 500  # versions whose safety is counted by one query


def announce_end(mirror: Mirror, *, by: Any, reason: str, now: datetime) -> None:
    """Say that a mirror goes out of service, and owe its operator a letter.

    Raises NotAllowedError; NotEndableError without a reason, or where it is announced already or out of service.
    """
    require_permission(by)
    if not reason.strip():
        raise NotEndableError(_("%(mirror)s: say why, since its operator reads it.") % {"mirror": mirror})
    ends_on = now.date() + timedelta(days=settings.DFC_NOTICE_DAYS)
    with transaction.atomic():
        waiting = Mirror.objects.filter(pk=mirror.pk, is_enabled=True, ends_on=None)
        if waiting.update(ends_on=ends_on, end_reason=reason) != 1:
            raise NotEndableError(
                _("%(mirror)s: its end is announced already, or it is out of service. Look again.")
                % {"mirror": mirror}
            )
        engine.start(key_of(mirror, now), "end-service", mirror.pk, now=now)
    mirror.refresh_from_db()


def recall_end(mirror: Mirror, *, by: Any, reason: str, now: datetime) -> None:  # noqa: ARG001  as all acts of the list
    """Let a mirror serve on whose end was announced; raises NotAllowedError and NotEndableError."""
    require_permission(by)
    with transaction.atomic():
        if Mirror.objects.filter(pk=mirror.pk, is_enabled=True, ends_on__isnull=False).update(ends_on=None) != 1:
            raise NotEndableError(_("%(mirror)s: no end of it is announced.") % {"mirror": mirror})
        for job in Job.objects.filter(pipeline="end-service", subject=mirror.pk, state=Job.State.OPEN):
            steering.cancel(job, by=by)
    mirror.refresh_from_db()


def require_permission(by: Any) -> None:
    if not by.has_perm("mirrors.change_mirror"):
        raise NotAllowedError(
            _("%(person)s: may not change mirrors. Ask an administrator for the permission “%(needed)s”.")
            % {"person": by, "needed": "change_mirror"},
            person=str(by),
        )


def key_of(mirror: Mirror, now: datetime) -> str:
    return f"end-service:{mirror.pk}:{now:%Y%m%dT%H%M%S%f}"


def expand_letter(mirror_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.registry.end_service.tell_operator", mirror_id, Mirror.objects.get(pk=mirror_id).name)]


def expand_end(mirror_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.registry.end_service.end_service", mirror_id, Mirror.objects.get(pk=mirror_id).name)]


def tell_operator(step: StepContext, mirror_id: int) -> None:
    """Send the operator's letter; nothing to do without an address. Sent again if its answer was lost."""
    mirror = Mirror.objects.get(pk=mirror_id)
    if not mirror.owner_email or mirror.ends_on is None:
        return
    try:
        letter(mirror, step.job_key).send()
    except OSError as error:
        raise MailNotTakenError(
            f"The mail server did not take the letter ({type(error).__name__}); it is tried again. If that does not "
            "help, look at DFC_EMAIL_URL."
        ) from None


def letter(mirror: Mirror, name: str) -> EmailMessage:
    """Write the letter in both languages, since the operator's is not known."""
    texts = [written(mirror, language) for language in ("en", "fr")]
    return EmailMessage(
        subject=texts[0].partition("\n")[0],
        body="\n\n".join(texts),
        to=[mirror.owner_email],
        headers={
            "Message-ID": f"<{name.replace(':', '-')}@{urlsplit(settings.DFC_SITE_URL).hostname}>",
            "Auto-Submitted": "auto-generated",
        },
    )


def written(mirror: Mirror, language: str) -> str:
    with override(language):
        page = f"{settings.DFC_SITE_URL}{reverse('mirrors')}"
        return render_to_string(f"mail/mirror_end_{language}.txt", {"mirror": mirror, "page": page}).strip()


def end_service(step: StepContext, mirror_id: int) -> None:
    """Take the mirror out of service when its day has come; until then the step waits. Safe to run twice.

    Raises UnsafeRemovalError while versions need its copies.
    """
    mirror = Mirror.objects.get(pk=mirror_id)
    if mirror.ends_on is None:
        return
    day = datetime.combine(mirror.ends_on, time.min, tzinfo=timezone.get_default_timezone())
    if clock.now() < day:
        raise StepPaused(day)
    refuse_unsafe(mirror, now=clock.now())
    with step.finish():
        mirror.is_enabled, mirror.ends_on = False, None
        mirror.save(update_fields=["is_enabled", "ends_on"])
        update_change_reason(mirror, mirror.end_reason)
        request_edition(f"{mirror.slug}: out of service", now=clock.now())


def refuse_unsafe(mirror: Mirror, *, now: datetime) -> None:
    """Raise UnsafeRemovalError naming a version that needs its copies at this mirror, and how many more do."""
    there = Replica.objects.there().filter(mirror=mirror, asset__item__version__state__in=PUBLIC)
    versions = list(there.values_list("asset__item__version", flat=True).distinct().order_by("asset__item__version"))
    parts = (versions[start : start + AT_ONCE] for start in range(0, len(versions), AT_ONCE))
    needing = [pk for some in parts for pk in needing_of(some, mirror, now=now)]
    if needing:
        first = Version.objects.select_related("dataset").get(pk=needing[0])
        raise UnsafeRemovalError(
            f"{mirror.name}: its day has come, but {first} and {len(needing) - 1} more would be left with too few "
            "whole copies. Bring them to another mirror by a policy, wait until they are verified, then retry here."
        )


def needing_of(versions: Sequence[int], mirror: Mirror, *, now: datetime) -> list[int]:
    """Give the versions that would be left without a whole copy, or with fewer than enough where there is enough."""
    return [pk for pk, safety in safety_of(versions, now=now).items() if is_needed(safety, safety.without(mirror.pk))]


def is_needed(safety: Safety, left: Safety) -> bool:
    return (safety.copies > 0 and left.copies == 0) or (safety.is_enough and not left.is_enough)
