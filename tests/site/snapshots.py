"""Rows and files of a walked path, kept for the session: the first test walks, the others start from there."""

import shutil
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.management import call_command

from dfc_site import demo
from releases.models import Release

ROWS = "rows.json"
LEFT_OUT = ("contenttypes", "auth.permission", "sessions", "admin", "django_q")


class Snapshots:
    """One folder a name, under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def bring(self, name: str, walk: Callable[[], Release]) -> Release:
        """Give the release as `walk` leaves it, with everything around it; walked once, then copied."""
        kept = self.root / name
        if kept.is_dir():
            shutil.copytree(kept, settings.DFC_DATA_DIR, dirs_exist_ok=True, symlinks=True)
            call_command("loaddata", settings.DFC_DATA_DIR / ROWS, verbosity=0)
            demo.ensure_mirrors()
            return Release.objects.latest("pk")
        release = walk()
        rows = settings.DFC_DATA_DIR / ROWS
        call_command(
            "dumpdata", exclude=LEFT_OUT, natural_foreign=True, natural_primary=False, output=rows, verbosity=0
        )
        shutil.copytree(settings.DFC_DATA_DIR, kept, symlinks=True)
        return release
