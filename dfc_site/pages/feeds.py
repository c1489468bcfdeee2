"""New versions as Atom feeds (RFC 4287): all of them, and those of one dataset, in English and French.

The id of an entry is a tag URI (RFC 4151) made of the STAC Item's id, which stays when a dataset is renamed; each
language has ids of its own, since its entries have other texts.
"""

from datetime import date
from urllib.parse import urlsplit

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.utils.html import escape
from django.utils.translation import gettext as _
from django.utils.translation import override

from catalog.citation import PUBLISHER
from catalog.models import Version, VersionQuerySet
from catalog.search import LISTED
from dfc_site.entries import page_href
from dfc_site.pages.dataset import find_dataset
from mirrors.redirect import open_to_all

NEWEST = 50
SINCE = date(2026, 1, 1)  # the first day on which the ids of feeds mean what they mean


def newest(_request: HttpRequest, language: str) -> HttpResponse:
    """Give the newest versions of all datasets."""
    with speaking(language):
        feed = begin(language, _("New versions"), reverse("home"), reverse("feed", args=[language]))
        return answer(feed, Version.objects.all(), language)


def of_dataset(_request: HttpRequest, language: str, identifier: str) -> HttpResponse:
    """Give the versions of one dataset; a former identifier gives the same feed."""
    with speaking(language):
        dataset = find_dataset(identifier)
        page = reverse("dataset", args=[dataset.identifier])
        feed = begin(language, dataset.title, page, reverse("dataset-feed", args=[language, dataset.identifier]))
        return answer(feed, Version.objects.filter(dataset=dataset), language)


def speaking(language: str) -> override:
    if language not in dict(settings.LANGUAGES):
        raise Http404
    return override(language)


def begin(language: str, title: str, page: str, address: str) -> Atom1Feed:
    return Atom1Feed(
        title=f"{title} · {PUBLISHER[language]}",
        link=f"{settings.DFC_SITE_URL}{page}",
        description=None,
        language=language,
        author_name=PUBLISHER[language],
        author_link=settings.DFC_SITE_URL,
        feed_url=f"{settings.DFC_SITE_URL}{address}",
        feed_guid=tag(SINCE, address),
    )


def answer(feed: Atom1Feed, versions: VersionQuerySet, language: str) -> HttpResponse:
    found = versions.filter(state__in=LISTED).select_related("dataset__package", "dataset__licence").with_item_ids()
    for version in found.order_by("-published_at", "-pk")[:NEWEST]:
        add(feed, version, language)
    response = HttpResponse(content_type=feed.content_type)
    feed.write(response, "utf-8")
    return open_to_all(response)


def add(feed: Atom1Feed, version: Version, language: str) -> None:
    """Add an entry; its summary is HTML by the feed's word, so plain text is escaped."""
    published_at = version.published_at or version.dataset.created_at
    feed.add_item(
        title=f"{version.dataset.title}, {version.shown}",
        link=page_href(version, language),
        description=escape(version.notes or version.dataset.description),
        unique_id=tag(published_at.date(), f"{language}/{version.item_id}"),
        pubdate=published_at,
        updateddate=published_at,
        categories=[version.dataset.package.slug, version.get_state_display()],
        item_copyright=f"{version.dataset.licence.title}: {version.dataset.attribution}",
    )


def tag(day: date, name: str) -> str:
    return f"tag:{urlsplit(settings.DFC_SITE_URL).hostname},{day.isoformat()}:{name}"
