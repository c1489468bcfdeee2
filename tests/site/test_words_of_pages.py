"""What pages say, and in which language; the rules behind the words are tested in their own rooms."""

import html
import re
from typing import Any

import polib
import pytest
from django.test import Client

from catalog.models import Version
from dfc_site import demo, translations
from mirrors.models import Replica
from releases.models import Release
from tests import factories

SHORTEST = 16  # characters: shorter English words may well stand in a French page, in a code or in a name


def page_of(release: Release, language: str) -> str:
    version = release.version
    return f"/{language}/datasets/{version.dataset.identifier}/{version.shown}/"


def admin_page_of(release: Release) -> str:
    return f"/admin/releases/release/{release.pk}/change/"


def words_of(client: Client, address: str) -> str:
    """Give what a page says: its text without tags, each run of blanks one blank."""
    text = re.sub(r"<[^>]+>", " ", client.get(address).content.decode())
    return " ".join(html.unescape(text).split())


@pytest.fixture
def reviewer_client(in_review: Release) -> Client:
    client = Client()
    client.force_login(demo.person("reviewer"))
    return client


def english_sentences() -> list[str]:
    entries = polib.pofile(str(translations.catalogue(translations.committed())))
    return [
        entry.msgid
        for entry in entries
        if len(entry.msgid) >= SHORTEST and "%(" not in entry.msgid and entry.msgid != entry.msgstr
    ]


def test_no_english_sentence_stands_on_a_french_page(published: Release, client: Client) -> None:
    identifier = published.version.dataset.identifier
    for address in ("/fr/", "/fr/?q=zebra", f"/fr/datasets/{identifier}/", page_of(published, "fr")):
        words = words_of(client, address)
        assert "Données pour le Canada" in words
        assert [one for one in english_sentences() if one in words] == [], address


def test_no_english_sentence_stands_on_a_french_page_of_curators(in_review: Release, reviewer_client: Client) -> None:
    reviewer_client.cookies["django_language"] = "fr"
    for address in (admin_page_of(in_review), f"/admin/releases/release/{in_review.pk}/board/"):
        words = words_of(reviewer_client, address)
        assert "Publications" in words
        assert [one for one in english_sentences() if one in words] == [], address


def test_a_damaged_copy_is_named_on_the_first_screen(published: Release, client: Client) -> None:
    replica = Replica.objects.filter(asset__item__version=published.version).earliest("pk")
    Replica.objects.filter(pk=replica.pk).update(state=Replica.State.DAMAGED)
    english, french = (words_of(client, page_of(published, language)) for language in ("en", "fr"))
    assert "1 damaged or missing copy is out of service." in english
    assert "1 copie endommagée ou manquante est hors service." in french
    assert 'class="cell-bad"' in client.get(page_of(published, "en")).content.decode()


def test_a_whole_version_says_nothing_of_damage(published: Release, client: Client) -> None:
    words = words_of(client, page_of(published, "en"))
    assert "2 verified copies, 1 operator, 1 country." in words
    assert "out of service" not in words


def test_an_older_version_points_to_the_newest(published: Release, client: Client) -> None:
    assert "A newer version exists." not in words_of(client, page_of(published, "en"))
    factories.version(published.version.dataset, "0.2.0-beta")
    assert "A newer version exists. Go to v0.2.0-beta" in words_of(client, page_of(published, "en"))


def test_a_deprecated_version_says_so_even_when_it_is_the_newest(published: Release, client: Client) -> None:
    Version.objects.filter(pk=published.version_id).update(state=Version.State.DEPRECATED)
    assert "This version is deprecated." in words_of(client, page_of(published, "en"))


def test_the_history_of_a_release_is_in_words_and_names_who_and_how(
    in_review: Release, reviewer_client: Client
) -> None:
    words = words_of(reviewer_client, admin_page_of(in_review))
    history = words[words.index("History") :]
    assert re.search(r"In review \S+ \S+ UTC · author, Command", history)
    assert re.search(r"Built twice \S+ \S+ UTC · Durable engine", history)
    assert re.search(r"Draft \S+ \S+ UTC · author", history)


def test_each_declared_output_shows_the_digest_of_its_first_build(
    in_review: Release, reviewer_client: Client
) -> None:
    page = reviewer_client.get(admin_page_of(in_review)).content.decode()
    first = in_review.builds.earliest("number")
    assert first.outputs.exists()
    for output in first.outputs.all():
        assert output.sha256[-8:] in page


def test_the_admin_changes_language_on_the_same_page(in_review: Release, reviewer_client: Client) -> None:
    address = admin_page_of(in_review)
    page = reviewer_client.get(address).content.decode()
    assert f'name="next" value="{address}"' in page
    answer: Any = reviewer_client.post("/i18n/setlang/", {"language": "fr", "next": address})
    assert answer["Location"] == address
    assert '<html lang="fr"' in reviewer_client.get(address).content.decode()
