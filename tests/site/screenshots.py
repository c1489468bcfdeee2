"""Pictures of every page in both languages, both themes, at the width of a desk and of a phone.

python -m tests.site.screenshots DIR [NAME...]    every page, or those whose names begin so, from an installation that
                                                  it starts and stops
python -m tests.site.screenshots --readme         only the two pictures of README.md, into docs/images
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, Route, sync_playwright

from benchmarks import pages as filled
from tests.site.running import ROOT, Installation, wait_until
from tests.site.screenshot_pages import (
    ADMIN,
    AUTHOR,
    BOARD,
    KEYS,
    MIRROR,
    OPERATING,
    OWNER,
    PROVINCES,
    PUBLIC,
    REPLICAS,
    TILES,
    WAITING,
)

LANGUAGES: tuple[str, ...] = ("en", "fr")
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = {"desk": 1280, "phone": 390}
HEIGHT, README_HEIGHT = 900, 1000
DATASETS, ITEMS = 2000, 20_000
LOOKS = tuple(product(LANGUAGES, THEMES, WIDTHS))
AS_IN_LIFE = {"DFC_PROBE_EVERY_S": "300", "DFC_RECHECK_EVERY_S": "3600"}
OWN_PAGE = (
    "from django.utils import timezone; from tests.swarm.factories import link, node;"
    "one = node('active', token_number=1, token_made_at=timezone.now(), is_listed=True)"
)


@dataclass
class Camera:
    """One browser window that looks at pages in every way, and keeps the pictures in a folder."""

    page: Page
    folder: Path
    wanted: tuple[str, ...] = ()
    keys: dict[str, Any] = field(default_factory=dict)

    def takes(self, name: str) -> bool:
        return not self.wanted or name.startswith(self.wanted)

    def look(self, language: str, theme: Literal["light", "dark"], width: str) -> None:
        self.page.set_viewport_size({"width": WIDTHS[width], "height": HEIGHT})
        self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        origin = "/".join(self.page.url.split("/")[:3])
        self.page.context.add_cookies([{"name": "django_language", "value": language, "url": origin}])

    def shoot(self, pages: dict[str, str]) -> None:
        """Take the pages in every language, theme and width; `{language}` and keys stand in their addresses."""
        for name, path in pages.items():
            for language, theme, width in LOOKS if self.takes(name) else ():
                self.look(language, theme, width)
                self.page.goto(path.format(language=language, **self.keys))
                self.keep(f"{name}-{language}-{theme}-{width}")

    def keep(self, name: str) -> None:
        self.page.evaluate("document.fonts.ready")
        self.page.screenshot(path=self.folder / f"{name}.png", full_page=True)

    def shoot_form(self, name: str, path: str) -> None:
        """Take a form as it looks after it was sent as it is."""
        for language, theme, width in LOOKS if self.takes(name) else ():
            self.look(language, theme, width)
            self.page.goto(path.format(language=language, **self.keys))
            self.page.locator("main form [type=submit]").last.click()
            self.page.get_by_role("alert").wait_for()
            self.keep(f"{name}-{language}-{theme}-{width}")

    def shoot_preview(self, name: str, path: str, action: str) -> None:
        """Take the page between an action on all rows of a list and its effect."""
        for language, theme, width in LOOKS if self.takes(name) else ():
            self.look(language, theme, width)
            self.page.goto(path)
            self.page.locator("#action-toggle").check()
            self.page.locator("select[name=action]").select_option(action)
            self.page.locator(".actions [type=submit]").click()
            self.page.locator("[name=sure]").wait_for(state="attached")
            self.keep(f"{name}-{language}-{theme}-{width}")

    def print(self, name: str, path: str) -> None:
        """Take a page as it goes on paper."""
        for language in LANGUAGES if self.takes(name) else ():
            self.look(language, "light", "desk")
            self.page.emulate_media(media="print", color_scheme="light")
            self.page.goto(path.format(language=language, **self.keys))
            self.keep(f"{name}-{language}-light-desk")
            self.page.emulate_media(media="screen")


@contextmanager
def opened(browser: Browser, url: str) -> Iterator[Page]:
    context = browser.new_context(base_url=url)
    try:
        page = context.new_page()
        page.goto("/healthz")
        yield page
    finally:
        context.close()


def sign_in(page: Page, site: Installation, name: str) -> None:
    page.goto("/admin/login/")
    page.locator("[name=username]").fill(name)
    page.locator("[name=password]").fill(site.passwords()[name])
    page.locator("form [type=submit]").last.click()
    page.locator("#user-tools").wait_for()


def keys_of(site: Installation) -> dict[str, Any]:
    """Give the numbers that stand in the addresses of the admin and of one copy's history."""
    found: dict[str, Any] = json.loads(site.manage("shell", "-v0", "-c", KEYS).splitlines()[-1])
    return found


