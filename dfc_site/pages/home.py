"""The first page: what there is, and a search that takes whatever people arrive with."""

from django.core.paginator import Paginator
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language_from_request, override

from catalog.models import Version
from catalog.search import search

PAGE_SIZE = 50


def front(request: HttpRequest) -> HttpResponse:
    """Send people to the language that their browser asks for."""
    with override(get_language_from_request(request)):
        return HttpResponseRedirect(reverse("home"))


def home(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "")[:300]
    page = Paginator(search(query), PAGE_SIZE).get_page(request.GET.get("page"))
    newest = newest_versions([dataset.pk for dataset in page.object_list])
    hits = [{"dataset": dataset, "version": newest.get(dataset.pk)} for dataset in page.object_list]
    return render(request, "pages/home.html", {"query": query, "page": page, "hits": hits, "section": "datasets"})


def newest_versions(dataset_ids: list[int]) -> dict[int, Version]:
    """Give the newest public version of each dataset, in one query."""
    versions = Version.objects.public().filter(dataset__in=dataset_ids).order_by("precedence")
    return {version.dataset_id: version for version in versions}


def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer `ok` when the database answers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ok\n", content_type="text/plain")
