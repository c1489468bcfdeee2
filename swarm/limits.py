"""How often a public form may be used in a day: by one e-mail address, and from one network (IPv4 /24, IPv6 /48).

Where a signature says who writes, only what is refused counts, by network: `note_refusal`, `refuse_busy`.

1. What is kept is one FormUse a use, with a digest of the network and one of the address, keyed by DFC_SECRET_KEY:
   neither can be read back, and without the key none can be tried out.
2. Uses older than a day are deleted within the hour, and after the next use of any form (swarm/forget.py).
3. A refused use is not counted, so the form opens again one day after the oldest use that counts.
4. An address counts whether or not we know it, so that the answer does not tell.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from swarm.errors import TooManyUsesError
from swarm.models import FormUse

DAY = timedelta(days=1)


def note_use(form: str, *, network: str, email: str, now: datetime) -> None:
    """Count one use of a form, or raise TooManyUsesError when the address or the network had its share today.

    Looking and counting are two steps: of requests at the same moment a few more than the share may be let in.
    """
    used = FormUse.objects.filter(form=form, at__gt=now - DAY).order_by("-at")
    limits = (
        ("email_digest", digest("email", email), settings.DFC_REGISTRATIONS_PER_DAY),
        ("network_digest", digest("network", network), settings.DFC_REGISTRATIONS_PER_NETWORK),
    )
    for column, value, limit in limits:
        counting = list(used.filter(**{column: value}).values_list("at", flat=True)[:limit])
        if len(counting) >= limit:
            raise refused(counting[-1] + DAY)
    FormUse.objects.create(form=form, at=now, **{column: value for column, value, _limit in limits})


def note_refusal(form: str, *, network: str, now: datetime) -> None:
    """Count one refused use of a door that is closed only to networks with too many of them (`refuse_busy`)."""
    FormUse.objects.create(form=form, at=now, network_digest=digest("network", network), email_digest="")


def refuse_busy(form: str, *, network: str, limit: int, now: datetime) -> None:
    """Raise TooManyUsesError when `limit` uses by a network were refused within a day."""
    used = FormUse.objects.filter(form=form, at__gt=now - DAY, network_digest=digest("network", network))
    counting = list(used.order_by("-at").values_list("at", flat=True)[:limit])
    if len(counting) >= limit:
        raise refused(counting[-1] + DAY)


def digest(kind: str, value: str) -> str:
    return salted_hmac(f"swarm.limits.{kind}", value, algorithm="sha256").hexdigest()


def forget_uses(now: datetime) -> int:
    """Delete the uses that count no more; gives how many."""
    return FormUse.objects.filter(at__lte=now - DAY).delete()[0]


def refused(again_at: datetime) -> TooManyUsesError:
    words = _(
        "This form was used too often today from your network or with this address. It is open again at %(at)s."
    )
    return TooManyUsesError(words % {"at": f"{again_at:%Y-%m-%d %H:%M} UTC"}, again_at=again_at)
