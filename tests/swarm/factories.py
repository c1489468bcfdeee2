"""Rows and answers for tests of volunteers' nodes, each with the fewest fields that are asked for."""

from dataclasses import replace
from itertools import count
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.utils import timezone

from dfc_site.roles import ensure_groups
from swarm.enroll import Offer, Registration
from swarm.links import new_name, sign
from swarm.models import Node, NodeLetter
from swarm.own import token_digest

GIB = 1 << 30
numbers = count(1)
OFFER = Offer(
    display_name="Library, basement rack",
    quota_bytes=500 * GIB,
    upload_limit_mbit_s=100,
    download_limit_mbit_s=None,
    works_from=None,
    works_until=None,
    is_listed=True,
)
ANSWERS = Registration(
    offer=OFFER,
    packages=(),
    operator_kind="institution",
    email="storage@library.example",
    region="ca-qc",
    jurisdiction="CA",
    notes="Behind the boiler.",
)
# What the form of a registration sends: the same answers.
TYPED = {
    "display_name": "Library, basement rack",
    "email": "storage@library.example",
    "operator_kind": "institution",
    "region": "ca-qc",
    "quota_gib": "500",
    "upload_limit_mbit_s": "100",
    "is_listed": "on",
    "notes": "Behind the boiler.",
    "knows_peers": "on",
}


def answers(**changes: Any) -> Registration:
    return replace(ANSWERS, **changes)


def node(state: str = "approved", **fields: Any) -> Node:
    """Give a node in a state, as if it had come there; no letter and no transition says how."""
    facts: dict[str, Any] = {
        "public_id": f"n-{new_name(16)}",
        "display_name": "Library, basement rack",
        "operator_kind": "institution",
        "email": f"owner{next(numbers)}@library.example",
        "language": "en",
        "region": "ca-qc",
        "jurisdiction": "CA",
        "quota_bytes": 500 * GIB,
        "notes": "Behind the boiler.",
        "registered_at": timezone.now(),
    }
    return Node.objects.create(state=state, **{**facts, **fields})


def with_token(state: str = "active", token: str = "dfcn_old") -> Node:  # noqa: S107  a test's token
    return node(state, token_digest=token_digest(token), token_number=1, token_made_at=timezone.now())


def letter(of: Node, kind: str = "open", **fields: Any) -> NodeLetter:
    """Give a letter that was sent just now."""
    now = timezone.now()
    return NodeLetter.objects.create(
        node=of, kind=kind, key=new_name(12), **{"made_at": now, "sent_at": now, **fields}
    )


def link(of: Node, kind: str = "open", **fields: Any) -> str:
    """Give the signed part of the address in such a letter."""
    return sign(letter(of, kind, **fields).key)


def person(group: str = "") -> Any:
    """Give somebody who may enter the admin, in one of our groups or in none."""
    ensure_groups()
    user = get_user_model().objects.create_user(f"{group or 'nobody'}-{next(numbers)}", is_staff=True)
    user.groups.set(Group.objects.filter(name=group))
    return user


def everything_kept() -> str:
    """Give every value of every table of the database as one text."""
    values = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608  our own tables
            values += [bytes(one) if isinstance(one, memoryview) else one for row in cursor.fetchall() for one in row]
    return repr(values)
