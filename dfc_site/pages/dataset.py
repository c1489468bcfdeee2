"""A dataset and its public versions."""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from catalog.models import Version
from catalog.search import public_datasets


def dataset(request: HttpRequest, identifier: str) -> HttpResponse:
    found = public_datasets().filter(identifier=identifier).first()
    if found is None:
        raise Http404
    context = {
        "dataset": found,
        "versions": Version.objects.public().filter(dataset=found),
        "latest": Version.objects.latest_of(found),
        "providers": found.providers.all(),
        "section": "datasets",
    }
    return render(request, "pages/dataset.html", context)


def latest(_request: HttpRequest, identifier: str) -> HttpResponse:
    """Send people to the page of the newest version; the address of a version never moves."""
    found = public_datasets().filter(identifier=identifier).first()
    version = Version.objects.latest_of(found) if found else None
    if version is None:
        raise Http404
    return HttpResponseRedirect(reverse("version", args=[identifier, version.shown]))
