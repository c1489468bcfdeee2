"""Copies in drafts: stored and proved, and of use to nobody before their record is public."""

from django.db.models import Exists, OuterRef

from mirrors.connect import TRAITS
from mirrors.models import Deposit

HIDING = [kind for kind, traits in TRAITS.items() if traits.has_drafts]


def in_draft() -> Exists:
    """Tell, of rows of Replica, which lie in a draft."""
    drafts = Deposit.objects.filter(
        version=OuterRef("asset__item__version"),
        mirror=OuterRef("mirror"),
        mirror__kind__in=HIDING,
        state__in=[Deposit.State.OPEN, Deposit.State.VERIFIED],
    )
    return Exists(drafts)