def bring_in(site: Installation) -> None:
    """Bring two files in from the portal itself, and fail at a third; the pages of an ingest show them."""
    urls = [
        f"{site.url}/d/{PROVINCES}/v0.1.0-beta/{name}" for name in ("source-bundle.tar.gz", "SHA256SUMS", "no.zip")
    ]
    addresses = site.folder / "addresses.txt"
    addresses.write_text("\n".join(["# what is published", *urls]), encoding="utf-8")
    dataset = f"{PROVINCES.removesuffix('-50m')}-10m"
    site.manage("ingest", "new", dataset, "--list", str(addresses), "--by", "author", "--wait")
    site.manage("ingest", "start", "1", "--by", "author")
    wait_until(lambda: "incomplete" in site.manage("ingest", "status", "1", "--json"), words=site.words())


def take_public(camera: Camera, site: Installation) -> None:
    camera.shoot(PUBLIC)
    camera.shoot_form("node-register-errors", "/{language}/nodes/register/")
    camera.print("print-evidence", PUBLIC["evidence"])
    camera.print("print-version", PUBLIC["version"])
    take_failure(camera, site)


def take_failure(camera: Camera, site: Installation) -> None:
    """Take the page for our own errors: what its template gives, at an address of the site."""
    for language in LANGUAGES:
        code = (
            "from django.template.loader import render_to_string; from django.utils.translation import activate;"
            f"activate({language!r}); print(render_to_string('500.html'))"
        )
        answer = partial(answer_with, body=site.manage("shell", "-v0", "-c", code))
        camera.page.route(f"**/{language}/failed/", answer)
    camera.shoot({"failed": "/{language}/failed/"})


def answer_with(route: Route, *, body: str) -> None:
    route.fulfill(body=body, content_type="text/html")


def take_owner(camera: Camera, site: Installation) -> None:
    """Make a node, open its page as its owner, and take what the owner sees."""
    said = site.manage("shell", "-v0", "-c", f"{OWN_PAGE}; print('MADE', one.public_id, link(one))")
    camera.keys["node"], token = said.split("MADE ")[1].split()
    camera.keys["token"] = token
    camera.shoot({"node-open": "/{language}/nodes/link/{token}/"})
    camera.page.goto(f"/en/nodes/link/{token}/")
    camera.page.get_by_role("button").last.click()
    camera.shoot(OWNER)
    camera.shoot({"nodes": PUBLIC["nodes"], "version-node": PUBLIC["version"]})


def take_boards(camera: Camera, site: Installation) -> None:
    """Approve the release that waits while one mirror cannot be written; take its board at work, and failed."""
    second = site.folder / "var" / "mirrors" / "second"
    second.rename(second.with_suffix(".away"))
    second.write_text("no directory", encoding="utf-8")
    site.manage("release", "approve", PROVINCES, WAITING, "--by", "reviewer")
    camera.shoot({"admin-board-running": BOARD})
    camera.look("en", "light", "desk")
    camera.page.goto(BOARD.format(**camera.keys))
    camera.page.get_by_text("Failed, needs a person").first.wait_for(timeout=90_000)
    camera.shoot({"admin-board-failed": BOARD, "admin-home-failed": "/admin/"})
    second.unlink()
    second.with_suffix(".away").rename(second)


def take_decisions(camera: Camera, site: Installation, author: Page) -> None:
    """Withdraw a version as two people do, and take the pages on the way."""
    proposing = Camera(author, camera.folder, camera.wanted, camera.keys)
    proposing.shoot(
        {
            f"admin-propose-{kind}": f"/admin/releases/decision/propose/?kind={kind}&version={{tiles}}"
            for kind in ("withdraw", "deprecate")
        }
    )
    proposing.shoot({"admin-propose-revise": "/admin/releases/decision/propose/?kind=revise&dataset={dataset}"})
    reasons = ("--reason-en", "The licence was wrong.", "--reason-fr", "La licence était fausse.")
    site.manage("release", "withdraw", TILES, "v0.1.0-beta", "--by", "author", *reasons)
    newest = json.loads(site.manage("release", "decisions", "--json"))["decisions"][0]["decision"]
    camera.keys["decision"] = newest
    decision = "/admin/releases/decision/{decision}/change/"
    camera.shoot({"admin-decision": decision})
    proposing.shoot({"admin-decision-own": decision})
    site.manage("release", "second", str(newest), "--by", "reviewer")
    camera.shoot({"admin-decision-done": decision, "withdrawn": PUBLIC["version-tiles"]})


