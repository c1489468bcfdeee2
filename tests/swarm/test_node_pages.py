"""The pages of nodes over HTTP, in both languages, and the curators' page of decisions."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone

from swarm.models import Node, NodeLetter
from swarm.own import token_digest
from tests.factories import package
from tests.swarm.factories import TYPED, everything_kept, letter, link, node, person, with_token

pytestmark = pytest.mark.django_db

LANGUAGES = ("en", "fr")
REASON = "The machine stands in a garden."
ANSWERS_KEPT = ("Library, basement rack", "storage@library.example", "Behind the boiler.", 'value="100"')


def post_form(client: Client, language: str = "en", *, address: str = "192.0.2.7", **changes: str) -> Any:
    return client.post(f"/{language}/nodes/register/", TYPED | changes, REMOTE_ADDR=address)


def signed_in(group: str) -> Client:
    client = Client()
    client.force_login(person(group))
    return client


def owner(of: Node, language: str = "en") -> Client:
    """Give a browser in which the owner's page is open."""
    client = Client()
    answer = client.post(f"/{language}/nodes/link/{link(of)}/")
    assert answer.headers["Location"] == f"/{language}/nodes/{of.public_id}/"
    return client


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "path",
    ["", "register/", "registered/", "confirmed/", "erased/", "link/", "link/sent/"],
    ids=lambda path: path or "list",
)
def test_every_public_page_opens_in_both_languages(client: Client, language: str, path: str) -> None:
    answer = client.get(f"/{language}/nodes/{path}")
    assert answer.status_code == 200
    assert f'<html lang="{language}">' in answer.text
    assert answer.text.count("<h1") == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_form_registers_in_the_language_of_the_page(client: Client, language: str) -> None:
    wanted = package()
    answer = post_form(client, language, packages=str(wanted.pk), works_from="22:00", works_until="07:00")
    assert answer.headers["Location"] == f"/{language}/nodes/registered/"
    made = Node.objects.get()
    assert (made.language, made.region, made.jurisdiction, made.quota_bytes) == (language, "ca-qc", "CA", 500 << 30)
    assert (f"{made.works_from:%H:%M}", f"{made.works_until:%H:%M}") == ("22:00", "07:00")
    assert list(made.packages.all()) == [wanted]


@pytest.mark.parametrize("language", LANGUAGES)
def test_errors_keep_what_was_typed_and_are_linked_from_the_summary(client: Client, language: str) -> None:
    wrong = {"quota_gib": "lots", "region": "", "works_from": "22:00"}
    page = post_form(client, language, **wrong)
    assert page.status_code == 422
    for typed in (*ANSWERS_KEPT, 'value="lots"', 'value="22:00"'):
        assert typed in page.text
    summary = page.text.split('<div class="errors"')[1].split("</div>")[0]
    anchors = re.findall(r'href="#(\w+)"', summary)
    assert anchors == ["id_region", "id_quota_gib", "id_works_until"]
    for anchor in anchors:
        assert f'id="{anchor}"' in page.text
        assert f'id="{anchor}_error"' in page.text
    assert page.text.count('aria-invalid="true"') == len(anchors)
    assert not Node.objects.exists()


@pytest.mark.parametrize(
    ("changes", "anchor"),
    [
        ({"email": "library.example"}, "id_email"),
        ({"operator_kind": "robot"}, "id_operator_kind"),
        ({"region": "us-ny"}, "id_region"),
        ({"region": "abroad"}, "id_country"),
        ({"region": "abroad", "country": "ca"}, "id_country"),
        ({"region": "abroad", "country": "zz"}, "id_country"),
        ({"region": "ca-qc", "country": "US"}, "id_country"),
        ({"quota_gib": "5"}, "id_quota_gib"),
        ({"quota_gib": "-1"}, "id_quota_gib"),
        ({"quota_gib": "9" * 30}, "id_quota_gib"),
        ({"upload_limit_mbit_s": "0"}, "id_upload_limit_mbit_s"),
        ({"download_limit_mbit_s": "fast"}, "id_download_limit_mbit_s"),
        ({"works_until": "25:00"}, "id_works_until"),
        ({"packages": "999999"}, "id_packages"),
        ({"display_name": "two\nlines"}, "id_display_name"),
        ({"display_name": "n" * 81}, "id_display_name"),
        ({"notes": "a\0b"}, "id_notes"),
        ({"knows_peers": ""}, "id_knows_peers"),
    ],
)
def test_each_wrong_answer_is_named_at_its_field(client: Client, changes: dict[str, str], anchor: str) -> None:
    page = post_form(client, **changes)
    assert page.status_code == 422
    assert f'href="#{anchor}"' in page.text
    assert not Node.objects.exists()


