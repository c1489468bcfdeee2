"""The next version begins with the release.toml of a published one, whose number changes where it is a value."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from catalog import versions
from catalog.models import Dataset
from catalog.versions import VersionNumberError
from releases.drafts.definition import read_definition
from releases.drafts.rewriting import Change, rewrite
from releases.errors import NotRenewableError
from releases.models import Release
from releases.renew import renewed_definition
from tests import factories
from tests.releases.recipes import (
    IDENTIFIER,
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    drafted,
    recipe,
    release_toml,
)
from tests.releases.second_thoughts import NEW_NAME, dataset

pytestmark = pytest.mark.django_db

PARAMETERS = (
    f'parameters = {{ stem = "{IDENTIFIER}_v1.2.0-beta", "1.2.0-beta" = 1, '
    'parts = [["x", "1.2.0-beta"], "11.2.0-beta", "1.2.0"] }'
)
TEXT = f"""# Made for 1.2.0-beta by hand.
[dataset]
identifier = "{IDENTIFIER}"
title = {{ en = "Words", fr = "Mots" }}
attribution = {{ en = "Made with words.", fr = "Fait avec des mots." }}
bbox = [-80.0, 43.0, -79.0, 44.0]
time = {{ start = "2022-01-01", end = "2022-12-31" }}
licence = {{ id = "CC0-1.0", title = {{ en = "CC0", fr = "CC0" }}, url = "https://licence.example.org/1.2.0-beta" }}
providers = [{{ name = "Example", role = "producer" }}]
[dataset.description]
en = '''
[recipe.parameters]
As in 1.2.0-beta.'''
fr = "Comme dans 1.2.0-beta."
[version]
number = "v1.2.0-beta" # 1.2.0-beta it is
notes = {{ en = "After 1.2.0-beta.", fr = "Après 1.2.0-beta." }}
[recipe]
repository = "words"
commit = "{"a" * 40}"
entry_point = "build-1.2.0-beta.py"
environment = "requirements.lock"
{PARAMETERS}
[[sources]]
name = "words_v1.2.0-beta.txt"
url = "https://upstream.example.org/words_v1.2.0-beta.txt"
sha256 = "{"0" * 64}"
size_bytes = 3
media_type = "text/plain"
[[outputs]]
path = "{IDENTIFIER}_v1.2.0-beta.csv"
key = "data"
role = "data"
media_type = "text/csv"
[[outputs]]
path = '1.2.0-beta/words.7z'
key = "data-2"
role = "data"
media_type = "application/zip"
"""


def published(text: str = TEXT, number: str = "1.2.0-beta") -> Release:
    """Give a published release whose row keeps this release.toml."""
    of = Dataset.objects.first() or dataset()
    by = get_user_model().objects.get_or_create(username="author")[0]
    facts = {"submitter": by, "reviewed_digest": "0" * 64, "approved_at": timezone.now()}
    version = factories.version(of, number)
    return factories.release(version, author=by, state="published", definition=text, **facts)


def test_the_number_changes_where_it_is_a_value_and_nowhere_else() -> None:
    text = renewed_definition(published())
    lines = dict(enumerate(zip(TEXT.splitlines(), text.splitlines(), strict=True), start=1))
    changed = {before: after for before, after in lines.values() if before != after}
    assert changed == {
        'number = "v1.2.0-beta" # 1.2.0-beta it is': 'number = "v1.3.0-beta" # 1.2.0-beta it is',
        f'path = "{IDENTIFIER}_v1.2.0-beta.csv"': f'path = "{IDENTIFIER}_v1.3.0-beta.csv"',
        "path = '1.2.0-beta/words.7z'": "path = '1.3.0-beta/words.7z'",
        PARAMETERS: PARAMETERS.replace("_v1.2.0", "_v1.3.0").replace('["x", "1.2.0', '["x", "1.3.0'),
    }
    assert str(read_definition(text).number) == "1.3.0-beta"


@pytest.mark.parametrize(
    ("number", "taken", "following"),
    [
        ("1.2.0-beta", (), "1.3.0-beta"),
        ("1.2.0-beta", ("1.3.0-beta", "1.4.0-beta"), "1.5.0-beta"),
        ("1.2.0-beta", ("1.3.0",), "1.3.0-beta"),
        ("0.9.3", (), "0.10.0"),
        ("2.0.0-rc.1", ("2.1.0-rc.1",), "2.2.0-rc.1"),
    ],
)
def test_the_next_minor_number_that_is_free_is_taken(number: str, taken: tuple[str, ...], following: str) -> None:
    release = published(TEXT.replace("1.2.0-beta", number), number)
    for other in taken:
        factories.version(release.version.dataset, other, state="draft")
    assert str(read_definition(renewed_definition(release)).number) == following


def test_a_number_may_be_chosen_unless_it_is_taken_or_none() -> None:
    release = published()
    assert read_definition(renewed_definition(release, "v2.0.0")).number == versions.parse("2.0.0")
    with pytest.raises(NotRenewableError, match=r"v1\.2\.0-beta: exists already"):
        renewed_definition(release, "1.2.0-beta")
    with pytest.raises(VersionNumberError):
        renewed_definition(release, "latest")


def test_a_release_that_is_not_published_is_edited_instead() -> None:
    release = published()
    Release.objects.update(state="draft")
    release.refresh_from_db()
    with pytest.raises(NotRenewableError, match=r"it is not published\. Edit this draft instead"):
        renewed_definition(release)


def test_after_a_rename_the_new_name_stands_in_the_same_places() -> None:
    release = published()
    Dataset.objects.update(identifier=NEW_NAME)
    text = renewed_definition(Release.objects.get(pk=release.pk))
    assert text.count(NEW_NAME) == 3
    assert IDENTIFIER not in text
    assert f'stem = "{NEW_NAME}_v1.3.0-beta"' in text


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (TEXT.replace('"v1.2.0-beta"', '"v1.2.\\u0030-beta"'), "could not be changed by itself. Change it by hand"),
        (TEXT + "# dfc-mark-0-end", "Change the number by hand"),
        (TEXT.replace("words.7z", "../x"), r"would be refused.*segment `\.\.`"),
    ],
)
def test_a_text_that_cannot_be_rewritten_is_refused_with_the_remedy(text: str, finding: str) -> None:
    with pytest.raises(NotRenewableError, match=f"(?s){finding}"):
        renewed_definition(published(text))


def test_a_number_that_makes_a_path_too_long_is_refused() -> None:
    release = published(TEXT.replace("1.2.0-beta/words.7z", f"{'w' * 109}_1.2.0-beta"))
    assert renewed_definition(release)
    with pytest.raises(NotRenewableError, match="would be refused"):
        renewed_definition(release, "10.0.0-beta")


def test_a_mark_inside_a_bare_value_is_refused() -> None:
    with pytest.raises(NotRenewableError, match="where it cannot be changed by itself"):
        rewrite("date = 2022-01-01\n", [Change("2022-01-01", "2023-01-01", [("date",)])])


def test_the_page_and_the_command_begin_a_draft_from_it(bench: Path, author: Any, capsys: Any) -> None:
    release = drafted(release_toml(recipe()), author, bench)
    facts = {"submitter": author, "reviewed_digest": "0" * 64, "approved_at": timezone.now()}
    Release.objects.filter(pk=release.pk).update(state="published", **facts)
    call_command("release", "next", IDENTIFIER, "1.0.0")
    text = capsys.readouterr().out
    assert text == release.definition.replace('"1.0.0"', '"1.1.0"')
    call_command("release", "next", IDENTIFIER, "1.0.0", "--number", "3.0.0", "--json")
    assert '"3.0.0"' in json.loads(capsys.readouterr().out)["definition"]
    with pytest.raises(CommandError, match="exists already"):
        call_command("release", "next", IDENTIFIER, "1.0.0", "--number", "1.0.0")
    get_user_model().objects.update(is_staff=True)
    client = Client()
    client.force_login(author)
    address = f"/admin/releases/release/{release.pk}/next/"
    assert "number = &quot;1.1.0&quot;" in client.get(address).content.decode()
    assert "number = &quot;4.0.0&quot;" in client.get(address, {"number": "4.0.0"}).content.decode()
    refused = client.get(address, {"number": "1.0.0"}, follow=True)
    assert "exists already. Choose another number." in refused.content.decode()
    answer = client.post(address, {"definition": text})
    assert answer.status_code == 302
    assert Release.objects.latest("pk").version.number == "1.1.0"


def test_a_stranger_begins_nothing(author: Any) -> None:
    release = published()
    stranger = get_user_model().objects.create_user("stranger", is_staff=True)
    client = Client()
    client.force_login(stranger)
    assert client.get(f"/admin/releases/release/{release.pk}/next/").status_code == 403
