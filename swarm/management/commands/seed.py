"""`manage.py seed`: seed our own storage until it is stopped."""

import argparse
import signal
import threading
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import close_old_connections

from catalog.storage.connect import own_storage
from swarm.seed import Seeder, seedable


class Command(BaseCommand):
    help = "Seed every published file that lies in our own storage, over BitTorrent."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--listen", default=settings.DFC_SEED_LISTEN, help="address:port[,address:port]")
        parser.add_argument("--every", type=float, default=10, help="seconds between looks at the catalogue")
        parser.add_argument("--once", action="store_true", help="load what there is, say how much, and end")

    def handle(self, *, listen: str, every: float, once: bool, **_: Any) -> None:
        stop = threading.Event()

        def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ask_to_stop)
        seeder, storage = Seeder(listen), own_storage()
        if storage.directory is None:
            self.stdout.write(
                "Our own storage is a bucket, so there is no file to seed: web seeds carry the torrents."
            )
        while True:
            new, gone = seeder.follow(seedable(storage))
            if new or gone or once:
                self.stdout.write(f"Seeding {len(seeder.seeded)} files on port {seeder.port} (+{new} -{gone})")
            if once or stop.wait(every):
                return
            close_old_connections()
