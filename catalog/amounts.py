"""Sizes, numbers and ages in words, in English and French. Pure: the moment is an argument.

English `5.13 GiB`, `27,411`, `20 min ago`; French `5,13 Gio`, `27 411`, `il y a 20 min` (no-break spaces).
"""

from datetime import datetime

NBSP = "\u00a0"
UNITS = {"en": ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB"), "fr": ("octets", "Kio", "Mio", "Gio", "Tio", "Pio")}
STEP = 1024
MINUTE, HOUR, DAY = 60, 3600, 86_400


def number(value: int, language: str) -> str:
    """Write a whole number with groups of three."""
    grouped = f"{value:,}"
    return grouped.replace(",", NBSP) if language == "fr" else grouped


def size(size_bytes: int, language: str) -> str:
    """Write a size with three significant digits and a binary unit."""
    value, unit = float(size_bytes), 0
    while value >= STEP and unit < len(UNITS["en"]) - 1:
        value, unit = value / STEP, unit + 1
    name = UNITS["fr" if language == "fr" else "en"][unit]
    if unit == 0:
        return f"{number(size_bytes, language)}{NBSP}{name if size_bytes != 1 else name[:-1]}"
    digits = max(0, 2 - (len(str(int(value))) - 1))
    text = f"{value:.{digits}f}"
    return f"{text.replace('.', ',') if language == 'fr' else text}{NBSP}{name}"


def size_in_full(size_bytes: int, language: str) -> str:
    name = "octets" if language == "fr" else "bytes"
    return f"{number(size_bytes, language)}{NBSP}{name}"


def duration(seconds: float, language: str) -> str:
    """Write a duration in its two largest units: `3 h 12 min`, `38 s`."""
    whole = int(seconds)
    if whole < MINUTE:
        return f"{whole}{NBSP}s"
    if whole < HOUR:
        return f"{whole // MINUTE}{NBSP}min {whole % MINUTE}{NBSP}s"
    if whole < DAY:
        return f"{whole // HOUR}{NBSP}h {whole % HOUR // MINUTE}{NBSP}min"
    return days(whole // DAY, language)


def days(count: int, language: str) -> str:
    word = "jour" if language == "fr" else "day"
    return f"{number(count, language)}{NBSP}{word}{'s' if count > 1 else ''}"


def age(then: datetime, now: datetime, language: str) -> str:
    """Say how long ago something was, in one unit; the future counts as now."""
    seconds = max(0, int((now - then).total_seconds()))
    if seconds < MINUTE:
        words = f"{seconds}{NBSP}s"
    elif seconds < HOUR:
        words = f"{seconds // MINUTE}{NBSP}min"
    elif seconds < DAY:
        words = f"{seconds // HOUR}{NBSP}h"
    else:
        words = days(seconds // DAY, language)
    return f"il y a {words}" if language == "fr" else f"{words} ago"


def digest_parts(digest: str) -> tuple[str, str]:
    """Split a digest into the part that may be shortened on screen and its last eight digits."""
    return digest[:-8], digest[-8:]
