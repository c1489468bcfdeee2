"""Pipelines that a test writes for itself, and a clock that it moves."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dfc_site.pipelines import PIPELINES
from releases.jobs import engine, registry
from releases.jobs.clock import clock
from releases.jobs.context import stopping
from releases.models import Job
from tests.chaos import scripted

Start = Callable[..., Job]
Capture = Callable[..., Any]


class Moment:
    """The time of the engine; it stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def moment() -> Iterator[Moment]:
    """Let the engine read this clock instead of the real one."""
    standing, real = Moment(), clock.read
    clock.read = lambda: standing.now
    yield standing
    clock.read = real


@pytest.fixture
def pipelines() -> Iterator[None]:
    """Declare the scripted pipelines beside the real ones, which alone are there again afterwards."""
    registry.declare((*PIPELINES, *scripted.PIPELINES))
    yield
    registry.declare(PIPELINES)
    stopping.clear()
    for written in (scripted.SHAPES, scripted.PLAYS, scripted.CANCELLED):
        written.clear()


@pytest.fixture
def start(pipelines: None) -> Start:
    """Start a job of a shape, for example `start("one", [[True, False], [True]])`."""

    def started(key: str, shape: scripted.Shape, *, pipeline: str = "scripted") -> Job:
        subject = len(scripted.SHAPES) + 1
        scripted.SHAPES[subject] = shape
        return engine.start(key, pipeline, subject)

    return started
