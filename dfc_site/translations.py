"""French: the gettext catalogue is compiled with polib, collected with Django's makemessages, and checked.

Rules of the check: nothing empty or fuzzy, the same placeholders on both sides, a no-break space before
: % » and after «, none before ; ! ?, and no string of the code or templates without its entry.
"""

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polib
from django.conf import settings
from django.core.management import call_command

NBSP = "\u00a0"
PLACEHOLDER = re.compile(r"%\([a-z_0-9]+\)[sd]|%[sd]|\{[a-z_0-9]*\}|</?[a-z]+")
TYPOGRAPHY = (
    (re.compile(rf"[^{NBSP}]:(?=\s|$)"), "a colon without no-break space before it"),
    (re.compile(rf"[ {NBSP}][;!?]"), "a space before ; ! or ?"),
    (re.compile(rf"«[^{NBSP}]|[^{NBSP}]»"), "guillemets without no-break space inside"),
    (re.compile(r"\d ?%(?![(sd])"), "a per cent sign without no-break space"),
)
ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("catalog", "releases", "mirrors", "swarm", "dfc_site", "templates")


def catalogue(root: Path) -> Path:
    return root / "fr" / "LC_MESSAGES" / "django.po"


def committed() -> Path:
    return Path(settings.LOCALE_PATHS[0])


def compile_catalogue() -> Path:
    """Write the .mo beside the .po; gives its path."""
    source = catalogue(committed())
    target = source.with_suffix(".mo")
    polib.pofile(str(source)).save_as_mofile(str(target))
    return target


def collect() -> None:
    """Add the strings that have no entry yet, drop those that nobody uses; needs xgettext.

    It reads a copy of the rooms: makemessages writes scratch files beside what it reads, and would take a catalogue
    that it finds there for that of its folder.
    """
    left_out = shutil.ignore_patterns("__pycache__", "locale")
    with tempfile.TemporaryDirectory() as scratch:
        for room in ROOMS:
            shutil.copytree(ROOT / room, Path(scratch) / room, ignore=left_out)
        with contextlib.chdir(scratch):
            call_command("makemessages", locale=["fr"], no_location=True, no_obsolete=True, verbosity=0)


def findings() -> Iterator[str]:
    """Say in a sentence what is wrong with the French catalogue; nothing if it is whole."""
    entries = polib.pofile(str(catalogue(committed())))
    for entry in entries:
        for finding in entry_findings(entry):
            yield f"{entry.msgid[:60]!r}: {finding}"
    if shutil.which("xgettext"):
        known = {entry.msgid for entry in entries}
        for msgid in sorted(used() - known):
            yield f"{msgid[:60]!r}: used, but not in the catalogue. Run `manage.py translations collect`."


def entry_findings(entry: polib.POEntry) -> Iterator[str]:
    texts = list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]
    if not all(texts):
        yield "no French text"
    if "fuzzy" in entry.flags:
        yield "its French text is only a guess (fuzzy)"
    wanted = set(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid))
    for text in filter(None, texts):
        if set(PLACEHOLDER.findall(text)) != wanted and not entry.msgid_plural:
            yield f"other placeholders than {sorted(wanted)}"
        yield from (words for rule, words in TYPOGRAPHY if rule.search(text))


def used() -> set[str]:
    """Give every string of code and templates that is marked for translation."""
    before = settings.LOCALE_PATHS
    with tempfile.TemporaryDirectory() as scratch:
        settings.LOCALE_PATHS = [Path(scratch)]
        try:
            collect()
        finally:
            settings.LOCALE_PATHS = before
        return {entry.msgid for entry in polib.pofile(str(catalogue(Path(scratch))))}
