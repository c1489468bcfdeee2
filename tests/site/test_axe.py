"""Every public page: axe finds nothing, nothing scrolls sideways, and it reads without script; in both languages."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.site.running import Installation, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PROVINCES = "ca_natural-earth-2021A000011124_d4c-datapkg-foundation_2022_provinces-territories-50m"
TILES = "ca-bc_vancouver-2022A00055915022_d4c-datapkg-orthoimagery_2022_075mm-index"
OLD, NEW = "v0.1.0-beta", "v0.2.0-beta"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PAGES = {
    "": 200,
    "?q=colombie-britannique": 200,
    "?package=d4c-datapkg-foundation&region=ca&from=2000&to=2030": 200,
    "?q=zebra": 200,
    f"?q={'0' * 64}": 200,
    f"datasets/{PROVINCES}/": 200,
    f"datasets/{PROVINCES}/{NEW}/": 200,
    f"datasets/{PROVINCES}/{NEW}/evidence/": 200,
    f"datasets/{PROVINCES}/{NEW}/rebuild/": 200,
    f"datasets/{PROVINCES}/{OLD}/": 410,
    f"datasets/{TILES}/{OLD}/": 200,
    "mirrors/": 200,
    "nodes/": 200,
    "nodes/register/": 200,
    "help/": 200,
    "nothing/": 404,
}


@pytest.fixture(scope="module")
def site(played: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A demonstration that has gone on: a newer version is public, and the older one was withdrawn."""
    installation = played.copy_to(tmp_path_factory.mktemp("axe"))
    installation.start()
    installation.manage("release", "approve", PROVINCES, NEW, "--by", "reviewer")
    wait_until(lambda: installation.releases()[NEW] == "published", words=installation.words())
    installation.withdraw(PROVINCES, OLD)
    yield installation
    installation.stop()


@pytest.fixture
def opened(site: Installation, browser: Browser) -> Iterator[Any]:
    """Give a page as somebody with a certain screen, theme and browser sees it."""
    contexts = []

    def page(width: int = 1280, theme: str = "light", *, script: bool = True) -> Page:
        context = browser.new_context(
            base_url=site.url,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if theme == "dark" else "light",
            java_script_enabled=script,
        )
        contexts.append(context)
        return context.new_page()

    yield page
    for context in contexts:
        context.close()


def addresses(language: str) -> dict[str, int]:
    return {f"/{language}/{path}": status for path, status in PAGES.items()}


LOOKS = [  # each language, theme and width once; in the long run also the other theme of each
    pytest.param("en", "light", 1280),
    pytest.param("fr", "dark", 390),
    pytest.param("fr", "light", 390, marks=pytest.mark.long),
    pytest.param("en", "dark", 1280, marks=pytest.mark.long),
]


@pytest.mark.parametrize(("language", "theme", "width"), LOOKS)
def test_axe_finds_nothing(opened: Any, language: str, theme: str, width: int) -> None:
    page, found = opened(width, theme), list[str]()
    for address in addresses(language):
        page.goto(address)
        violations = Axe().run(page, options={"runOnly": RULES}).response["violations"]
        found += [f"{address}: {one['id']} {one['nodes'][0]['html']}" for one in violations]
    assert found == []


@pytest.mark.parametrize("language", ["en", "fr"])
def test_nothing_scrolls_sideways_on_the_smallest_screen(opened: Any, language: str) -> None:
    page, found = opened(320), []
    for address in addresses(language):
        page.goto(address)
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > 320:
            found.append(f"{address}: {wide}")
    assert found == []


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_page_answers_and_reads_without_script(opened: Any, language: str) -> None:
    page = opened(script=False)
    for address, status in addresses(language).items():
        answer = page.goto(address)
        assert answer.status == status, address
        assert page.locator("html").get_attribute("lang") == language
        assert page.locator("h1").count() == 1
        assert page.locator("h1").is_visible()
        assert len(page.locator("main").inner_text()) > 60, address


def test_searching_filtering_and_downloading_need_no_script(opened: Any, site: Installation) -> None:
    page = opened(script=False)
    page.goto("/fr/")
    page.get_by_label("Colombie-Britannique").check()
    page.get_by_role("button", name="Appliquer").click()
    assert "region=ca-bc" in page.url
    assert page.get_by_role("heading", level=3).count() == 1
    page.get_by_label("Chercher un jeu de données").fill("orthoimagerie")
    page.get_by_role("button", name="Chercher").click()
    assert "q=orthoimagerie" in page.url
    assert "region=ca-bc" in page.url
    page.get_by_role("heading", level=3).get_by_role("link").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Télécharger").first.click()
    assert download.value.suggested_filename.endswith(".parquet")


def test_filters_open_on_a_phone_without_script(opened: Any) -> None:
    page = opened(390, script=False)
    page.goto("/en/")
    box = page.get_by_label("British Columbia")
    assert not box.is_visible()
    page.get_by_text("Filters", exact=True).click()
    assert box.is_visible()
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto("/en/")
    assert box.is_visible()


def test_a_whole_digest_is_selected_by_one_click(opened: Any) -> None:
    page = opened()
    page.goto(f"/en/datasets/{PROVINCES}/{NEW}/")
    shown = page.locator("#file-data .dg")
    shown.click()
    selected = page.evaluate("getSelection().toString()")
    assert len(selected) == 64
    assert selected == shown.text_content()


def test_download_and_safety_fit_the_first_screen_of_a_phone(opened: Any) -> None:
    page = opened(390)
    page.goto(f"/fr/datasets/{TILES}/{OLD}/")
    button, safety = (page.locator(one).bounding_box() for one in (".get-top .btn", ".safety"))
    assert button is not None
    assert button["height"] >= 44
    assert safety is not None
    assert safety["y"] + safety["height"] < 850