def take_all(browser: Browser, site: Installation, folder: Path, wanted: tuple[str, ...]) -> None:
    bring_in(site)
    keys = keys_of(site)
    with opened(browser, site.url) as page:
        camera = Camera(page, folder, wanted, keys)
        take_public(camera, site)
        take_owner(camera, site)
    with opened(browser, site.url) as page:
        Camera(page, folder, wanted, keys).shoot({"admin-login": "/admin/login/"})
        sign_in(page, site, "admin")
        operating = Camera(page, folder, wanted, keys)
        operating.shoot(OPERATING)
        operating.shoot_preview("admin-preview-pause", MIRROR, "pause")
        operating.shoot_preview("admin-preview-reverify", REPLICAS, "reverify")
    with opened(browser, site.url) as page, opened(browser, site.url) as author:
        sign_in(page, site, "reviewer")
        sign_in(author, site, "author")
        camera = Camera(page, folder, wanted, keys)
        camera.shoot(ADMIN)
        Camera(author, folder, wanted, keys).shoot(AUTHOR)
        take_boards(camera, site)
        take_decisions(camera, site, author)


def take_other_sizes(browser: Browser, folder: Path, wanted: tuple[str, ...]) -> None:
    """Take the pages of lists from a database with nothing in it, and from one with thousands of datasets."""
    lists = {"home": "/{language}/", "mirrors": "/{language}/mirrors/", "nodes": "/{language}/nodes/"}
    with served_rows(0) as url, opened(browser, url) as page:
        Camera(page, folder, wanted).shoot({f"empty-{name}": path for name, path in lists.items()})
    with served_rows(DATASETS) as url, opened(browser, url) as page:
        Camera(page, folder, wanted).shoot(
            {f"full-{name}": path for name, path in lists.items()}
            | {"full-search": "/{language}/?q=québec", "full-page": "/{language}/?page=17"}
        )


@contextmanager
def served_rows(datasets: int) -> Iterator[str]:
    """Serve a database of its own with so many datasets; gives its address."""
    with tempfile.TemporaryDirectory(prefix="screenshots-") as scratch:
        environ = filled.environment(Path(scratch))
        if datasets:
            filled.prepare(Path(scratch), environ, datasets, ITEMS)
        else:
            filled.manage(environ, "migrate", "--verbosity", "0")
            filled.manage(environ, "collectstatic", "--noinput", "--verbosity", "0")
        with filled.serving(environ) as port:
            yield f"http://127.0.0.1:{port}"


def take_readme(browser: Browser, site: Installation, folder: Path) -> None:
    """Take the first screen of a version's page, and of the board of a publication that has just begun."""
    with opened(browser, site.url) as page:
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.set_viewport_size({"width": WIDTHS["desk"], "height": README_HEIGHT})
        page.goto(PUBLIC["version"].format(language="en"))
        page.screenshot(path=folder / "version-en.png")
        sign_in(page, site, "reviewer")
        page.goto(ADMIN["admin-release"].format(**keys_of(site)))
        page.get_by_role("button", name="Approve").click()
        page.locator(".stage", has_text="Source bundle").get_by_text("Done").wait_for()
        page.screenshot(path=folder / "board-en.png")


@contextmanager
def running() -> Iterator[Installation]:
    """Start an installation of its own, and wait until the demonstration is there."""
    with tempfile.TemporaryDirectory(prefix="screenshots-") as scratch:
        site = Installation(Path(scratch))
        site.environment |= AS_IN_LIFE
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
    parser.add_argument("names", nargs="*", help="how the names of the wanted pictures begin; without, all")
    parser.add_argument("--readme", action="store_true", help="only the pictures of README.md, into docs/images")
    arguments = parser.parse_args()
    if arguments.folder is None and not arguments.readme:
        parser.error("name a folder, or --readme")
    folder = ROOT / "docs" / "images" if arguments.readme else arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        with running() as site:
            if arguments.readme:
                take_readme(browser, site, folder)
            else:
                take_all(browser, site, folder, tuple(arguments.names))
        if not arguments.readme:
            take_other_sizes(browser, folder, tuple(arguments.names))
        browser.close()


if __name__ == "__main__":
    main()
