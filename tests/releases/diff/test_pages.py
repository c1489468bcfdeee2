"""The reviewer's page shows the whole difference, in both languages; the command and the JSON say the same."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from releases.jobs import engine
from releases.models import Release
from releases.reviews.shown_diff import TABS
from tests import factories
from tests.releases.diff.editions import TOWNS, edition, newest, public, submitted
from tests.releases.recipes import (
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    person,
    reviewer_fixture,  # noqa: F401  a fixture
)

pytestmark = pytest.mark.django_db
SECOND = TOWNS.replace("people", "population").replace("Comox", "Komox") + "4,Delta,108000\n"
EXPECTED = {
    "summary": ("What moves the number", "Rows with other values: 1."),
    "files": ("words.csv", "Changed"),
    "schema": ("population", "Renamed"),
    "statistics": ("108000", "1 row"),
    "rows": ("Rows are told by the column", "New"),
    "map": ("km²", "area-before"),
    "metadata": ("Words, ", "dataset.licence.id"),
    "recipe": ("build.py", "requirements.lock"),
}


@pytest.fixture(name="waiting")
def waiting_fixture(bench: Path, author: Any) -> Release:
    public(edition(author, bench, "1.0.0"))

    def change(text: str) -> str:
        return text.replace("one a line", "two a line").replace("[-80.0", "[-81.0")

    return submitted(edition(author, bench, "1.0.1", SECOND, change=change), author)


@pytest.fixture(name="browser")
def browser_fixture(client: Client, reviewer: Any) -> Client:
    reviewer.is_staff = True
    reviewer.save()
    client.force_login(reviewer)
    return client


def page(release: Release, name: str = "diff") -> str:
    return reverse(f"admin:releases_release_{name}", args=[release.pk])


def test_each_tab_shows_its_part(waiting: Release, browser: Client) -> None:
    assert set(EXPECTED) == set(TABS)
    for tab, words in EXPECTED.items():
        text = browser.get(page(waiting), {"tab": tab}).content.decode()
        missing = [word for word in words if word not in text]
        assert missing == [], tab
        assert "Column `people` is called `population` now" in text, tab
        assert "breaking, 1.0.0 → 2.0.0" in text, tab
        assert newest(waiting).sha256[-8:] in text, tab


def test_every_tab_speaks_french(waiting: Release, browser: Client) -> None:
    for tab in TABS:
        answer = browser.get(page(waiting), {"tab": tab}, headers={"accept-language": "fr"})
        assert (answer.status_code, 'lang="fr"' in answer.content.decode()) == (200, True), tab


def test_the_page_of_the_release_has_the_summary_and_leads_there(waiting: Release, browser: Client) -> None:
    text = browser.get(page(waiting, "change")).content.decode()
    assert page(waiting) in text
    assert "What changed since v1.0.0" in text
    assert "The number 1.0.1 is too small for what changed; 2.0.0 is proposed." in text
    assert re.search(r'btn--main"\s+name="act"\s+value="request-changes"', text)


def test_a_first_edition_has_a_page_too(bench: Path, author: Any, browser: Client) -> None:
    release = edition(author, bench, "1.0.0")
    for tab in TABS:
        text = browser.get(page(release), {"tab": tab}).content.decode()
        assert "This is the first version" in text, tab


def test_without_a_difference_the_page_leads_back(bench: Path, author: Any, browser: Client) -> None:
    release = edition(author, bench, "1.0.0")
    release.diffs.all().delete()
    assert browser.get(page(release))["Location"] == page(release, "change")
    assert "It was not compared with the version before yet." in browser.get(page(release, "change")).content.decode()


def test_the_json_is_the_text_that_the_digest_is_of(waiting: Release, browser: Client) -> None:
    answer = browser.get(page(waiting), {"json": ""})
    assert answer.content.decode() == newest(waiting).body
    assert "v1.0.1_difference.json" in answer["Content-Disposition"]


def test_an_outdated_difference_can_be_compared_again(waiting: Release, browser: Client) -> None:
    factories.item(factories.version(waiting.version.dataset, "1.0.0-rc", published_at=None, state="draft"))
    later = factories.version(waiting.version.dataset, "1.0.1-rc")
    factories.item(later)
    text = browser.get(page(waiting)).content.decode()
    assert 'value="compare"' in text
    assert 'value="approve"' not in text
    browser.post(page(waiting, "act"), {"act": "compare"})
    waiting.refresh_from_db()
    assert waiting.state == Release.State.BUILT
    assert "It is being compared" in browser.get(page(waiting, "change")).content.decode()
    engine.drain(60)
    assert newest(waiting).against == later


def test_a_stranger_sees_no_difference(waiting: Release, client: Client) -> None:
    client.force_login(person("stranger", is_staff=True))
    assert client.get(page(waiting)).status_code == 403


def said(*words: str) -> str:
    out = io.StringIO()
    call_command("release", "diff", *words, stdout=out)
    return out.getvalue()


def test_the_command_says_the_same(waiting: Release) -> None:
    dataset, number = waiting.version.dataset.identifier, waiting.version.shown
    assert json.loads(said(dataset, number, "--json")) == json.loads(newest(waiting).body)
    with override("en"):
        text = said(dataset, number)
    assert "v1.0.0 → v1.0.1" in text
    assert "breaking: 2.0.0 is proposed" in text
    assert "Column `people` is called `population` now" in text


def test_the_public_page_says_what_changed(waiting: Release, client: Client) -> None:
    version = public(waiting)
    Release.objects.filter(pk=waiting.pk).update(approved_at=timezone.now())
    address = reverse("version", args=[version.dataset.identifier, version.shown])
    text = client.get(address).content.decode()
    assert "What changed since v1.0.0" in text
    assert "Column `people` is called `population` now, so readers may break." in text
    assert "too small" not in text
