"""The catalogue for machines: one Collection or Item as JSON, and the files of the current edition."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from catalog.errors import StewardshipError
from catalog.models import Edition, Item, Version
from catalog.stac import collection, document, item
from dfc_site.entries import LISTED, Neighbours, collection_entry, entries_of, latest, listed_versions
from dfc_site.export import POINTER
from mirrors.connect import connect
from mirrors.models import Doi, Mirror
from mirrors.redirect import open_to_all

ORIGIN = "origin"
POINTER_NAME = POINTER.rpartition("/")[2]


def language_of(request: HttpRequest) -> str:
    """Read `?lang=`; English is the default, since the address of a document has to stay the same for all."""
    wanted = request.GET.get("lang", "en")
    if wanted not in {"en", "fr"}:
        raise Http404
    return wanted


def versions_of(identifier: str) -> list[Version]:
    return list(listed_versions().filter(dataset__identifier=identifier))


def gone(identifier: str, **narrowing: Any) -> HttpResponse:
    """Answer 410 for what is only of withdrawn versions, in the shape of a STAC API's errors; Http404 for nothing."""
    withdrawn = Version.objects.filter(
        dataset__identifier=identifier, state=Version.State.WITHDRAWN, **narrowing
    ).first()
    if withdrawn is None:
        raise Http404
    words = _("%(version)s was withdrawn. Its page says why, and what to use instead.") % {"version": withdrawn}
    return open_to_all(JsonResponse({"code": "Gone", "description": words}, status=410))


def collection_document(request: HttpRequest, identifier: str) -> HttpResponse:
    """Give the STAC Collection of a dataset."""
    language, versions = language_of(request), versions_of(identifier)
    with override(language):
        if not versions:
            return gone(identifier)
        newest = latest(versions)
        entry = collection_entry(newest, language, Doi.objects.concept_of(newest.dataset))
    return open_to_all(JsonResponse(document(collection(entry)), json_dumps_params={"ensure_ascii": False}))


def item_document(request: HttpRequest, identifier: str, item_id: str) -> HttpResponse:
    """Give one STAC Item, version item or tile."""
    language, versions = language_of(request), versions_of(identifier)
    found = Item.objects.filter(version__dataset__identifier=identifier, version__state__in=LISTED, item_id=item_id)
    row = found.first()
    place = next((number for number, one in enumerate(versions) if row and one.pk == row.version_id), None)
    with override(language):
        if row is None or place is None:
            return gone(identifier, items__item_id=item_id)
        page = [(versions[place], around(versions, place))]
        entry = next(iter(entries_of(page, [row], language, now=timezone.now())))
    body = document(item(entry))
    return open_to_all(
        JsonResponse(body, content_type="application/geo+json", json_dumps_params={"ensure_ascii": False})
    )


def around(versions: list[Version], place: int) -> Neighbours:
    before = versions[place - 1] if place else None
    after = versions[place + 1] if place + 1 < len(versions) else None
    return Neighbours(before, after, latest(versions))


def catalogue_file(_request: HttpRequest, path: str) -> HttpResponse:
    """Send people to a file of the current edition, where it lies for good and answers ranges."""
    edition, origin = Edition.objects.first(), Mirror.objects.filter(slug=ORIGIN, is_enabled=True).first()
    if edition is None or origin is None:
        raise Http404
    backend, locator = connect(origin), POINTER if path == POINTER_NAME else f"{edition.folder}/{path}"
    try:
        is_there = backend.stat(locator) is not None
    except StewardshipError:
        is_there = False
    if not is_there:
        raise Http404
    return open_to_all(HttpResponseRedirect(backend.url(locator)))