def test_a_node_abroad_has_the_country_as_its_jurisdiction(client: Client) -> None:
    post_form(client, region="abroad", country="fr")
    made = Node.objects.get()
    assert (made.region, made.jurisdiction, made.place) == ("abroad", "FR", "Outside Canada (FR)")


def test_what_machines_fill_in_registers_nothing_and_looks_the_same(client: Client) -> None:
    honest, machine = post_form(client, email="a@library.example"), post_form(client, website="https://shop.example")
    assert (machine.status_code, machine.headers["Location"]) == (honest.status_code, honest.headers["Location"])
    assert [one.email for one in Node.objects.all()] == ["a@library.example"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_too_many_registrations_are_refused_and_nothing_typed_is_lost(
    client: Client, language: str, settings: Any
) -> None:
    settings.DFC_REGISTRATIONS_PER_NETWORK = 1
    post_form(client, language, email="first@library.example", address="192.0.2.7")
    page = post_form(client, language, address="192.0.2.250")
    assert page.status_code == 429
    assert 86_000 < int(page.headers["Retry-After"]) <= 86_401
    assert all(typed in page.text for typed in ANSWERS_KEPT)
    assert post_form(client, language, address="192.0.3.7").status_code == 302
    assert Node.objects.count() == 2


@pytest.mark.parametrize(
    ("near", "far"), [("2001:db8:1::9", "2001:db8:2::9"), ("2001:db8:1:ffff::1", "2001:db8:5::1")]
)
def test_an_ipv6_network_is_a_48(client: Client, near: str, far: str, settings: Any) -> None:
    settings.DFC_REGISTRATIONS_PER_NETWORK = 1
    post_form(client, email="first@library.example", address="2001:db8:1::1")
    assert post_form(client, email="near@library.example", address=near).status_code == 429
    assert post_form(client, email="far@library.example", address=far).status_code == 302


def test_the_letter_leads_through_a_page_with_one_button(client: Client, post: Callable[[], EmailMessage]) -> None:
    post_form(client, "fr")
    address = re.search(r"http://[^/]+(/fr/nodes/link/\S+/)", str(post().body))
    assert address is not None
    for method in (client.get, client.head, client.get):
        assert method(address[1]).status_code == 200
    assert Node.objects.get().state == "registered"
    assert client.post(address[1]).headers["Location"] == "/fr/nodes/confirmed/"
    assert Node.objects.get().state == "verified"
    assert client.get(address[1]).status_code == client.post(address[1]).status_code == 409


def test_a_button_of_another_site_confirms_nothing() -> None:
    strict = Client(enforce_csrf_checks=True)
    token = link(node("registered"), "confirm")
    assert strict.post(f"/en/nodes/link/{token}/").status_code == 403
    assert Node.objects.get().state == "registered"


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_broken_link_has_its_status_and_a_next_step(client: Client, language: str) -> None:
    late = timezone.now() - timedelta(hours=49)
    links = {
        400: "nothing-of-ours",
        409: link(node(), used_at=timezone.now()),
        410: link(node("registered"), "confirm", made_at=late, sent_at=late),
    }
    for status, token in links.items():
        for method in (client.get, client.post):
            answer = method(f"/{language}/nodes/link/{token}/")
            assert answer.status_code == status
            assert f'href="/{language}/nodes/link/"' in answer.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_asking_for_a_link_gives_the_same_answer_for_everybody(client: Client, language: str) -> None:
    known = node().email
    answers = [
        client.post(f"/{language}/nodes/link/", {"email": email}) for email in (known, "nobody@library.example")
    ]
    assert [answer.headers["Location"] for answer in answers] == [f"/{language}/nodes/link/sent/"] * 2
    assert NodeLetter.objects.count() == 1
    assert client.post(f"/{language}/nodes/link/", {"email": "x"}).status_code == 422


def test_asking_too_often_is_refused_with_a_time(client: Client, settings: Any) -> None:
    settings.DFC_REGISTRATIONS_PER_DAY = 1
    for status in (302, 429):
        answer = client.post("/en/nodes/link/", {"email": "nobody@library.example"})
        assert answer.status_code == status
    assert "Retry-After" in answer.headers


def test_the_list_shows_who_agreed_and_counts_everybody(client: Client) -> None:
    node("active", display_name="Shown <b>library</b>", is_listed=True)
    node("approved", display_name="", is_listed=True, region="ca-yt")
    node("silent", display_name="Hidden cellar", is_listed=False)
    for state in ("registered", "verified", "suspended", "refused", "left"):
        node(state, display_name=f"Not there {state}", is_listed=True)
    page = client.get("/en/nodes/").text
    assert "Shown &lt;b&gt;library&lt;/b&gt;" in page
    assert "anonymous" in page
    assert "Hidden cellar" not in page
    assert "Not there" not in page
    assert "3 nodes, 1.46\u00a0TiB offered" in page
    assert "@library.example" not in page
    assert [word in page for word in ("Active", "Joining", "Silent")] == [True, True, False]


def test_a_long_list_has_pages(client: Client) -> None:
    for number in range(101):
        node("active", display_name=f"Cellar {number}", is_listed=True)
    first, second = (client.get("/en/nodes/", {"page": page}).text for page in (1, 2))
    assert first.count("Cellar") == 100
    assert second.count("Cellar") == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_nobody_but_the_owner_sees_the_page_and_nobody_learns_which_nodes_there_are(
    client: Client, language: str
) -> None:
    answers = [
        client.get(f"/{language}/nodes/{public_id}/")
        for public_id in (node(is_listed=True).public_id, "n-2222222222222222", "anything")
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert len({re.sub(r"n-\w+|anything", "", answer.text) for answer in answers}) == 1


def test_the_owners_page_is_not_kept_by_caches_and_closes_after_hours_or_by_a_button() -> None:
    owned = node()
    browser = owner(owned)
    page = browser.get(f"/en/nodes/{owned.public_id}/")
    assert page.status_code == 200
    assert "no-store" in page.headers["Cache-Control"]
    session = browser.session
    session["nodes"] = {owned.public_id: (timezone.now() - timedelta(seconds=1)).timestamp()}
    session.save()
    assert browser.get(f"/en/nodes/{owned.public_id}/").status_code == 403
    browser = owner(owned)
    browser.post(f"/en/nodes/{owned.public_id}/close/")
    assert browser.get(f"/en/nodes/{owned.public_id}/").status_code == 403


def test_a_session_opens_only_its_own_nodes() -> None:
    mine, other = node(), node()
    browser = owner(mine)
    for path in ("", "token/", "change/", "leave/", "erase/"):
        assert browser.post(f"/en/nodes/{other.public_id}/{path}").status_code == 403
    second = browser.post(f"/en/nodes/link/{link(other)}/")
    assert second.status_code == 302
    assert [browser.get(f"/en/nodes/{one.public_id}/").status_code for one in (mine, other)] == [200, 200]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_token_is_shown_once_by_a_post(language: str) -> None:
    owned = node("approved")
    browser, path = owner(owned, language), f"/{language}/nodes/{owned.public_id}/"
    assert browser.get(f"{path}token/").status_code == 405
    shown = browser.post(f"{path}token/", {"number": "0"})
    token = re.search(r"dfcn_[\w-]+", shown.text)
    assert token is not None
    owned.refresh_from_db()
    assert owned.token_digest == token_digest(token[0])
    assert "dfcn_" not in browser.get(path).text
    assert token[0] not in everything_kept()


def test_a_second_token_replaces_the_first_and_says_so() -> None:
    owned = with_token("active", "dfcn_old")
    page = owner(owned).post(f"/en/nodes/{owned.public_id}/token/", {"number": "1"}).text
    assert "The token before it has ended" in page
    owned.refresh_from_db()
    assert owned.token_digest != token_digest("dfcn_old")


@pytest.mark.parametrize("number", ["0", "", "x", "9" * 6000, "²", "-1"])
def test_a_stale_or_strange_number_makes_no_token(number: str) -> None:
    owned = with_token("active", "dfcn_old")
    answer = owner(owned).post(f"/en/nodes/{owned.public_id}/token/", {"number": number})
    assert answer.status_code == 409
    owned.refresh_from_db()
    assert owned.token_digest == token_digest("dfcn_old")


def test_the_checklist_says_what_is_true_and_what_is_next() -> None:
    owned = node("approved")
    owned.transitions.create(source="registered", to="verified", at=timezone.now(), channel="web")
    owned.transitions.create(source="verified", to="approved", at=timezone.now(), channel="admin")
    page = owner(owned).get(f"/en/nodes/{owned.public_id}/").text
    assert "2 of 6" in page
    assert '<a href="#start">Token shown</a>' in page
    assert "The program that runs on a node is not published yet." in page
    assert "Nothing stored yet" in page


def test_a_reason_is_shown_to_the_owner() -> None:
    owned = node("suspended")
    owned.transitions.create(source="active", to="suspended", at=timezone.now(), channel="admin", reason=REASON)
    page = owner(owned).get(f"/en/nodes/{owned.public_id}/").text
    assert REASON in page
    assert "Show my token" not in page


def test_limits_are_changed_on_a_form_that_is_filled_in() -> None:
    owned = node("active", is_listed=True, upload_limit_mbit_s=100)
    browser, path = owner(owned), f"/en/nodes/{owned.public_id}/change/"
    filled = browser.get(path).text
    assert all(
        words in filled for words in ('value="Library, basement rack"', 'value="500"', 'value="100"', "checked")
    )
    assert browser.post(path, {"quota_gib": "none"}).status_code == 422
    assert browser.post(path, {"display_name": "Attic", "quota_gib": "20"}).status_code == 302
    owned.refresh_from_db()
    assert (owned.display_name, owned.quota_bytes, owned.is_listed) == ("Attic", 20 << 30, False)


@pytest.mark.parametrize(("how", "state"), [("grace", "draining"), ("now", "left")])
def test_leaving_asks_once_more(how: str, state: str) -> None:
    owned = node("active")
    browser, path = owner(owned), f"/en/nodes/{owned.public_id}/leave/"
    assert browser.get(path, {"how": how}).status_code == 200
    assert Node.objects.get().state == "active"
    assert browser.post(path, {"how": how}).status_code == 302
    assert Node.objects.get().state == state
    assert browser.post(path, {"how": how}).status_code == 409
    assert browser.post(path, {"how": "loudly"}).status_code == 302
    assert Node.objects.get().state == state


def test_erasing_asks_once_more_and_closes_the_page() -> None:
    owned = node("active")
    browser, path = owner(owned), f"/en/nodes/{owned.public_id}/"
    assert browser.get(f"{path}erase/").status_code == 200
    assert Node.objects.get().erased_at is None
    assert browser.post(f"{path}erase/").headers["Location"] == "/en/nodes/erased/"
    assert Node.objects.get().email == ""
    assert browser.get(path).status_code == 403


@pytest.mark.parametrize("state", Node.State.values)
def test_the_owners_page_opens_in_every_state(state: str) -> None:
    owned = node(state)
    browser = owner(owned) if state != "registered" else Client()
    assert browser.get(f"/en/nodes/{owned.public_id}/").status_code == (403 if state == "registered" else 200)


DECIDE = "/admin/swarm/node/decide/"


def test_a_bulk_action_is_looked_at_before_anything_is_done(work: Callable[[], int], mailoutbox: Any) -> None:
    curator = signed_in("curator")
    first, second, other = node("verified"), node("verified"), node("active")
    keys = [str(one.pk) for one in (first, second, other)]
    chosen = {"action": "approve", "_selected_action": keys}
    address = curator.post("/admin/swarm/node/", chosen).headers["Location"]
    page = curator.get(address).text
    assert all(one.public_id in page for one in (first, second, other))
    assert page.count("will be passed over") == 1
    assert not NodeLetter.objects.exists()
    done = curator.post(DECIDE, {"act": "approved", "id": keys}, follow=True).text
    assert done.count("Noted for node") == 2
    assert "nothing to decide here" in done
    work()
    assert [Node.objects.get(pk=key).state for key in keys] == ["approved", "approved", "active"]
    assert len(mailoutbox) == 2


def test_a_refusal_without_a_reason_is_asked_again_and_keeps_what_was_written() -> None:
    met = node("verified")
    answer = signed_in("curator").post(DECIDE, {"act": "refused", "id": [met.pk], "reason": "too far"})
    assert answer.status_code == 422
    assert "too far</textarea>" in answer.text
    assert not NodeLetter.objects.exists()


@pytest.mark.parametrize(("group", "act"), [("auditor", "approved"), ("", "approved"), ("curator", "suspended")])
def test_nobody_decides_without_the_permission(group: str, act: str) -> None:
    met = node("verified" if act == "approved" else "active")
    client = signed_in(group)
    assert client.get(DECIDE, {"act": act, "id": str(met.pk)}).status_code == 403
    assert client.post(DECIDE, {"act": act, "id": [met.pk], "reason": REASON}).status_code == 403
    assert not NodeLetter.objects.exists()


@pytest.mark.parametrize("ids", [["x"], ["9" * 30], ["-1"], []])
def test_strange_ids_name_no_node(ids: list[str]) -> None:
    answer = signed_in("curator").post(DECIDE, {"act": "approved", "id": ids})
    assert "No node was chosen" in answer.text


@pytest.mark.parametrize(("group", "sees"), [("curator", True), ("node-steward", True), ("auditor", False)])
def test_the_address_is_shown_only_to_those_who_decide(group: str, *, sees: bool) -> None:
    met = with_token("active")
    page = signed_in(group).get(f"/admin/swarm/node/{met.pk}/change/")
    assert page.status_code == 200
    assert (met.email in page.text, "Behind the boiler." in page.text) == (sees, sees)
    assert met.token_digest not in page.text


def test_a_stranger_sees_no_nodes_in_the_admin(client: Client) -> None:
    met = node()
    for path in ("/admin/swarm/node/", f"/admin/swarm/node/{met.pk}/change/", DECIDE):
        assert client.get(path).status_code == 302
    assert signed_in("").get("/admin/swarm/node/").status_code == 403


def test_a_node_has_the_buttons_of_its_state_and_of_the_person() -> None:
    active, waiting = node("active"), node("verified")
    curator, steward = signed_in("curator"), signed_in("node-steward")
    assert "act=suspended" in steward.get(f"/admin/swarm/node/{active.pk}/change/").text
    assert "act=" not in curator.get(f"/admin/swarm/node/{active.pk}/change/").text
    page = curator.get(f"/admin/swarm/node/{waiting.pk}/change/").text
    assert "act=approved" in page
    assert "act=refused" in page


def test_failed_work_is_shown_and_tried_again_from_the_page(work: Callable[[], int], settings: Any) -> None:
    backend, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "tests.swarm.mailboxes.NobodyThere"
    met, curator = node("verified"), signed_in("curator")
    curator.post(DECIDE, {"act": "approved", "id": [met.pk]})
    assert "decided, not carried out yet" in curator.get(f"/admin/swarm/node/{met.pk}/change/").text
    work()
    page = curator.get(f"/admin/swarm/node/{met.pk}/change/").text
    assert "code 550" in page
    assert "act=retry" in page
    assert "act=leave-out" in page
    settings.EMAIL_BACKEND = backend
    curator.post(DECIDE, {"act": "leave-out", "id": [met.pk], "reason": "The address does not exist."})
    work()
    met.refresh_from_db()
    assert met.state == "approved"


def test_letters_and_history_are_read_only_and_hide_the_key_of_links() -> None:
    made = letter(node())
    steward = signed_in("node-steward")
    for path in ("nodeletter", "nodetransition", "node"):
        assert steward.get(f"/admin/swarm/{path}/").status_code == 200
        assert steward.get(f"/admin/swarm/{path}/add/").status_code == 403
    assert made.key not in steward.get(f"/admin/swarm/nodeletter/{made.pk}/change/").text
