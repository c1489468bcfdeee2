"""Tell the curators what went wrong at mirrors: letters to all who may see incidents, owed in its transaction.

One letter says all that nobody has been told yet, so that a lost directory is one letter and not a thousand. It is
sent at least once: when the answer of the mail server is lost it goes again, under the same Message-ID.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from mirrors.errors import MailNotTakenError
from mirrors.models import Incident
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec

MOST_LINES = 20


def expand_tell(incident_id: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.checks.tell.tell_curators", incident_id, str(Incident.objects.get(pk=incident_id)))]


def tell_curators(step: StepContext, incident_id: int) -> None:
    """Send one letter of every incident not told yet; nothing to do if another letter has told this one.

    Raises MailNotTakenError, whose words leave the addresses out.
    """
    owed = list(Incident.objects.filter(told_at=None).select_related("mirror", "replica__asset").order_by("pk"))
    if incident_id not in {one.pk for one in owed}:
        return
    try:
        for address in curators():
            letter(address, owed).send()
    except OSError as error:
        raise MailNotTakenError(
            f"The mail server did not take the letter ({type(error).__name__}); it is tried again. If that does not "
            "help, look at DFC_EMAIL_URL."
        ) from None
    with step.finish():
        Incident.objects.filter(pk__in=[one.pk for one in owed]).update(told_at=timezone.now())


def curators() -> list[str]:
    """Give the addresses of all active people who may see incidents; those without an address read the dashboard."""
    backend = "django.contrib.auth.backends.ModelBackend"
    people = get_user_model().objects.with_perm("mirrors.view_incident", backend=backend)
    return sorted(set(people.exclude(email="").values_list("email", flat=True)))


def letter(address: str, incidents: list[Incident]) -> EmailMessage:
    """Write the letter in both languages, since a person's is not known."""
    texts = [written(incidents, language) for language in ("en", "fr")]
    subject = texts[0].partition("\n")[0]
    return EmailMessage(
        subject=subject,
        body="\n\n".join(texts),
        to=[address],
        headers={
            "Message-ID": f"<incident-{incidents[-1].pk}@{urlsplit(settings.DFC_SITE_URL).hostname}>",
            "Auto-Submitted": "auto-generated",
        },
    )


def written(incidents: list[Incident], language: str) -> str:
    with override(language):
        context = {
            "incidents": incidents[:MOST_LINES],
            "more": len(incidents) - MOST_LINES,
            "count": len(incidents),
            "page": f"{settings.DFC_SITE_URL}{reverse('mirrors')}",
            "admin": f"{settings.DFC_SITE_URL}{reverse('admin:mirrors_incident_changelist')}",
        }
        return render_to_string(f"mail/incidents_{language}.txt", context).strip()
