"""A pipeline of any shape whose steps do what a test wrote down for them.

`SHAPES` says for a job's subject which steps each stage has (True: required); `PLAYS` what a step does.
"""

from collections.abc import Callable, Sequence
from functools import partial

from django_q.models import OrmQ

from releases.jobs import engine
from releases.jobs.context import StepContext
from releases.jobs.registry import Pipeline, Stage, StepSpec
from releases.models import Job, Step

Shape = Sequence[Sequence[bool]]
Play = Callable[[StepContext], None]

FUNCTION = "tests.chaos.scripted.play"
STAGES = 3
STEPS = 10  # at most so many in one stage

SHAPES: dict[int, Shape] = {}
PLAYS: dict[int, Play] = {}
CANCELLED: list[int] = []


def step_subject(job_subject: int, place: int, order: int) -> int:
    return (job_subject * STAGES + place) * STEPS + order


def expand(place: int, job_subject: int) -> Sequence[StepSpec]:
    shape = SHAPES[job_subject]
    flags = shape[place] if place < len(shape) else ()
    return [
        StepSpec(FUNCTION, step_subject(job_subject, place, order), f"step {place}.{order}", is_required)
        for order, is_required in enumerate(flags)
    ]


def play(step: StepContext, subject: int) -> None:
    PLAYS.get(subject, done)(step)


def done(_step: StepContext) -> None:
    """Do nothing and end well."""


def play_for(step: Step, what: Play) -> None:
    """Write down what a step does from now on."""
    PLAYS[step.subject] = what


def stages(names: str) -> tuple[Stage, ...]:
    return tuple(Stage(name, name.title(), partial(expand, place), (FUNCTION,)) for place, name in enumerate(names))


def first_step(job: Job) -> Step:
    return job.steps.order_by("stage", "position")[0]


def states(job: Job) -> list[str]:
    return list(job.steps.order_by("stage", "position").values_list("state", flat=True))


def claim(step: Step) -> Step:
    """Take a step as a worker does; the test fails if it cannot be had."""
    taken = engine.claim(step.pk)
    assert taken is not None
    return taken


def run(step: Step) -> Step:
    """Run one attempt of a step in this process, and read its row again."""
    assert engine.run_step(step.pk, has_heartbeat=False)
    step.refresh_from_db()
    return step


def raising(error: BaseException) -> Play:
    def act(_step: StepContext) -> None:
        raise error

    return act


def queued() -> list[int]:
    """Give the steps that messages in the queue speak of, oldest first."""
    return [row.task["args"][0] for row in OrmQ.objects.order_by("pk")]


PIPELINES = (
    Pipeline("scripted", stages("abc")),
    Pipeline("given-back", stages("abc"), on_cancelled=CANCELLED.append),
)
