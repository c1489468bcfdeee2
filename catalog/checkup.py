"""What an installation needs of its machine, looked at one thing after another; here: where files are kept."""

import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from catalog.storage.connect import own_storage

OK, WARNING, ABSENT = "ok", "warning", "absent"
GIBI = 1 << 30
LITTLE_GIB = 5


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and the next step where it is not well.

    `state` is ok; warning: it works with less; absent: something that the settings ask for does not work.
    """

    name: str
    state: str
    found: str
    remedy: str = ""


def checks() -> Iterator[Check]:
    """Look at our own storage and at the disk that everything is written to."""
    yield storage()
    yield disk(Path(settings.DFC_DATA_DIR))


def storage() -> Check:
    """Write a small file to our own storage, read it back and remove it."""
    key, content, ours = f"checkup/{secrets.token_hex(8)}", secrets.token_bytes(64), own_storage()
    try:
        ours.write_bytes(key, content)
        read = b"".join(ours.read(key))
        ours.delete(key)
    except OSError as error:
        return Check(_("storage"), ABSENT, str(error), _("Let this user write there, or set DFC_DATA_DIR."))
    if read != content:
        return Check(_("storage"), ABSENT, _("it gives back other bytes than were written"), _("Replace the disk."))
    return Check(_("storage"), OK, _("written, read back and removed"))


def disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    found = _("%(size)s GiB free in %(folder)s") % {"size": f"{free / GIBI:.1f}", "folder": folder}
    if free < LITTLE_GIB * GIBI:
        return Check(_("disk"), WARNING, found, _("Builds and copies need space: free some, or move DFC_DATA_DIR."))
    return Check(_("disk"), OK, found)
