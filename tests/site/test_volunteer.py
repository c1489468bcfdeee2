"""A volunteer's way from a form to a token in a browser, with only what is on the screen and in the mailbox."""

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.site.running import Installation, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

FAILED = 500
numbers = count(1)
PUBLIC = ("", "register/", "registered/", "confirmed/", "erased/", "link/", "link/sent/", "link/broken/", "n-222222/")
OWN = ("", "change/", "leave/?how=grace", "leave/?how=now", "erase/")


@pytest.fixture(scope="module")
def site(played: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running demonstration whose letters lie in a folder."""
    installation = played.copy_to(tmp_path_factory.mktemp("volunteer"))
    installation.environment |= {
        "DFC_EMAIL_URL": f"filemail:///{installation.folder / 'mail'}",
        "DFC_LETTER_PAUSE_S": "0.1",
        "DFC_REGISTRATIONS_PER_NETWORK": "1000",
    }
    installation.start()
    yield installation
    installation.stop()


def letters(site: Installation, address: str) -> list[EmailMessage]:
    """Give the letters to an address, the oldest first."""
    found = []
    for path in sorted((site.folder / "mail").glob("*"), key=lambda one: (one.stat().st_mtime_ns, one.name)):
        message = message_from_bytes(path.read_bytes().partition(b"\n" + b"-" * 79)[0], policy=policy.default)
        if isinstance(message, EmailMessage) and message["To"] == address:
            found.append(message)
    return found


def link_of(site: Installation, address: str, *, number: int = 1) -> str:
    """Wait for a letter to an address, the first or a later one; give its link."""
    wait_until(lambda: len(letters(site, address)) >= number, words=f"no letter {number} to {address}")
    text = letters(site, address)[number - 1].get_content()
    found = re.search(r"http\S+/nodes/link/[^/\s]+/", text)
    assert found is not None
    return found[0]


def findings(page: Page) -> list[str]:
    """Give what axe finds on the page as it is."""
    return [f"{one['id']} {one['nodes'][0]['html']}" for one in Axe().run(page).response["violations"]]


def new_address() -> str:
    return f"volunteer{next(numbers)}@library.example"


def register(page: Page, address: str, name: str = "Library, basement rack") -> None:
    page.goto("/en/nodes/")
    page.get_by_role("link", name="Register a node").click()
    page.get_by_label("Name shown in public").fill(name)
    page.get_by_label("E-mail").fill(address)
    page.get_by_label("An institution", exact=True).check()
    page.get_by_label("Where it stands").select_option(label="Quebec")
    page.get_by_label("Works from").fill("22:00")
    page.get_by_label("Works until").fill("07:00")
    page.get_by_label("Orthoimagery").check()
    page.get_by_label("Show this node in the public list").check()
    page.get_by_label("I understand that other peers").check()
    page.get_by_role("button", name="Register and confirm by e-mail").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look in your mailbox")


def confirm(page: Page, link: str) -> None:
    page.goto(link)
    assert findings(page) == []
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your address is confirmed")


def approve(curator: Page, public_id: str) -> None:
    """Find the node in the admin's list, and approve it."""
    curator.goto("/admin/")
    curator.get_by_role("link", name="Nodes", exact=True).first.click()
    curator.get_by_role("link", name=public_id).click()
    curator.get_by_role("link", name="Approve…").click()
    curator.get_by_role("button", name="Approve").click()
    expect(curator.get_by_text(f"Noted for node {public_id}")).to_be_visible()


def become_owner(site: Installation, visit: Any, page: Page, address: str) -> str:
    """Walk the whole way to the owner's page; give the public id."""
    register(page, address)
    page.goto(link_of(site, address))
    public_id = page.get_by_text(re.compile(r"n-\w{16}")).inner_text().strip()
    confirm(page, link_of(site, address))
    approve(visit("author"), public_id)
    page.goto(link_of(site, address, number=2))
    assert findings(page) == []
    page.get_by_role("button", name="Open the page").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Library, basement rack")
    wait_until(lambda: page.reload() and page.get_by_text("Joining").count(), words="not approved")
    return public_id


def test_a_stranger_becomes_the_owner_of_a_node_and_sees_its_token_once(site: Installation, visit: Any) -> None:
    page, address = visit(), new_address()
    become_owner(site, visit, page, address)
    expect(page.get_by_role("heading", level=1)).to_have_text("Library, basement rack")
    page.get_by_role("button", name="Show my token").click()
    first = page.locator("pre", has_text="dfcn_").first.inner_text()
    assert re.fullmatch(r"dfcn_[\w-]{43}", first)
    assert findings(page) == []
    page.goto(page.url.removesuffix("token/"))
    assert first not in page.content()
    page.get_by_role("button", name="Show a new token").click()
    expect(page.get_by_text("The token before it has ended")).to_be_visible()
    assert first not in page.content()
    stranger = visit()
    stranger.goto("/en/nodes/")
    row = stranger.get_by_role("row", name=re.compile("Library, basement rack")).first
    expect(row).to_contain_text("Joining")
    assert address not in stranger.content()
    assert stranger.goto(page.url.removesuffix("token/")).status == 403


def test_the_clear_token_lies_in_no_file_of_the_installation(site: Installation, visit: Any) -> None:
    page = visit()
    become_owner(site, visit, page, new_address())
    page.get_by_role("button", name="Show my token").click()
    token = page.locator("pre", has_text="dfcn_").first.inner_text().encode()
    kept = [path for path in (site.folder / "var").glob("dfc.sqlite3*") if token in path.read_bytes()]
    assert kept == []
    assert token not in site.log.read_bytes()


def status_of(page: Page, address: str) -> int:
    answer = page.goto(address)
    assert answer is not None
    return answer.status


def test_reused_forged_expired_and_doubled_links_say_what_to_do(site: Installation, visit: Any) -> None:
    page, address = visit(), new_address()
    register(page, address)
    first = link_of(site, address)
    register(page, address)
    second = link_of(site, address, number=2)
    assert first != second
    confirm(page, second)
    for link, status, words in (
        (first, 409, "confirmed already"),
        (second, 409, "confirmed already"),
        (f"{first[:-3]}/", 400, "a part of it is missing"),
        (first[:-1] + second.rsplit("/", 2)[1] + "/", 400, "not made by us"),
    ):
        assert status_of(page, link) == status
        expect(page.get_by_text(words)).to_be_visible()
        expect(page.get_by_role("link", name="Ask for a new link")).to_be_visible()
    page.get_by_role("link", name="Ask for a new link").click()
    page.get_by_label("E-mail").fill(address)
    page.get_by_role("button", name="Send the link").click()
    page.goto(link_of(site, address, number=3))
    page.get_by_role("button", name="Open the page").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Library, basement rack")


def make_older(site: Installation, address: str, *, hours: int) -> None:
    code = (
        "from datetime import timedelta; from django.utils import timezone; from swarm.models import NodeLetter;"
        f"old = timezone.now() - timedelta(hours={hours});"
        f"NodeLetter.objects.filter(node__email='{address}').update(made_at=old, sent_at=old)"
    )
    site.manage("shell", "-c", code)


def test_an_expired_link_leads_to_a_new_registration(site: Installation, visit: Any) -> None:
    page, address = visit(), new_address()
    register(page, address)
    link = link_of(site, address)
    make_older(site, address, hours=49)
    assert status_of(page, link) == 410
    expect(page.get_by_text("older than 48 hours")).to_be_visible()
    page.get_by_role("link", name="Register", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Protect data with your disk")
    register(page, address)
    confirm(page, wait_until(lambda: newer_than(site, address, link), words="no newer letter"))


def newer_than(site: Installation, address: str, link: str) -> str:
    """Give the newest link to an address once it is another one; empty until then."""
    newest = link_of(site, address, number=len(letters(site, address)))
    return "" if newest == link else newest


def test_a_double_click_confirms_once(site: Installation, visit: Any) -> None:
    page, address = visit(), new_address()
    register(page, address)
    page.goto(link_of(site, address))
    page.get_by_role("button", name="Confirm").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("is confirmed|does not work"))
    page.goto(link_of(site, address))
    expect(page.get_by_text("confirmed already")).to_be_visible()
    counted = site.manage(
        "shell",
        "-c",
        "from swarm.models import NodeTransition as T; "
        f"print('moves', T.objects.filter(node__email='{address}', to='verified').count())",
    )
    assert "moves 1" in counted


def test_errors_take_the_focus_and_keep_what_was_typed(visit: Any) -> None:
    page = visit()
    page.goto("/en/nodes/register/")
    page.get_by_label("E-mail").fill("library.example")
    page.get_by_label("Anything we should know").fill("Behind the boiler.")
    page.get_by_role("button", name="Register and confirm by e-mail").click()
    summary = page.get_by_role("alert")
    expect(summary).to_contain_text("There are 3 problems")
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="Enter an address like").click()
    expect(page.get_by_label("E-mail")).to_be_focused()
    expect(page.get_by_label("E-mail")).to_have_value("library.example")
    expect(page.get_by_label("Anything we should know")).to_have_value("Behind the boiler.")


