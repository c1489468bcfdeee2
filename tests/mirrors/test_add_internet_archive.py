"""What is looked at before the Internet Archive is registered as a mirror."""

from typing import Any

import pytest
from django.utils import timezone

from mirrors.errors import MirrorRefusedError
from mirrors.models import Mirror
from mirrors.registry.add_mirror import add_mirror
from mirrors.registry.mirror_entry import MirrorEntry

pytestmark = pytest.mark.django_db


def entry(**facts: Any) -> MirrorEntry:
    given = {
        "slug": "archive",
        "kind": Mirror.Kind.INTERNET_ARCHIVE,
        "endpoint": "https://archive.org",
        "public_url": "https://archive.org/download",
        "operator": "Internet Archive",
        "jurisdiction": "US",
        "collection": "data-for-canada",
        "settle_s": 300,
    }
    return MirrorEntry(**{**given, **facts})


def test_the_archive_is_registered_with_its_collection() -> None:
    mirror = add_mirror(entry(), now=timezone.now())
    assert (mirror.collection, mirror.settle_s) == ("data-for-canada", 300)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"collection": "no such/collection"}, "is no collection of the Internet Archive"),
        ({"endpoint": "http://archive.org"}, "Use https and a public name"),
        ({"endpoint": "https://10.0.0.7"}, "is in a private network"),
        ({"public_url": "archive.org"}, "is no web address"),
    ],
)
def test_what_cannot_be_right_is_refused_with_a_sentence(facts: dict[str, str], sentence: str) -> None:
    with pytest.raises(MirrorRefusedError, match=sentence):
        add_mirror(entry(**facts), now=timezone.now())
    assert not Mirror.objects.exists()


def test_a_second_account_there_would_be_no_second_copy() -> None:
    add_mirror(entry(), now=timezone.now())
    with pytest.raises(MirrorRefusedError, match="'archive' is at the same service"):
        add_mirror(entry(slug="archive-2"), now=timezone.now())
    assert add_mirror(entry(slug="trial", is_sandbox=True, collection="test_collection"), now=timezone.now()).pk


def test_without_the_package_it_is_not_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrors.registry.mirror_kinds.find_spec", lambda _name: None)
    with pytest.raises(MirrorRefusedError, match="package internetarchive is not installed here"):
        add_mirror(entry(), now=timezone.now())
