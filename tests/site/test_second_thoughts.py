"""Second thoughts as people meet them: proposed and seconded in the admin, seen on pages, doors and in catalogues."""

import hashlib
import html
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from catalog.models import Asset, Edition, Version
from catalog.search import search
from dfc_site import demo
from mirrors.checks.recheck import look_again
from mirrors.models import Check, Replica
from releases.jobs import engine
from releases.models import Decision, MetadataRevision, Release
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

ENGLISH, FRENCH = "The licence text was wrong.", "Le texte de licence était faux."
REASONS = {"reason_en": ENGLISH, "reason_fr": FRENCH}
PROPOSE = "/admin/releases/decision/propose/"
GONE = 410


def client_of(by: Any) -> Client:
    client = Client()
    client.force_login(by)
    return client


@dataclass(frozen=True)
class Desk:
    """A published release, and the browsers of two curators."""

    release: Release
    author: Client
    reviewer: Client

    @property
    def version(self) -> Version:
        return Version.objects.select_related("dataset").get(pk=self.release.version_id)

    def propose(self, kind: str, **typed: str) -> Any:
        """Post the form of a proposal as its author; gives the answer."""
        about = {"version": self.version.pk, "dataset": self.version.dataset_id}
        name = "dataset" if kind in {"rename", "revise"} else "version"
        return self.author.post(f"{PROPOSE}?kind={kind}&{name}={about[name]}", REASONS | typed)

    def second(self) -> Any:
        return self.reviewer.post(self.page(), {"act": "second"})

    def page(self) -> str:
        return f"/admin/releases/decision/{Decision.objects.latest('pk').pk}/change/"

    def decide(self, kind: str, **typed: str) -> Version:
        """Propose, second, and let the workers make the catalogue that follows."""
        assert self.propose(kind, **typed).status_code == 302
        assert self.second().status_code == 302
        engine.drain(30)
        return self.version


@pytest.fixture
def desk(published: Release) -> Desk:
    return Desk(published, client_of(demo.person("author")), client_of(demo.person("reviewer")))


def page_of(version: Version, language: str = "en") -> str:
    return f"/{language}/datasets/{version.dataset.identifier}/{version.shown}/"


def words_of(answer: Any) -> str:
    text = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return " ".join(html.unescape(text).split())


def addresses_in(answer: Any) -> list[str]:
    """Give every address of the page's own part, without head and foot."""
    body = answer.content.decode().split("<main", 1)[1].split("</main>", 1)[0]
    return re.findall(r'(?:href|src|action)="([^"]*)"', body)


def listed(edition: Edition, language: str = "en") -> list[tuple[Any, ...]]:
    path = factories.own_path(f"{edition.folder}/{language}/versions.parquet")
    return duckdb.execute("SELECT id, collection, deprecated FROM read_parquet(?)", [str(path)]).fetchall()


def test_a_withdrawn_version_leaves_a_tombstone_in_both_languages(desk: Desk, client: Client) -> None:
    version = desk.decide("withdraw")
    assets = Asset.objects.filter(item__version=version)
    decision = Decision.objects.get()
    assert "This version was withdrawn on" in words_of(client.get(page_of(version)))
    for language, reason in (("en", ENGLISH), ("fr", FRENCH)):
        answer = client.get(page_of(version, language))
        assert answer.status_code == GONE
        words = words_of(answer)
        assert f"{decision.decided_at:%Y-%m-%d}" in words
        assert reason in words
        assert f"https://doi.org/{version.doi}" in words
        assert all(asset.sha256[-8:] in answer.content.decode() for asset in assets)


def test_a_tombstone_has_no_link_to_data(desk: Desk, client: Client) -> None:
    version = desk.decide("withdraw")
    base = page_of(version)
    for address in (base, f"{base}evidence/", base.replace("/en/", "/fr/")):
        links = addresses_in(client.get(address))
        doors = [one for one in links if one.startswith("/d/") or "magnet:" in one or "8001" in one]
        assert doors == [f"/d/{version.dataset.identifier}/{version.shown}/SHA256SUMS"]
        assert client.get(doors[0]).status_code == 200


def test_the_doors_of_a_withdrawn_version_say_that_it_is_gone(desk: Desk, client: Client) -> None:
    version = desk.decide("withdraw")
    asset = Asset.objects.get(item__version=version, key="data")
    door = f"/d/{version.dataset.identifier}/{version.shown}/{asset.path}"
    for suffix in ("", ".torrent", ".mirrors.json"):
        assert client.get(f"{door}{suffix}").status_code == GONE, suffix
    assert asset.sha256 in client.get(f"{door}.sha256").content.decode()
    collection = f"/stac/collections/{version.dataset.identifier}"
    for address in (collection, f"{collection}/items/{version.item_id}"):
        answer = client.get(address)
        assert (answer.status_code, answer.json()["code"]) == (GONE, "Gone")
        assert answer["Access-Control-Allow-Origin"] == "*"
    assert client.get(f"{collection}/items/x").status_code == 404
    assert client.get(f"/en/datasets/{version.dataset.identifier}/latest/").status_code == 404
    assert client.get(f"/d/{version.dataset.identifier}/latest/{asset.path}").status_code == 404