def test_a_french_speaker_gets_french_letters(site: Installation, visit: Any) -> None:
    page, address = visit(), new_address()
    page.goto("/fr/nodes/register/")
    page.locator("[name=email]").fill(address)
    page.locator("[name=region]").select_option("ca-qc")
    page.locator("[name=knows_peers]").check()
    page.locator("main form button[type=submit]").click()
    page.wait_for_url("**/fr/nodes/registered/")
    link = link_of(site, address)
    assert "/fr/nodes/link/" in link
    message = letters(site, address)[0]
    assert message["Subject"].strip() == "Votre adresse a été saisie pour inscrire un nœud"
    assert "500\u00a0Gio" in message.get_content()
    page.goto(link)
    expect(page.locator("html")).to_have_attribute("lang", "fr")


@pytest.fixture(scope="module")
def owned(site: Installation, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A node and the cookies of its owner's browser, made without the browser's help."""
    code = (
        "from django.utils import timezone; from tests.swarm.factories import link, node;"
        "one = node('active', token_number=1, token_made_at=timezone.now(), is_listed=True);"
        "print('MADE', one.public_id, link(one))"
    )
    public_id, token = site.manage("shell", "-c", code).split("MADE ")[1].split()
    context = browser.new_context(base_url=site.url)
    page = context.new_page()
    page.goto(f"/en/nodes/link/{token}/")
    page.get_by_role("button", name="Open the page").click()
    cookies = tmp_path_factory.mktemp("owner") / "cookies.json"
    context.storage_state(path=cookies)
    context.close()
    return public_id, cookies


def look_at(page: Page, address: str) -> list[str]:
    """Give what axe finds on a page, whether it is our error, and whether it scrolls sideways at 320 px."""
    found = [f"{address}: our error"] if status_of(page, address) == FAILED else []
    found += [f"{address}: {one}" for one in findings(page)]
    page.set_viewport_size({"width": 320, "height": 800})
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append(f"{address}: scrolls sideways at 320 px")
    found += [f"{address} at 320 px: {one}" for one in findings(page)]
    page.set_viewport_size({"width": 1280, "height": 900})
    return found


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("fr", "dark")])
def test_every_page_is_accessible_and_fits_a_small_screen(
    site: Installation, browser: Browser, owned: tuple[str, Path], language: str, scheme: Any
) -> None:
    public_id, cookies = owned
    context = browser.new_context(base_url=site.url, storage_state=cookies, color_scheme=scheme)
    page, found = context.new_page(), []
    for path in (*PUBLIC, *(f"{public_id}/{own}" for own in OWN)):
        found += look_at(page, f"/{language}/nodes/{path}")
    page.goto(f"/{language}/nodes/register/")
    page.locator("main form button[type=submit]").click()
    page.get_by_role("alert").wait_for()
    found += [f"errors: {one}" for one in findings(page)]
    context.close()
    assert found == []


def test_the_curators_pages_of_nodes_are_accessible(site: Installation, visit: Any, owned: tuple[str, Path]) -> None:
    curator, found = visit("admin"), []
    curator.goto("/admin/swarm/node/")
    curator.get_by_role("link", name=owned[0]).click()
    found += Axe().run(curator).response["violations"]
    curator.get_by_role("link", name="Suspend…").click()
    curator.get_by_role("button", name="Suspend").click()
    curator.get_by_role("alert").wait_for()
    found += Axe().run(curator).response["violations"]
    ours = [
        one for one in found if any("dfc" in node["html"] or "id_reason" in node["html"] for node in one["nodes"])
    ]
    assert ours == []
