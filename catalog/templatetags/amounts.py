"""Template filters over catalog/amounts.py, in the language of the page."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from catalog import amounts

register = template.Library()

WHOLE_KM2 = 100
FORMATS = {
    "application/geo+json": "GeoJSON",
    "application/gzip": "gzip",
    "application/json": "JSON",
    "application/vnd.apache.parquet": "Parquet",
    "application/vnd.pmtiles": "PMTiles",
    "application/zip": "ZIP",
    "image/tiff": "TIFF",
    "image/webp": "WebP",
    "text/csv": "CSV",
    "text/plain": "TXT",
}


def language() -> str:
    return get_language() or "en"


@register.filter
def size(size_bytes: int) -> SafeString:
    """A size in words, with the exact number of bytes as its title."""
    exact = amounts.size_in_full(size_bytes, language())
    return format_html('<span title="{}">{}</span>', exact, amounts.size(size_bytes, language()))


@register.filter
def plain_size(size_bytes: float) -> str:
    """A size in words; a rate may bring a fraction of a byte."""
    return amounts.size(round(size_bytes), language())


@register.filter
def number(value: int) -> str:
    return amounts.number(value, language())


@register.filter
def duration(seconds: float) -> str:
    return amounts.duration(seconds, language())


@register.filter
def age(instant: datetime) -> SafeString:
    """An age in words inside a `<time>` that carries the exact instant in UTC."""
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        instant.isoformat(timespec="seconds"),
        instant.strftime("%Y-%m-%d %H:%M"),
        amounts.age(instant, timezone.now(), language()),
    )


@register.filter
def instant(moment: datetime) -> SafeString:
    """A moment as date and time in UTC."""
    shown = moment.strftime("%Y-%m-%d %H:%M")
    return format_html('<time datetime="{}">{} UTC</time>', moment.isoformat(timespec="seconds"), shown)


@register.filter
def digest(value: str) -> SafeString:
    """A digest shortened on screen; selecting it copies the whole."""
    head, tail = amounts.digest_parts(value)
    return format_html('<code class="dg" translate="no"><span class="dg-h">{}</span>{}</code>', head, tail)


@register.filter
def breakable(identifier: str) -> SafeString:
    """An identifier that may be broken after each underscore."""
    return format_html_join(SafeString("_<wbr>"), "{}", ((part,) for part in identifier.split("_")))


@register.filter
def media(media_type: str) -> SafeString:
    """The name by which people know a media type, with the type itself as its title."""
    name = FORMATS.get(media_type.partition(";")[0].strip(), media_type)
    return format_html('<span title="{}">{}</span>', media_type, name)


@register.filter
def area(km2: float) -> str:
    """An area in km², whole where it is large."""
    return f"{number_format(km2, 0 if km2 >= WHOLE_KM2 else 3, force_grouping=True)}{amounts.NBSP}km²"


@register.filter
def degrees(value: float) -> str:
    """Degrees to two places, with a true minus sign."""
    return f"{number_format(value, 2)}°".replace("-", "\u2212")