def test_a_tombstone_names_people_only_as_they_wish_to_be_named(desk: Desk, client: Client) -> None:
    get_user_model().objects.filter(username="author").update(first_name="Ada", last_name="Tremblay")
    version = desk.decide("withdraw")
    words = words_of(client.get(page_of(version)))
    assert "Proposed by Ada Tremblay," in words
    assert "Seconded by A curator," in words
    assert "reviewer" not in words


def test_a_tombstone_says_when_no_second_person_looked(desk: Desk, client: Client, settings: Any) -> None:
    settings.DFC_APPROVERS = 0
    desk.propose("withdraw")
    answer = client.get(page_of(desk.version))
    assert answer.status_code == GONE
    assert "not looked at by a second person" in words_of(answer)
    assert "not looked at by a second person" in words_of(desk.author.get(desk.page()))


def test_a_tombstone_leads_to_the_version_to_use_instead(desk: Desk, client: Client) -> None:
    factories.item(factories.version(desk.version.dataset, "0.2.0"))
    named = factories.item(factories.version(desk.version.dataset, "0.1.1")).version
    version = desk.decide("withdraw", instead="0.1.1")
    assert page_of(named) in addresses_in(client.get(page_of(version)))
    Version.objects.filter(pk=named.pk).update(state=Version.State.WITHDRAWN)
    assert "Use v0.2.0 instead" in words_of(client.get(page_of(version)))
    Version.objects.exclude(pk=version.pk).update(state=Version.State.WITHDRAWN)
    assert "no version of this dataset to use instead" in words_of(client.get(page_of(version)))


def test_a_tombstone_tells_the_history_and_what_nobody_can_take_back(desk: Desk, client: Client) -> None:
    desk.decide("deprecate")
    version = desk.decide("withdraw")
    words = words_of(client.get(page_of(version)))
    history = words[words.rindex("History") :]
    order = [history.index(word) for word in ("Withdrawn", "Withdrawal proposed", "Deprecated", "Published")]
    assert order == sorted(order)
    assert "may still answer at a mirror until its operator removes the files" in words
    assert "Origin / Origine (Data for Canada (demo), CA)" in words


def test_a_version_that_was_withdrawn_without_a_decision_still_has_its_tombstone(desk: Desk, client: Client) -> None:
    Version.objects.update(state=Version.State.WITHDRAWN)
    answer = client.get(page_of(desk.version))
    assert answer.status_code == GONE
    assert "This version was withdrawn" in words_of(answer)


def test_a_deprecated_version_carries_its_reason_and_a_link_to_another(desk: Desk, client: Client) -> None:
    other = factories.item(factories.version(desk.version.dataset, "0.0.9")).version
    assert "deprecated" not in words_of(client.get(page_of(desk.version)))
    version = desk.decide("deprecate")
    for language, reason in (("en", ENGLISH), ("fr", FRENCH)):
        answer = client.get(page_of(version, language))
        assert answer.status_code == 200
        assert reason in words_of(answer)
        assert page_of(other, language) in addresses_in(answer)
    answer = client.get(f"/en/datasets/{version.dataset.identifier}/latest/")
    assert answer["Location"] == page_of(other)
    asset = Asset.objects.get(item__version=version, key="data")
    door = f"/d/{version.dataset.identifier}/{version.shown}/{asset.path}"
    assert client.get(door).status_code == 302


def test_each_decision_makes_an_edition_of_the_catalogue(desk: Desk) -> None:
    version = desk.version
    assert listed(Edition.objects.latest("pk")) == [(version.item_id, version.dataset.identifier, False)]
    desk.decide("deprecate")
    assert listed(Edition.objects.latest("pk")) == [(version.item_id, version.dataset.identifier, True)]
    new = version.dataset.identifier.replace("50m", "small-scale")
    desk.decide("rename", new_identifier=new)
    assert listed(Edition.objects.latest("pk"), "fr") == [(version.item_id, new, True)]
    desk.decide("revise", title_fr="Provinces")
    collections = factories.own_path(f"{Edition.objects.latest('pk').folder}/fr/collections.json")
    assert json.loads(collections.read_text(encoding="utf-8"))["collections"][0]["title"] == "Provinces"
    desk.decide("withdraw")
    assert Edition.objects.latest("pk").versions == 0
    assert Edition.objects.count() == 5


