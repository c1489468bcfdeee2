"""What writers left unfinished for a week goes by itself; what is younger is still continued."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.storage.connect import own_storage
from dfc_site.schedules import RECURRING
from releases.jobs import engine
from tests import factories
from tests.releases.recipes import bench_fixture  # noqa: F401  a fixture

DAY_S = 86_400


def broken(start: int) -> Iterator[bytes]:
    yield b"half"[start:]
    raise OSError("the disk went away")


@pytest.mark.django_db
def test_an_unfinished_file_is_kept_for_a_week_and_then_removed(bench: Path) -> None:
    assert "tidy-storage" in {one.pipeline for one in RECURRING}
    for key in ("a/old", "a/young"):
        with pytest.raises(OSError, match="went away"):
            own_storage().write(key, 10, broken)
    old, young = (factories.own_path("a") / ".partial" / name for name in ("old", "young"))
    for path, days in ((old, 8), (young, 6)):
        seconds = timezone.now().timestamp() - days * DAY_S
        os.utime(path, (seconds, seconds))
    engine.start("tidy-storage:1", "tidy-storage", 1)
    engine.drain(10)
    assert not old.exists()
    assert young.exists()
