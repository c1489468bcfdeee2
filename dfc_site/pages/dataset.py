"""A dataset and its public versions."""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language

from catalog.footprint import draw
from catalog.models import Dataset, Item, Version
from catalog.places import place_name
from catalog.search import LISTED, public_datasets
from dfc_site.entries import collection_href, dataset_citation
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
        "citation": dataset_citation(shown, language, concept),
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


def latest(_request: HttpRequest, identifier: str) -> HttpResponse:
    """Send people to the page of the newest version; the address of a version never moves."""
    version = Version.objects.latest_of(find_dataset(identifier))
    if version is None:
        raise Http404
    return HttpResponseRedirect(reverse("version", args=[identifier, version.shown]))
