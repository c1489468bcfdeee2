"""Pictures of every page in both languages, both themes, at the width of a desk and of a phone.

python -m tests.site.screenshots DIR     every page, from an installation that it starts and stops
python -m tests.site.screenshots --readme    only the two pictures of README.md, into docs/images
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.site.running import ROOT, Installation

LANGUAGES, THEMES = ("en", "fr"), ("light", "dark")
WIDTHS = {"desk": 1280, "phone": 390}
HEIGHT, README_HEIGHT = 900, 1000
PROVINCES = "ca_natural-earth-2021A000011124_d4c-datapkg-foundation_2022_provinces-territories-50m"
TILES = "ca-bc_vancouver-2022A00055915022_d4c-datapkg-orthoimagery_2022_075mm-index"
WAITING = "v0.2.0-beta"
PUBLIC = {
    "home": "/{language}/",
    "home-search": "/{language}/?q=colombie-britannique",
    "home-filtered": "/{language}/?package=d4c-datapkg-foundation&from=2020&to=2024",
    "home-nothing": "/{language}/?q=zebra",
    "home-digest": "/{language}/?q=" + "0" * 64,
    "dataset": f"/{{language}}/datasets/{PROVINCES}/",
    "version": f"/{{language}}/datasets/{PROVINCES}/v0.1.0-beta/",
    "version-tiles": f"/{{language}}/datasets/{TILES}/v0.1.0-beta/",
    "evidence": f"/{{language}}/datasets/{PROVINCES}/v0.1.0-beta/evidence/",
    "mirrors": "/{language}/mirrors/",
    "nodes": "/{language}/nodes/",
    "node-register": "/{language}/nodes/register/",
    "help": "/{language}/help/",
    "not-found": "/{language}/nothing/",
}
ADMIN = {
    "admin-home": "/admin/",
    "admin-release": "/admin/releases/release/{release}/change/",
    "admin-board": "/admin/releases/release/{public}/board/",
}


@dataclass(frozen=True)
class Shot:
    """One picture: which page, and how it is looked at."""

    name: str
    path: str
    language: str
    theme: str
    width: str

    @property
    def file(self) -> str:
        return f"{self.name}-{self.language}-{self.theme}-{self.width}.png"


def shots(pages: dict[str, str]) -> Iterator[Shot]:
    for (name, path), language, theme, width in product(pages.items(), LANGUAGES, THEMES, WIDTHS):
        yield Shot(name, path.format(language=language), language, theme, width)


@contextmanager
def opened(browser: Browser, site: Installation, language: str, theme: str, width: int) -> Iterator[Page]:
    context = browser.new_context(
        base_url=site.url,
        viewport={"width": width, "height": HEIGHT},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    context.add_cookies([{"name": "django_language", "value": language, "url": site.url}])
    try:
        yield context.new_page()
    finally:
        context.close()


def take(browser: Browser, site: Installation, shot: Shot, folder: Path, *, as_person: str = "") -> None:
    with opened(browser, site, shot.language, shot.theme, WIDTHS[shot.width]) as page:
        if as_person:
            sign_in(page, as_person, site.passwords()[as_person])
        page.goto(shot.path)
        page.evaluate("document.fonts.ready")
        page.screenshot(path=folder / shot.file, full_page=True)


def sign_in(page: Page, name: str, password: str) -> None:
    page.goto("/admin/login/")
    page.locator("[name=username]").fill(name)
    page.locator("[name=password]").fill(password)
    page.locator("form [type=submit]").last.click()
    page.locator("#user-tools").wait_for()


def admin_pages(site: Installation) -> dict[str, str]:
    """Name the pages of the release that waits for a reviewer, and of one that is public."""
    said = site.words()
    waiting = said.partition("In review: ")[2].partition("/change/")[0].rpartition("/")[2]
    return {name: path.format(release=waiting, public=1) for name, path in ADMIN.items()}


def take_all(browser: Browser, site: Installation, folder: Path) -> None:
    for shot in shots(PUBLIC):
        take(browser, site, shot, folder)
    for shot in shots(admin_pages(site)):
        take(browser, site, shot, folder, as_person="reviewer")
    site.withdraw(TILES, "v0.1.0-beta")
    for shot in shots({"withdrawn": PUBLIC["version-tiles"]}):
        take(browser, site, shot, folder)


def take_readme(browser: Browser, site: Installation, folder: Path) -> None:
    """Take the first screen of a version's page, and of the board of a publication that has just begun."""
    with opened(browser, site, "en", "light", WIDTHS["desk"]) as page:
        page.set_viewport_size({"width": WIDTHS["desk"], "height": README_HEIGHT})
        page.goto(PUBLIC["version"].format(language="en"))
        page.screenshot(path=folder / "version-en.png")
        sign_in(page, "reviewer", site.passwords()["reviewer"])
        page.goto(admin_pages(site)["admin-release"])
        page.get_by_role("button", name="Approve").click()
        page.locator(".stage", has_text="Source bundle").get_by_text("Done").wait_for()
        page.screenshot(path=folder / "board-en.png")


@contextmanager
def running() -> Iterator[Installation]:
    """Start an installation of its own, and wait until the demonstration is there."""
    with tempfile.TemporaryDirectory(prefix="screenshots-") as scratch:
        site = Installation(Path(scratch))
        site.prepare()
        site.start()
        try:
            site.await_demo()
            yield site
        finally:
            site.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the pictures go")
    parser.add_argument("--readme", action="store_true", help="only the pictures of README.md, into docs/images")
    arguments = parser.parse_args()
    if arguments.folder is None and not arguments.readme:
        parser.error("name a folder, or --readme")
    folder = ROOT / "docs" / "images" if arguments.readme else arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    with running() as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        (take_readme if arguments.readme else take_all)(browser, site, folder)
        browser.close()


if __name__ == "__main__":
    main()