def moved(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 301, address
    assert answer["Access-Control-Allow-Origin"] == "*"
    return str(answer["Location"])


def test_every_address_with_a_former_name_leads_to_the_new_one(desk: Desk, client: Client) -> None:
    old, item_id = desk.version.dataset.identifier, desk.version.item_id
    asset = Asset.objects.get(item__version=desk.version, key="data")
    new = old.replace("50m", "small-scale")
    version = desk.decide("rename", new_identifier=new)
    for address in (
        f"/en/datasets/{old}/",
        f"/fr/datasets/{old}/latest/",
        f"/fr/datasets/{old}/{version.shown}/",
        f"/en/datasets/{old}/{version.shown}/evidence/?page=1",
        f"/d/{old}/{version.shown}/SHA256SUMS",
        f"/d/{old}/latest/{asset.path}.torrent",
        f"/d/{old}/{version.shown}/{asset.path}?mirror=second",
        f"/stac/collections/{old}?lang=fr",
        f"/stac/collections/{old}/items/{item_id}?lang=fr",
    ):
        target = moved(client, address)
        head, _, rest = address.partition(old)
        assert target == f"{head}{new}{rest}"
        assert client.get(target).status_code in {200, 302}, target
    assert client.get("/en/datasets/ca_nothing/").status_code == 404
    assert client.post(f"/d/{old}/latest/{asset.path}").status_code == 405


def test_what_was_published_under_a_former_name_keeps_its_names(desk: Desk, client: Client) -> None:
    before = desk.version
    asset = Asset.objects.get(item__version=before, key="data")
    new = before.dataset.identifier.replace("50m", "small-scale")
    version = desk.decide("rename", new_identifier=new)
    document = client.get(f"/stac/collections/{new}/items/{before.item_id}").json()
    assert (document["id"], document["collection"]) == (before.item_id, new)
    assert document["properties"]["sci:doi"] == before.doi
    assert asset.path in document["assets"]["data"]["href"]
    latest = next(one["href"] for one in document["links"] if one["rel"] == "latest-version")
    assert client.get(latest.partition("8000")[2]).status_code == 200
    assert client.get(f"/d/{new}/{version.shown}/{asset.path}").status_code == 302
    page = client.get(page_of(version)).content.decode()
    assert new.split("_")[-1] in page


def test_a_name_of_two_renames_ago_leads_to_the_present_one(desk: Desk, client: Client) -> None:
    old = desk.version.dataset.identifier
    between, new = old.replace("50m", "small-scale"), old.replace("50m", "outlines")
    desk.decide("rename", new_identifier=between)
    desk.decide("rename", new_identifier=new)
    for former in (old, between):
        assert moved(client, f"/en/datasets/{former}/") == f"/en/datasets/{new}/"
        assert [str(one) for one in search(former)] == [new]


def test_a_revision_is_written_side_by_side_and_then_read_by_all(desk: Desk, client: Client) -> None:
    version = desk.version
    form = desk.author.get(f"{PROPOSE}?kind=revise&dataset={version.dataset_id}").content.decode()
    for name in ("title", "description", "attribution", "keywords"):
        for language in ("en", "fr"):
            assert f'name="{name}_{language}"' in form
    assert version.dataset.title_fr in html.unescape(form)
    refused = desk.propose("revise", title_fr=" ", description_en="Written anew.")
    assert refused.status_code == 422
    assert "title.fr" in words_of(refused)
    assert "Written anew." in refused.content.decode()
    addresses = (page_of(version, "fr"), f"/fr/datasets/{version.dataset}/")
    assert [one for one in addresses if "Textes révisés" in words_of(client.get(one))] == []
    desk.decide("revise", title_fr="Provinces et territoires, tracé simple")
    today = f"{MetadataRevision.objects.get(number=2).public_at:%Y-%m-%d}"
    for address in addresses:
        words = words_of(client.get(address))
        assert "tracé simple" in words
        assert f"Textes révisés le {today}, révision 2" in words
    assert "tracé simple" not in words_of(client.get(page_of(version, "en")))
    assert desk.version.doi == version.doi
    shown = words_of(desk.reviewer.get(desk.page()))
    assert "Revision 2" in shown
    assert "tracé simple" in shown


def test_a_proposer_sees_that_a_second_person_is_needed_and_has_no_button(desk: Desk) -> None:
    answer = desk.propose("withdraw")
    page = desk.author.get(answer["Location"])
    assert "You proposed it. A second person has to take or refuse it." in words_of(page)
    assert 'value="second"' not in page.content.decode()
    refused = desk.author.post(answer["Location"], {"act": "second"})
    assert refused.status_code == 422
    assert "A second person has to take it." in words_of(refused)
    assert desk.version.state == Version.State.PUBLISHED


def test_a_second_click_is_told_what_happened(desk: Desk) -> None:
    desk.decide("deprecate")
    again = desk.second()
    assert again.status_code == 422
    assert "it is taken already" in words_of(again)
    doubled = desk.propose("deprecate")
    assert doubled.status_code == 422
    assert "it is deprecated" in words_of(doubled)


def test_a_refusal_keeps_what_was_typed(desk: Desk) -> None:
    refused = desk.propose("withdraw", reason_fr="court")
    assert refused.status_code == 422
    assert "Reason in French: Say in at least 10 characters why." in words_of(refused)
    assert ENGLISH in refused.content.decode()
    desk.propose("withdraw")
    answer = desk.reviewer.post(desk.page(), {"act": "refuse", "reason": "no"})
    assert answer.status_code == 422
    assert ">no</textarea>" in answer.content.decode()
    assert desk.reviewer.post(desk.page(), {"act": "refuse", "reason": "The licence is right."}).status_code == 302
    assert "The licence is right." in words_of(desk.author.get(desk.page()))


@pytest.mark.parametrize(("group", "looks"), [("", 403), ("auditor", 200)])
def test_others_of_the_staff_decide_nothing(desk: Desk, group: str, looks: int) -> None:
    desk.propose("withdraw")
    other = get_user_model().objects.create_user("other", is_staff=True)
    other.groups.set(Group.objects.filter(name=group))
    client = client_of(other)
    page = client.get(desk.page())
    assert page.status_code == looks
    assert b'name="act"' not in page.content
    assert client.get(f"{PROPOSE}?kind=withdraw&version={desk.version.pk}").status_code == 403
    for act in ("second", "refuse"):
        answer = client.post(desk.page(), {"act": act, "reason": "I am against it."})
        assert answer.status_code in {403, 422}
    assert Decision.objects.get().state == Decision.State.PROPOSED
    assert desk.version.state == Version.State.PUBLISHED


def test_a_stranger_is_asked_to_sign_in(desk: Desk, client: Client) -> None:
    desk.propose("withdraw")
    for address in (desk.page(), f"{PROPOSE}?kind=withdraw&version={desk.version.pk}"):
        assert client.get(address)["Location"].startswith("/admin/login/")
        assert client.post(address, {"act": "second"})["Location"].startswith("/admin/login/")
    assert Decision.objects.get().state == Decision.State.PROPOSED


@pytest.mark.parametrize(
    "query", ["", "?kind=sell&version=1", "?kind=withdraw&version=x", "?kind=withdraw&version=999999999"]
)
def test_a_proposal_about_nothing_is_not_found(desk: Desk, query: str) -> None:
    assert desk.author.get(f"{PROPOSE}{query}").status_code == 404
    assert desk.author.get("/admin/releases/decision/99999999999999999/change/").status_code == 404


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_pages_of_a_decision_hang_together(desk: Desk, language: str) -> None:
    for client in (desk.author, desk.reviewer):
        client.cookies["django_language"] = language
    version = desk.version
    release = f"/admin/releases/release/{desk.release.pk}/change/"
    dataset = f"/admin/catalog/dataset/{version.dataset_id}/change/"
    assert f"{PROPOSE}?kind=withdraw&amp;version={version.pk}" in desk.author.get(release).content.decode()
    tools = desk.author.get(dataset).content.decode()
    for kind, key in (("withdraw", version.pk), ("deprecate", version.pk), ("rename", version.dataset_id)):
        name = "dataset" if kind == "rename" else "version"
        assert desk.author.get(f"{PROPOSE}?kind={kind}&{name}={key}").status_code == 200
        assert kind != "rename" or f"?kind=rename&amp;dataset={key}" in tools
    desk.propose("withdraw")
    assert desk.page() in desk.reviewer.get(release).content.decode()
    found = desk.reviewer.get(f"/admin/releases/decision/?dataset__id__exact={version.dataset_id}&state=proposed")
    assert desk.page() in found.content.decode()
    page = desk.reviewer.get(desk.page()).content.decode()
    assert release in page
    assert dataset in page
    assert ENGLISH in page
    assert FRENCH in page


def test_a_copy_that_is_repaired_after_a_rename_lies_where_it_lay(desk: Desk) -> None:
    copy = Replica.objects.select_related("asset", "mirror").get(mirror__slug="second", asset__key="data")
    desk.decide("rename", new_identifier=desk.version.dataset.identifier.replace("50m", "small-scale"))
    path = Path(copy.mirror.endpoint) / copy.locator
    path.unlink()
    look_again(copy, Check.Level.FULL, now=timezone.now())
    engine.drain(30)
    repaired = Replica.objects.get(pk=copy.pk)
    assert (repaired.state, repaired.locator) == (Replica.State.VERIFIED, copy.locator)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == copy.asset.sha256
