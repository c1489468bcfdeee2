"""DOIs as people meet them: on the pages of versions and datasets in both languages, in the admin, by command."""

import html
import io
import json
import re
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from django.utils.translation import gettext, override

from catalog.models import Dataset, Edition, Version
from dfc_site import demo
from mirrors.models import Doi
from releases.jobs import engine
from releases.models import Job, Release
from releases.propose import propose_withdrawal
from releases.second import second_decision
from tests import factories
from tests.mirrors.datacite import Registry, registry
from tests.site import walk

GONE = 410


@pytest.fixture
def version(published: Release) -> Version:
    return Version.objects.select_related("dataset").get(pk=published.version_id)


def words_of(client: Client, address: str) -> str:
    text = client.get(address).content.decode()
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def pages(version: Version, language: str = "en") -> tuple[str, str]:
    """Give the addresses of a version's page and of its dataset's."""
    dataset = f"/{language}/datasets/{version.dataset.identifier}/"
    return f"{dataset}{version.shown}/", dataset


def of_datacite(version: Version, state: str) -> str:
    """Let the DOIs be real ones; gives that of all versions."""
    concept = "10.70001/roads"
    Dataset.objects.update(doi_provider="datacite", concept_doi=concept)
    Version.objects.filter(pk=version.pk).update(doi=f"{concept}.v1")
    Doi.objects.update(provider="datacite", state=state)
    Doi.objects.filter(version=None).update(name=concept)
    return concept


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_doi_of_all_versions_stands_on_both_pages_and_a_test_doi_is_marked(
    version: Version, client: Client, language: str
) -> None:
    with override(language):
        head, mark = gettext("DOI of all versions"), gettext("test DOI")
    for address in pages(version, language):
        words = words_of(client, address)
        assert f"{head} {version.dataset.concept_doi}" in words
        assert mark in words
    assert f"{version.doi} {mark}" in words_of(client, pages(version, language)[0])


def test_a_page_says_when_its_doi_was_registered(version: Version, client: Client) -> None:
    doi = Doi.objects.get(version=version)
    assert doi.registered_at is not None
    assert f"DOI registered {doi.registered_at:%Y-%m-%d}" in words_of(client, pages(version)[0])


def test_a_page_says_that_its_doi_is_being_registered_until_it_is(version: Version, client: Client) -> None:
    of_datacite(version, "reserved")
    for address in pages(version):
        assert "DOI being registered" in words_of(client, address)
    assert "Its DOI is being registered: it will lead here" in words_of(client, pages(version)[0])
    of_datacite(version, "findable")
    for address in pages(version):
        assert "being registered" not in words_of(client, address)


def test_a_dataset_is_cited_by_the_doi_of_all_its_versions_once_that_leads_somewhere(
    version: Version, client: Client
) -> None:
    assert "https://doi.org/" not in words_of(client, pages(version)[1])
    concept = of_datacite(version, "findable")
    assert f"[Data set]. https://doi.org/{concept}" in words_of(client, pages(version)[1])
    Doi.objects.filter(version=None).update(state="reserved", registered_at=None)
    assert f"https://doi.org/{concept}" not in words_of(client, pages(version)[1])


def stac_of(client: Client, version: Version, language: str, item: str = "") -> Any:
    address = f"/stac/collections/{version.dataset.identifier}{item and f'/items/{item}'}"
    return client.get(address, {"lang": language}).json()


def cited_as(document: Any) -> list[str]:
    return [one["href"] for one in document["links"] if one["rel"] == "cite-as"]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_stac_collection_bears_the_doi_of_all_versions_as_its_page_does_and_each_item_its_own(
    version: Version, client: Client, language: str
) -> None:
    assert stac_of(client, version, language)["sci:doi"] == version.dataset.concept_doi
    concept, address = of_datacite(version, "findable"), pages(version, language)[1]
    collection = stac_of(client, version, language)
    item = stac_of(client, version, language, version.items.get(tile="").item_id)
    assert (collection["sci:doi"], item["properties"]["sci:doi"]) == (concept, f"{concept}.v1")
    assert (cited_as(collection), cited_as(item)) == (
        [f"https://doi.org/{concept}"],
        [f"https://doi.org/{concept}.v1"],
    )
    assert collection["sci:citation"] in words_of(client, address)
    assert f'rel="cite-as" href="https://doi.org/{concept}"' in client.get(address).content.decode()


def test_without_a_doi_of_all_versions_that_of_the_newest_does_not_stand_for_it(
    version: Version, client: Client
) -> None:
    of_datacite(version, "findable")
    Doi.objects.filter(version=None).delete()
    Dataset.objects.update(concept_doi="")
    collection, page = stac_of(client, version, "en"), pages(version)[1]
    assert "sci:doi" not in collection
    assert cited_as(collection) == [f"{settings.DFC_SITE_URL}{page}"]
    assert collection["sci:citation"] in words_of(client, page)


