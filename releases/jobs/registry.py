"""The pipelines that this installation knows. Declared once at the start, by the room that sees all apps."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.module_loading import import_string

from releases.jobs.errors import PipelineError


@dataclass(frozen=True)
class StepSpec:
    """One step that a stage asks for: a dotted function, the key of its row, and words for people."""

    function: str
    subject: int
    label: str
    is_required: bool = True


@dataclass(frozen=True)
class Stage:
    """A part of a pipeline. `expand(subject)` gives its steps when it opens, inside the opening transaction.

    `functions` are the only dotted names that its steps may have.
    """

    name: str
    title: str | Promise
    expand: Callable[[int], Sequence[StepSpec]]
    functions: tuple[str, ...]


@dataclass(frozen=True)
class Pipeline:
    """Stages that open one after the other. `on_cancelled(subject)` runs inside the stopping transaction."""

    name: str
    stages: tuple[Stage, ...]
    on_cancelled: Callable[[int], None] | None = None


_pipelines: dict[str, Pipeline] = {}
_functions: dict[str, Callable[..., None]] = {}


def declare(pipelines: Iterable[Pipeline]) -> None:
    """Replace what is declared. Imports every step function now; raises PipelineError for a wrong name."""
    declared = {pipeline.name: pipeline for pipeline in pipelines}
    functions = {
        name: imported(name, pipeline)
        for pipeline in declared.values()
        for stage in pipeline.stages
        for name in stage.functions
    }
    _pipelines.clear()
    _pipelines.update(declared)
    _functions.clear()
    _functions.update(functions)


def imported(name: str, pipeline: Pipeline) -> Callable[..., None]:
    try:
        found: Any = import_string(name)
    except ImportError as error:
        raise PipelineError(
            f"Pipeline {pipeline.name}: step function {name} cannot be imported ({error}). Correct its name."
        ) from error
    if not callable(found):
        raise PipelineError(f"Pipeline {pipeline.name}: {name} is not a function. Correct its name.")
    return found  # type: ignore[no-any-return]


def pipeline(name: str) -> Pipeline:
    """Give a declared pipeline; raises PipelineError for any other name."""
    if name not in _pipelines:
        raise PipelineError(f"Pipeline {name!r} is not declared. Declare it before starting a job of it.")
    return _pipelines[name]


def step_function(name: str) -> Callable[..., None]:
    """Give a declared step function; a name from anywhere else never runs."""
    if name not in _functions:
        raise PipelineError(f"Step function {name!r} is not declared by any pipeline, so it is not run.")
    return _functions[name]


def expand(name: str, position: int, subject: int) -> list[StepSpec]:
    """Give the steps of a pipeline's stage for a subject; raises PipelineError for an undeclared function."""
    stage = pipeline(name).stages[position]
    specs = list(stage.expand(subject))
    for spec in specs:
        if spec.function not in stage.functions:
            raise PipelineError(f"Pipeline {name}, stage {stage.name}: {spec.function} is not one of its functions.")
    return specs
