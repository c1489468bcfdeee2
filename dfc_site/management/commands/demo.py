"""`manage.py demo`: fill an installation with the demonstration, through the real pipeline."""

import argparse
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from catalog.errors import StewardshipError
from dfc_site import demo
from releases.models import Release


class Command(BaseCommand):
    help = "Prepare and play the demonstration: two releases published, one waiting for approval."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--prepare", action="store_true", help="only people, mirrors and repositories")
        parser.add_argument("--timeout", type=float, default=170, help="seconds without progress before giving up")

    def handle(self, **options: Any) -> None:
        try:
            self.greet(demo.prepare())
            if not options["prepare"]:
                self.show(*demo.play(self.stdout.write, timeout_s=options["timeout"]))
        except StewardshipError as error:
            raise CommandError(str(error)) from error

    def greet(self, passwords: dict[str, str]) -> None:
        for name, password in passwords.items():
            self.stdout.write(f"Demo sign-in, shown once: {name} / {password}")
        if passwords:
            self.stdout.write(f"They are kept in {settings.DFC_DATA_DIR / demo.PASSWORDS} (mode 0600).")

    def show(self, published: list[Release], waiting: Release) -> None:
        site = settings.DFC_SITE_URL
        for release in published:
            place = f"datasets/{release.version.dataset.identifier}/{release.version.shown}/"
            self.stdout.write(f"Published: {site}/en/{place}")
            self.stdout.write(f"Publié:    {site}/fr/{place}")
        self.stdout.write(f"The site:  {site}/")
        self.stdout.write(
            f"In review: {site}/admin/releases/release/{waiting.pk}/change/ (sign in as reviewer, approve)"
        )
