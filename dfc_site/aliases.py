"""Addresses of before a rename: each leads to the same page, door or document under the dataset's present name."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.urls import reverse

from catalog.models import Alias
from mirrors.redirect import open_to_all

NAMES = ("identifier", "dataset")  # what the part of an address that names a dataset is called in urls.py
NOT_FOUND = 404
Answer = Callable[[HttpRequest], HttpResponse]


def redirect_aliases(answer: Answer) -> Answer:
    """Look at an address again when there is nothing at it: only then the name of a dataset may be a former one."""

    def answered(request: HttpRequest) -> HttpResponse:
        response = answer(request)
        if response.status_code != NOT_FOUND or request.method not in {"GET", "HEAD"}:
            return response
        return moved(request) or response

    return answered


def moved(request: HttpRequest) -> HttpResponse | None:
    """Give the permanent redirect of an address with a former name in it; None for any other address."""
    match = request.resolver_match
    name = next((name for name in NAMES if match and name in match.kwargs), None)
    if match is None or name is None or "\0" in match.kwargs[name]:
        return None
    alias = Alias.objects.select_related("dataset").filter(identifier=match.kwargs[name]).first()
    if alias is None:
        return None
    address = reverse(match.view_name, kwargs={**match.kwargs, name: alias.dataset.identifier})
    query = request.META.get("QUERY_STRING", "")
    return open_to_all(HttpResponsePermanentRedirect(f"{address}?{query}" if query else address))
