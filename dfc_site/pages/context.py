"""What every template may ask about languages."""

from django.conf import settings
from django.http import HttpRequest
from django.urls import translate_url
from django.utils.translation import get_language


def languages(request: HttpRequest) -> dict[str, str]:
    """Give the same page in the other language: its address, its code and its own name."""
    current = get_language() or settings.LANGUAGE_CODE
    code, name = next((code, name) for code, name in settings.LANGUAGES if code != current)
    return {
        "other_language_url": translate_url(request.get_full_path(), code),
        "other_language_code": code,
        "other_language_name": name,
    }