def test_the_publication_shows_how_its_doi_became_findable(published: Release) -> None:
    job = Job.objects.get(pipeline="publish")
    steps = job.steps.filter(function="mirrors.deposits.redescribe.bring_doi")
    version = Version.objects.select_related("dataset").get(pk=published.version_id)
    assert {step.label for step in steps} == {f"DOI · {version.doi}", f"DOI · {version.dataset.concept_doi}"}
    assert {step.state for step in steps} == {"done"}
    assert set(Doi.objects.values_list("state", flat=True)) == {"findable"}
    assert Job.objects.get(key=f"describe:release:{published.pk}").state == "done"


def test_the_admin_shows_dois_and_lets_nobody_change_them(version: Version, client: Client) -> None:
    client.force_login(demo.person("author"))
    doi = Doi.objects.get(version=version)
    assert str(version.doi) in client.get("/admin/mirrors/doi/").content.decode()
    assert client.post(f"/admin/mirrors/doi/{doi.pk}/change/", {"name": "10.5072/other"}).status_code == 403
    assert client.post(f"/admin/mirrors/doi/{doi.pk}/delete/", {"post": "yes"}).status_code == 403


def told(*words: str) -> Any:
    out = io.StringIO()
    call_command("doi", *words, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_lists_dois_and_describes_what_is_not_up_to_date(version: Version, settings: Any) -> None:
    listed = told("list", version.dataset.identifier)
    assert [(one["doi"], one["state"]) for one in listed] == [
        (version.dataset.concept_doi, "findable"),
        (version.doi, "findable"),
    ]
    assert told("describe") == []
    settings.DFC_SITE_URL = "https://elsewhere.example.org"
    jobs = Job.objects.count()
    stale = {one["describes"] for one in told("describe", "--dry-run")}
    assert {version.doi, version.dataset.concept_doi} <= stale
    assert Job.objects.count() == jobs
    assert {one["describes"] for one in told("describe")} == stale
    assert Job.objects.filter(key__startswith="describe:command:").count() == 1
    with pytest.raises(CommandError, match="no dataset has that identifier"):
        told("list", "ca_nothing")


def page_at(client: Client, address: str, language: str = "en") -> Any:
    """Open the page that a DOI leads to, or the same one in the other language."""
    assert address.startswith(f"{settings.DFC_SITE_URL}/en/")
    return client.get(address.removeprefix(settings.DFC_SITE_URL).replace("/en/", f"/{language}/", 1))


def agree(client: Client, at: Registry, name: str, status: int = 200) -> None:
    """Compare what a DOI says with the page that it leads to, in both languages."""
    told = at.server.dois[name].attributes
    assert at.server.handles[name] == told["url"]
    for one in told["titles"]:
        answer = page_at(client, told["url"], one["lang"])
        assert answer.status_code == status
        assert one["title"] in html.unescape(answer.content.decode()) or status == GONE


def test_a_version_gets_its_doi_of_datacite_through_faults_and_a_withdrawal_is_said_there(
    in_review: Release, client: Client, settings: Any
) -> None:
    settings.DFC_BACKOFF_S, settings.DFC_ATTEMPTS = 0.01, 60
    Dataset.objects.update(doi_provider="datacite")
    with registry(settings) as at:
        at.server.faults.probability, at.server.faults.seed, at.server.handles_fail = 0.3, 5, 1
        walk.approve(in_review, demo.person("reviewer"))
        engine.drain(90)
        version = Version.objects.select_related("dataset").get(pk=in_review.version_id)
        assert (version.state, len(at.server.dois)) == ("published", 2)
        for name in (str(version.doi), version.dataset.concept_doi):
            assert at.state(name) == "findable"
            agree(client, at, name)
        assert f"https://doi.org/{version.dataset.concept_doi}" in in_the_catalogue()["sci:citation"]
        withdraw(version)
        engine.drain(60)
        agree(client, at, str(version.doi), GONE)
        assert at.attribute("descriptions", str(version.doi))[0]["description"] == "Withdrawn: The licence was wrong."
        assert at.server.faults.given


def in_the_catalogue() -> Any:
    """Give the one Collection of the newest edition."""
    edition = Edition.objects.latest("pk")
    text = factories.own_path(f"{edition.folder}/en/collections.json").read_text(encoding="utf-8")
    (found,) = json.loads(text)["collections"]
    return found


def withdraw(version: Version) -> None:
    words: Any = {
        "reason_en": "The licence was wrong.",
        "reason_fr": "La licence était fausse.",
        "now": timezone.now(),
    }
    decision = propose_withdrawal(version, by=demo.person("author"), channel="command", **words)
    second_decision(decision, by=demo.person("reviewer"), channel="command", now=timezone.now())
