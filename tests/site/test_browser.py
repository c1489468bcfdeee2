"""A curator's and a reviewer's way through a browser, on an installation that really runs."""

import hashlib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.site.running import Installation

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

TEXT = Path("examples/natural-earth-provinces/release.toml").read_text(encoding="utf-8")
IDENTIFIER = "ca_natural-earth-2021A000011124_d4c-datapkg-foundation_2022_provinces-territories-50m"
NUMBER = "v0.3.0-beta"
PATIENCE_MS = 240_000


@pytest.fixture(scope="module")
def site(played: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running demonstration: one release public, one in review."""
    installation = played.copy_to(tmp_path_factory.mktemp("site"))
    installation.start()
    yield installation
    installation.stop()


def draft(page: Page, text: str) -> str:
    """Draft from a pasted text; gives the address of the release."""
    page.goto("/admin/releases/release/add/")
    page.get_by_label("release.toml", exact=True).fill(text)
    page.get_by_role("button", name="Keep as draft").click()
    page.get_by_role("button", name="Build").wait_for()
    return page.url


def build_and_submit(page: Page, address: str) -> None:
    page.get_by_role("button", name="Build").click()
    page.get_by_role("link", name="To the release").click(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Submit for review").click()
    page.get_by_text("You wrote or submitted it. A second person has to approve it.").wait_for()
    assert page.url == address


def test_a_version_goes_from_a_pasted_text_to_a_download(site: Installation, visit: Any) -> None:
    author = visit("author")
    address = draft(author, TEXT.replace("0.1.0-beta", NUMBER.removeprefix("v")))
    build_and_submit(author, address)
    assert author.get_by_role("button", name="Approve").count() == 0

    stranger = visit()
    answer = stranger.goto(f"/en/datasets/{IDENTIFIER}/{NUMBER}/")
    assert answer.status == 404

    reviewer = visit("reviewer")
    reviewer.goto(address)
    reviewer.get_by_label("Reason or remarks").fill("Compared with the source.")
    reviewer.get_by_role("button", name="Approve").click()
    expect(reviewer.get_by_role("heading", level=1)).to_contain_text(NUMBER)
    reviewer.get_by_role("list", name="Stages").wait_for()
    reviewer.get_by_role("link", name="It is public: see its page.").click(timeout=PATIENCE_MS)

    for language, words in (("en", "Provinces and territories"), ("fr", "Provinces et territoires")):
        stranger.goto(f"/{language}/datasets/{IDENTIFIER}/{NUMBER}/")
        expect(stranger.get_by_role("heading", level=1)).to_contain_text(words)
        expect(stranger.locator("html")).to_have_attribute("lang", language)
        compare_download(site, stranger, "Download" if language == "en" else "Télécharger")


def compare_download(site: Installation, page: Page, word: str) -> None:
    """Follow the page's main button to the bytes, and compare them with the digest that the page shows."""
    door = page.locator("a.btn--main", has_text=word).get_attribute("href")
    assert door is not None
    with urllib.request.urlopen(f"{site.url}{door}", timeout=20) as answer:
        assert answer.url.startswith(f"http://127.0.0.1:{site.mirror_port}/")
        seen = hashlib.sha256(answer.read()).hexdigest()
    shown = page.locator(".dg").all_text_contents()
    assert seen in shown


def test_the_stylesheet_and_the_fonts_really_load(visit: Any) -> None:
    for path in (f"/en/datasets/{IDENTIFIER}/v0.1.0-beta/", "/fr/", "/admin/login/"):
        page, failed = visit(), list[str]()
        page.on("response", lambda answer, failed=failed: failed.append(answer.url) if answer.status >= 400 else None)
        page.on("console", lambda word, failed=failed: failed.append(word.text) if word.type == "error" else None)
        page.goto(path)
        assert failed == []
        background = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--accent')")
        assert background.strip() != ""
        assert page.evaluate("document.fonts.ready.then(() => document.fonts.check('16px \"Hanken Grotesk\"'))")
        assert page.evaluate(
            "[...document.styleSheets].some(one => one.href.includes('dfc.') && one.cssRules.length)"
        )


def test_an_edit_after_review_voids_it(visit: Any) -> None:
    author = visit("author")
    text = TEXT.replace("0.1.0-beta", "0.4.0-beta")
    address = draft(author, text)
    build_and_submit(author, address)
    reviewer = visit("reviewer")
    reviewer.goto(address)
    author.get_by_role("link", name="Edit", exact=True).click()
    author.get_by_label("release.toml", exact=True).fill(text.replace("First edition:", "Very first edition:"))
    author.get_by_role("button", name="Keep as draft").click()
    author.get_by_role("button", name="Build").wait_for()
    reviewer.get_by_role("button", name="Approve").click()
    expect(reviewer.get_by_role("list").filter(has_text="not in review")).to_be_visible()
    reviewer.goto(address)
    assert reviewer.get_by_role("button", name="Approve").count() == 0


def test_a_wrong_text_keeps_what_was_typed_and_names_every_finding(visit: Any) -> None:
    author = visit("author")
    author.goto("/admin/releases/release/add/")
    wrong = TEXT.replace('key = "data-2"', 'key = "extra"').replace('role = "producer"', 'role = "maker"')
    author.get_by_label("release.toml", exact=True).fill(wrong)
    author.get_by_role("button", name="Keep as draft").click()
    summary = author.get_by_role("alert")
    expect(summary).to_contain_text("2 things to correct; nothing was kept")
    expect(summary.get_by_role("listitem")).to_have_count(2)
    expect(author.get_by_label("release.toml", exact=True)).to_have_value(wrong.replace("\r\n", "\n"))
