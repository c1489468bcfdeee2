"""Template filters over catalog/amounts.py, in the language of the page."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from catalog import amounts

register = template.Library()


def language() -> str:
    return get_language() or "en"


@register.filter
def size(size_bytes: int) -> SafeString:
    """A size in words, with the exact number of bytes as its title."""
    exact = amounts.size_in_full(size_bytes, language())
    return format_html('<span title="{}">{}</span>', exact, amounts.size(size_bytes, language()))


@register.filter
def plain_size(size_bytes: int) -> str:
    return amounts.size(size_bytes, language())


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
