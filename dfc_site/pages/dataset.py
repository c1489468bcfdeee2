"""A dataset and its public versions."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language

from catalog.citation import Citation, is_test_doi
from catalog.footprint import draw
from catalog.models import Dataset, Item, Version
from catalog.places import place_name
from catalog.search import LISTED, public_datasets
from dfc_site.entries import collection_href
from dfc_site.entries import latest as latest_of
from dfc_site.pages.timeline import timeline_of
from mirrors.models import Doi
from releases.models import MetadataRevision


def dataset(request: HttpRequest, identifier: str) -> HttpResponse:
    found = find_dataset(identifier)
    language = get_language() or "en"
    versions = list(Version.objects.public().filter(dataset=found))
    listed = sorted((one for one in versions if one.state in LISTED), key=lambda one: one.precedence)
    shown = latest_of(listed) if listed else versions[0]
    concept = Doi.objects.concept_of(found)
    context = {
        "dataset": found,
        "concept": concept,
        "place": place_name(found.region, found.dguid, language),
        "timeline": timeline_of(versions),
        "latest": shown if shown.state == Version.State.PUBLISHED else None,
        "picture": draw(bytes(Item.objects.get(version=shown, tile="").footprint_wkb)),
        "citation": citation_of(found, shown, language, concept),
        "collection_url": collection_href(found, language) if listed else "",
        "providers": found.providers.all(),
        "revision": MetadataRevision.objects.newest_of(found),
        "section": "datasets",
    }
    return render(request, "pages/dataset.html", context)


def find_dataset(identifier: str) -> Dataset:
    found = public_datasets().filter(identifier=identifier.replace("\0", "")).first()
    if found is None:
        raise Http404
    return found


def citation_of(found: Dataset, version: Version, language: str, concept: Doi | None) -> Citation:
    """Cite the dataset whatever its version: by the DOI of all its versions if that leads somewhere."""
    address = f"{settings.DFC_SITE_URL}{reverse('dataset', args=[found.identifier])}"
    leads = concept is not None and concept.registered_at and not is_test_doi(concept.name)
    doi = concept.name if concept is not None and leads else ""
    return Citation(found.title, version="", year=version.year, doi=doi, language=language, address=address)


def latest(_request: HttpRequest, identifier: str) -> HttpResponse:
    """Send people to the page of the newest version; the address of a version never moves."""
    version = Version.objects.latest_of(find_dataset(identifier))
    if version is None:
        raise Http404
    return HttpResponseRedirect(reverse("version", args=[identifier, version.shown]))
