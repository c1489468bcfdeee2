"""Workers are killed while containers run: the build ends alike, and no container outlives it."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from releases.build import folder_of, request_build
from releases.builds.execute import name_of
from releases.executors.engine import call
from releases.models import Build, Release
from tests.chaos.workers import Workers, wait_until
from tests.releases.containers import engine, needs_podman
from tests.releases.recipes import (
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    drafted,
)
from tests.releases.test_container_build import SHOUT, container_toml

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.django_db(transaction=True), *needs_podman]


@pytest.fixture
def workers(bench: Path, transactional_db: None) -> Iterator[Workers]:
    started = Workers(bench / "workers.log", DFC_DATA_DIR=str(bench))
    yield started
    started.end()


def running() -> set[str]:
    """Give the containers of our builds that run now."""
    names = call(engine(), "ps", "--format", "{{.Names}}").stdout.split()
    return set(names) & {name_of(folder_of(build)) for build in Build.objects.all()}


def test_a_build_survives_the_death_of_its_workers_and_leaves_no_container(
    bench: Path, author: Any, workers: Workers
) -> None:
    release = drafted(container_toml("time.sleep(5)\n" + SHOUT), author, bench)
    request_build(release, by=author, channel="command", now=timezone.now())
    workers.start()
    for kill in (workers.kill_cluster, workers.kill_supervisor):
        wait_until(running, f"no container runs\n{workers.words()}")
        kill(random.Random(1))

    def is_built() -> bool:
        return Release.objects.get(pk=release.pk).state == Release.State.BUILT

    wait_until(is_built, f"it was not built\n{workers.words()}")
    assert [one.verdict for one in release.builds.order_by("number")] == ["first", "identical"]
    assert workers.stop() == 0, workers.words()
    assert not running()
